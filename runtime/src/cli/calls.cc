// calls list|show|resolve and budgets list.
#include "cli/calls.h"

#include <CLI/CLI.hpp>
#include <ostream>

#include "cli/cli.h"
#include "cli/message_json.h"

namespace interlock::runtime::cli {
namespace {

struct CallListOptions {
  std::string run;
  std::string state;
  bool unknown = false;
  int limit = 50;
};

struct ResolveOptions {
  std::string id;
  bool happened = false;
  bool not_happened = false;
  std::string reason;
  std::string evidence;
};

std::string StateText(const wire::Call& call) {
  return EnumText(*wire::Call::State_descriptor(), call.state());
}

core::StatusOr<wire::ListCallsRequest> ListRequest(const Client& client,
                                                   const CallListOptions& options) {
  wire::ListCallsRequest request;
  request.set_parent(client.parent());
  if (!options.run.empty()) request.set_run(client.Name("runs", options.run));
  const std::string state = options.unknown ? "unknown" : options.state;
  if (state.empty()) return request;
  const int number = EnumNumber(*wire::Call::State_descriptor(), state);
  if (number < 0)
    return core::InvalidArgument("no call state `" + state + "`; there are " +
                                 EnumTexts(*wire::Call::State_descriptor()));
  request.set_state(static_cast<wire::Call::State>(number));
  return request;
}

int ListCalls(Session& session, const CallListOptions& options) {
  auto client = session.Connect();
  if (!client.ok()) return Fail(session, client.status());
  auto request = ListRequest(**client, options);
  if (!request.ok()) return Fail(session, request.status());
  Table table({"CALL", "TOOL", "STATE", "CODE", "OUTCOME", "SANDBOX", "UPDATED (UTC)"});
  core::Json list = core::Json::array();
  const core::Status status = EachPage(
      session.io, options.limit,
      [&](int size, const std::string& token) -> core::StatusOr<PageEnd> {
        request->set_page_size(size);
        request->set_page_token(token);
        INTERLOCK_ASSIGN_OR_RETURN(
            const wire::ListCallsResponse page,
            (*client)->Call((*client)->calls, &wire::CallService::Stub::ListCalls, *request));
        for (const wire::Call& call : page.calls()) {
          list.push_back(MessageJson(call));
          table.Add({IdOf(call.name()), call.tool(), StateText(call), call.code(), call.outcome(),
                     call.sandbox_level(), FormatTime(MicrosOf(call.update_time()))});
        }
        return PageEnd{page.next_page_token(), page.calls_size()};
      });
  if (!status.ok()) return Fail(session, status);
  if (session.io.json) {
    PrintJson(session.io, {{"calls", list}});
  } else {
    table.Print(session.io);
  }
  return kYes;
}

int Show(Session& session, const std::string& id) {
  auto client = session.Connect();
  if (!client.ok()) return Fail(session, client.status());
  wire::GetCallRequest request;
  request.set_name((*client)->Name("calls", id));
  const auto call = (*client)->Call((*client)->calls, &wire::CallService::Stub::GetCall, request);
  if (!call.ok()) return Fail(session, call.status());
  PrintCall(session.io, *call);
  return kYes;
}

int Resolve(Session& session, const ResolveOptions& options) {
  if (options.happened == options.not_happened) {
    return Fail(session,
                core::InvalidArgument("say --happened or --not-happened: what did you find out?"));
  }
  auto client = session.Connect();
  if (!client.ok()) return Fail(session, client.status());
  wire::ResolveCallRequest request;
  request.set_name((*client)->Name("calls", options.id));
  request.set_finding(options.happened ? wire::ResolveCallRequest::FINDING_HAPPENED
                                       : wire::ResolveCallRequest::FINDING_NOT_HAPPENED);
  request.set_reason(options.reason);
  request.set_evidence(options.evidence);
  request.set_request_id(NewRequestId());
  const auto call =
      (*client)->Call((*client)->calls, &wire::CallService::Stub::ResolveCall, request);
  if (!call.ok()) return Fail(session, call.status());
  PrintCall(session.io, *call);
  const bool settled = call->state() != wire::Call::STATE_UNKNOWN;
  if (!settled && !session.io.json)
    session.io.err << "a second operator must say the same; "
                      "to take your word back, say the opposite\n";
  return settled ? kYes : kIncomplete;
}

struct BudgetOptions {
  std::string user;
  bool all = false;
  int limit = 1000;
};

bool IsNamed(const wire::Budget& budget) { return budget.scope().find(':') != std::string::npos; }

// Of a scope that is somebody's HMAC no more is shown than tells two of them apart.
std::string ScopeText(const wire::Budget& budget) {
  constexpr std::size_t kShown = 12;
  return IsNamed(budget) ? budget.scope() : "#" + budget.scope().substr(0, kShown);
}

std::string WindowText(const wire::Budget& budget) {
  if (budget.past()) return "over, of " + FormatTime(MicrosOf(budget.window_start_time()));
  if (!budget.has_window_end_time()) return "for ever";
  return "until " + FormatTime(MicrosOf(budget.window_end_time()));
}

int ListBudgets(Session& session, const BudgetOptions& options) {
  auto client = session.Connect();
  if (!client.ok()) return Fail(session, client.status());
  wire::ListBudgetsRequest request;
  request.set_parent((*client)->parent());
  request.set_show_past(options.all);
  request.set_user(options.user);
  Table table({"BUDGET", "SCOPE", "LIMIT", "HELD", "SPENT", "LEFT", "WINDOW (UTC)"});
  core::Json list = core::Json::array();
  bool all_named = true;
  const core::Status status = EachPage(
      session.io, options.limit,
      [&](int size, const std::string& token) -> core::StatusOr<PageEnd> {
        request.set_page_size(size);
        request.set_page_token(token);
        INTERLOCK_ASSIGN_OR_RETURN(
            const wire::ListBudgetsResponse page,
            (*client)->Call((*client)->budgets, &wire::BudgetService::Stub::ListBudgets, request));
        for (const wire::Budget& budget : page.budgets()) {
          list.push_back(MessageJson(budget));
          all_named = all_named && IsNamed(budget);
          const auto amount = [&](std::int64_t n) { return FormatAmount(n, budget.unit()); };
          const std::int64_t left =
              budget.limit_amount() - budget.held_amount() - budget.settled_amount();
          table.Add({budget.budget(), ScopeText(budget), amount(budget.limit_amount()),
                     amount(budget.held_amount()), amount(budget.settled_amount()), amount(left),
                     WindowText(budget)});
        }
        return PageEnd{page.next_page_token(), page.budgets_size()};
      });
  if (!status.ok()) return Fail(session, status);
  if (session.io.json) {
    PrintJson(session.io, {{"budgets", list}});
  } else {
    table.Print(session.io);
    if (!all_named) {
      session.io.err << "#…: a user, whom the log knows as an HMAC alone (or a principal, agent or "
                        "run that is no more); --user NAME shows his\n";
    }
  }
  return kYes;
}

void AddResolve(CLI::App& group, Session& session) {
  auto options = std::make_shared<ResolveOptions>();
  CLI::App* resolve =
      group.add_subcommand("resolve", "Say what became of a call whose outcome is unknown");
  resolve->add_option("CALL", options->id)->required()->check(IdOfOne("calls"));
  resolve->add_flag("--happened", options->happened, "The effect is there");
  resolve->add_flag("--not-happened", options->not_happened,
                    "The effect is not there and will not come");
  resolve->add_option("--reason", options->reason, "How you found out")->required();
  resolve->add_option("--evidence", options->evidence,
                      "What it rests on: a reference, a statement line");
  Does(resolve, session, [&session, options] { return Resolve(session, *options); });
}

}  // namespace

void PrintCall(const Io& io, const wire::Call& call) {
  if (io.json) return PrintJson(io, MessageJson(call));
  const auto row = [&](const char* name, const std::string& value) {
    if (!value.empty()) io.out << io.Paint(Style::kDim, name) << EscapeForTerminal(value) << '\n';
  };
  row("call      ", IdOf(call.name()));
  row("run       ", IdOf(call.run()));
  row("tool      ", call.tool());
  row("state     ", StateText(call));
  row("verdict   ", EnumText(*wire::Call::Verdict_descriptor(), call.verdict()));
  row("code      ", call.code());
  row("say       ", call.say());
  for (const wire::FiredRule& rule : call.rules()) {
    row("fired     ", rule.id() + ":" + std::to_string(rule.line()) + " " + rule.verdict() +
                          (rule.because().empty() ? "" : " because " + rule.because()));
  }
  for (const std::string& approval : call.approvals()) row("approval  ", IdOf(approval));
  row("arguments ", call.args_json());
  row("outcome   ", call.outcome());
  row("sandbox   ", call.sandbox_level());
  row("result    ", call.result_json());
  if (MicrosOf(call.update_time()) > 0) row("updated   ", FormatTime(MicrosOf(call.update_time())));
}

int ExitCodeOf(const wire::Call& call) {
  switch (call.state()) {
    case wire::Call::STATE_OK:
      return kYes;
    case wire::Call::STATE_DENIED:
    case wire::Call::STATE_REFUSED:
    case wire::Call::STATE_FAILED:
    case wire::Call::STATE_WITHDRAWN:
      return kNo;
    case wire::Call::STATE_UNKNOWN:
    case wire::Call::STATE_NOT_STARTED:
      return kCouldNotTell;
    default:
      return kIncomplete;
  }
}

int ExitCodeOfCheck(const wire::Call& call) {
  if (call.verdict() == wire::Call::VERDICT_ALLOW) return kYes;
  return call.verdict() == wire::Call::VERDICT_ASK ? kIncomplete : kNo;
}

void AddCallCommands(CLI::App& app, Session& session) {
  CLI::App* group = AddGroup(app, "calls", "Calls: list, show, settle unknown outcomes");
  auto options = std::make_shared<CallListOptions>();
  CLI::App* list = group->add_subcommand("list", "List calls, newest first");
  list->add_option("--run", options->run, "Only those of this run")->check(IdOfOne("runs"));
  CLI::Option* state =
      list->add_option("--state", options->state, "Only those in this state, for instance parked");
  list->add_flag("--unknown", options->unknown, "Only those whose outcome nobody knows")
      ->excludes(state);
  list->add_option("--limit", options->limit, "At most this many")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  Does(list, session, [&session, options] { return ListCalls(session, *options); });

  auto id = std::make_shared<std::string>();
  CLI::App* show = group->add_subcommand("show", "Show a call");
  show->add_option("CALL", *id)->required()->check(IdOfOne("calls"));
  Does(show, session, [&session, id] { return Show(session, *id); });
  AddResolve(*group, session);

  CLI::App* budgets = AddGroup(app, "budgets", "Budgets: what may still be spent");
  auto wanted = std::make_shared<BudgetOptions>();
  CLI::App* budgets_list = budgets->add_subcommand(
      "list", "List the present window of every budget that was used in it");
  budgets_list->add_flag("--all", wanted->all, "Windows that are over as well");
  budgets_list->add_option("--user", wanted->user, "Only budgets of this user");
  budgets_list->add_option("--limit", wanted->limit, "At most this many")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  Does(budgets_list, session, [&session, wanted] { return ListBudgets(session, *wanted); });
  AddBudgetModelsCommand(*budgets, session);
}

}  // namespace interlock::runtime::cli
