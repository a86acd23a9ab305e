// rollouts list|set: which version of an agent new runs are given.
#include <CLI/CLI.hpp>
#include <ostream>

#include "cli/cli.h"
#include "cli/message_json.h"

namespace interlock::runtime::cli {
namespace {

struct RolloutOptions {
  std::string agent;
  std::string version;
  int percent = 0;
  std::string reason;
  std::string etag;
};

int ListRollouts(Session& session) {
  auto client = session.Connect();
  if (!client.ok()) return Fail(session, client.status());
  wire::ListRolloutsRequest request;
  request.set_parent((*client)->parent());
  const auto found =
      (*client)->Call((*client)->rollouts, &wire::RolloutService::Stub::ListRollouts, request);
  if (!found.ok()) return Fail(session, found.status());
  Table table({"AGENT", "VERSION", "PERCENT", "HERE", "BY", "SINCE (UTC)", "ETAG", "REASON"});
  core::Json list = core::Json::array();
  for (const wire::Rollout& set : found->rollouts()) {
    list.push_back(MessageJson(set));
    table.Add({set.agent(), set.version(), std::to_string(set.percent()),
               set.available() ? "yes" : "no", set.principal(),
               FormatTime(MicrosOf(set.create_time())), set.etag(), set.reason()});
  }
  if (session.io.json) {
    PrintJson(session.io, {{"rollouts", list}});
  } else if (table.size() == 0) {
    session.io.out << "every agent has one version\n";
  } else {
    table.Print(session.io);
  }
  return kYes;
}

int Set(Session& session, const RolloutOptions& options) {
  auto client = session.Connect();
  if (!client.ok()) return Fail(session, client.status());
  wire::SetRolloutRequest request;
  request.set_parent((*client)->parent());
  request.set_agent(options.agent);
  request.set_version(options.version);
  request.set_percent(options.percent);
  request.set_reason(options.reason);
  request.set_etag(options.etag);
  const auto set =
      (*client)->Call((*client)->rollouts, &wire::RolloutService::Stub::SetRollout, request);
  if (!set.ok()) return Fail(session, set.status());
  if (session.io.json) {
    PrintJson(session.io, MessageJson(*set));
  } else {
    session.io.out << EscapeForTerminal(std::to_string(set->percent()) +
                                        " of a hundred subjects of `" + set->agent() +
                                        "` are given version " + set->version() + " in new runs")
                   << '\n';
  }
  return kYes;
}

}  // namespace

void AddRolloutCommands(CLI::App& app, Session& session) {
  CLI::App* group =
      AddGroup(app, "rollouts", "Roll-outs: give a share of subjects another version of an agent");
  CLI::App* list = group->add_subcommand("list", "List the roll-outs that were set");
  Does(list, session, [&session] { return ListRollouts(session); });

  auto options = std::make_shared<RolloutOptions>();
  CLI::App* set = group->add_subcommand("set", "Give a share of an agent's new runs a version");
  set->add_option("AGENT", options->agent, "Its name")->required();
  set->add_option("VERSION", options->version, "Of the file NAME@VERSION.yaml")->required();
  set->add_option("PERCENT", options->percent, "0 to 100")->required()->check(CLI::Range(0, 100));
  set->add_option("--reason", options->reason, "Stands in the entry: no personal data")->required();
  set->add_option("--etag", options->etag, "Only if it was not set anew since `list` showed it");
  Does(set, session, [&session, options] { return Set(session, *options); });
}

}  // namespace interlock::runtime::cli
