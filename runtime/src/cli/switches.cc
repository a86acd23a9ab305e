// switches list|stop|resume: kill switches.
#include <CLI/CLI.hpp>
#include <ostream>

#include "cli/cli.h"
#include "cli/message_json.h"

namespace interlock::runtime::cli {
namespace {

struct SwitchOptions {
  std::string name;
  std::string reason;
  std::string etag;
};

int ListSwitches(Session& session) {
  auto client = session.Connect();
  if (!client.ok()) return Fail(session, client.status());
  wire::ListSwitchesRequest request;
  request.set_parent((*client)->parent());
  const auto found =
      (*client)->Call((*client)->switches, &wire::SwitchService::Stub::ListSwitches, request);
  if (!found.ok()) return Fail(session, found.status());
  Table table({"SWITCH", "BY", "SINCE (UTC)", "ETAG", "REASON"});
  core::Json list = core::Json::array();
  for (const wire::Switch& set : found->switches()) {
    list.push_back(MessageJson(set));
    table.Add({set.switch_(), set.principal(), FormatTime(MicrosOf(set.create_time())), set.etag(),
               set.reason()});
  }
  if (session.io.json) {
    PrintJson(session.io, {{"switches", list}});
  } else if (table.size() == 0) {
    session.io.out << "nothing is stopped\n";
  } else {
    table.Print(session.io);
  }
  return kYes;
}

int Stop(Session& session, const SwitchOptions& options) {
  auto client = session.Connect();
  if (!client.ok()) return Fail(session, client.status());
  wire::SetSwitchRequest request;
  request.set_parent((*client)->parent());
  request.set_switch_(options.name);
  request.set_reason(options.reason);
  const auto set =
      (*client)->Call((*client)->switches, &wire::SwitchService::Stub::SetSwitch, request);
  if (!set.ok()) return Fail(session, set.status());
  if (session.io.json) {
    PrintJson(session.io, MessageJson(*set));
  } else {
    session.io.out << EscapeForTerminal("stopped: " + set->switch_() + ", by " + set->principal() +
                                        " since " + FormatTime(MicrosOf(set->create_time())) +
                                        " (" + set->reason() + ")")
                   << '\n';
  }
  return kYes;
}

int Resume(Session& session, const SwitchOptions& options) {
  auto client = session.Connect();
  if (!client.ok()) return Fail(session, client.status());
  wire::LiftSwitchRequest request;
  request.set_parent((*client)->parent());
  request.set_switch_(options.name);
  request.set_reason(options.reason);
  request.set_etag(options.etag);
  const auto lifted =
      (*client)->Call((*client)->switches, &wire::SwitchService::Stub::LiftSwitch, request);
  if (!lifted.ok()) return Fail(session, lifted.status());
  if (session.io.json) {
    PrintJson(session.io, MessageJson(*lifted));
  } else {
    session.io.out << EscapeForTerminal("resumed: " + options.name) << ", entry "
                   << lifted->receipt().index() << '\n';
  }
  return kYes;
}

}  // namespace

void AddSwitchCommands(CLI::App& app, Session& session) {
  CLI::App* group =
      AddGroup(app, "switches", "Kill switches: stop a tool, an agent or everything, live");
  CLI::App* list = group->add_subcommand("list", "List what is stopped");
  Does(list, session, [&session] { return ListSwitches(session); });

  auto options = std::make_shared<SwitchOptions>();
  CLI::App* stop = group->add_subcommand("stop", "Stop what the switch names, now");
  CLI::App* resume = group->add_subcommand("resume", "Lift a switch; what waited goes on");
  for (CLI::App* command : {stop, resume}) {
    command
        ->add_option("SWITCH", options->name,
                     "`tool:NAME`, `agent:NAME` (`*` for any characters) or `all`")
        ->required();
    command->add_option("--reason", options->reason, "Stands in the entry: no personal data")
        ->required();
  }
  resume->add_option("--etag", options->etag, "Only if it was not set anew since `list` showed it");
  Does(stop, session, [&session, options] { return Stop(session, *options); });
  Does(resume, session, [&session, options] { return Resume(session, *options); });
}

}  // namespace interlock::runtime::cli
