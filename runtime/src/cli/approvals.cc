// approvals list|show|approve|reject|edit|delegate|delegations.
#include <CLI/CLI.hpp>
#include <ctime>
#include <fstream>
#include <ostream>

#include "cli/cli.h"
#include "cli/message_json.h"

namespace interlock::runtime::cli {
namespace {

struct ApprovalListOptions {
  std::string run;
  std::string state;
  int limit = 50;
};

struct DelegateOptions {
  std::string id;  // empty: all
  std::string to;
  std::string reason;
  std::string by;  // of --end; empty: oneself
  int hours = 0;
  bool end = false;
};

struct AnswerOptions {
  std::string id;
  std::string etag;
  std::string reason;
  std::string args;  // of edit
  bool for_user = false;
};

std::string StateText(const wire::Approval& approval) {
  return EnumText(*wire::Approval::State_descriptor(), approval.state());
}

std::string Joined(const google::protobuf::RepeatedPtrField<std::string>& list,
                   const char* separator) {
  std::string out;
  for (const std::string& item : list) out += (out.empty() ? "" : separator) + item;
  return out;
}

// Of an approval in stages: those of the one that is asked now.
std::string NeedsNow(const wire::Approval& approval) {
  const auto needs = [](int quorum, const auto& approvers) {
    return std::to_string(quorum) + " of " + Joined(approvers, " or ");
  };
  const int at = approval.stage() - 1;
  if (at < 0 || at >= approval.stages_size()) {
    return needs(approval.quorum(), approval.approvers());
  }
  const wire::ApprovalStage& stage = approval.stages(at);
  return needs(stage.quorum(), stage.approvers()) + " (stage " + std::to_string(at + 1) + " of " +
         std::to_string(approval.stages_size()) + ")";
}

// What would run, complete: nothing here is ever cut.
void PrintApproval(const Io& io, const wire::Approval& approval) {
  if (io.json) return PrintJson(io, MessageJson(approval));
  const auto row = [&](const char* name, const std::string& value) {
    if (!value.empty()) io.out << io.Paint(Style::kDim, name) << EscapeForTerminal(value) << '\n';
  };
  row("approval  ", IdOf(approval.name()));
  row("state     ", StateText(approval));
  row("run       ", IdOf(approval.run()));
  if (approval.agents_size() > 1) {
    row("agents    ", Joined(approval.agents(), " > "));
    row("works for ", "run " + IdOf(approval.root_run()));
  }
  row("call      ", IdOf(approval.call()));
  row("tool      ", approval.tool());
  row("arguments ", approval.args_json());
  row("bound to  ", approval.show_json());
  row("facts     ", approval.facts_json());
  row("rule      ", approval.rule());
  row("asks      ", approval.say());
  if (approval.stages().empty()) {
    row("approvers ",
        std::to_string(approval.quorum()) + " of " + Joined(approval.approvers(), " or "));
  }
  for (int i = 0; i < approval.stages_size(); ++i) {
    const wire::ApprovalStage& stage = approval.stages(i);
    const bool now = i + 1 == approval.stage() && approval.state() == wire::Approval::STATE_PENDING;
    row("stage     ", std::to_string(i + 1) + ": " + std::to_string(stage.quorum()) + " of " +
                          Joined(stage.approvers(), " or ") + (now ? ", asked now" : ""));
  }
  if (!approval.escalate_to().empty()) {
    const std::string when = approval.has_escalate_time()
                                 ? " from " + FormatTime(MicrosOf(approval.escalate_time()))
                             : approval.escalated() ? ", asked too"
                                                    : "";
    row("escalates ", "to " + Joined(approval.escalate_to(), " or ") + when);
  }
  row("granted   ", Joined(approval.granted_by(), ", "));
  row("in place of ", Joined(approval.granted_for(), ", "));
  row("edited by ", Joined(approval.edited_by(), ", "));
  row("told by   ", Joined(approval.told_by(), ", "));
  row("asked     ", FormatTime(MicrosOf(approval.create_time())));
  row("expires   ", FormatTime(MicrosOf(approval.expire_time())));
  for (const wire::FiredRule& rule : approval.rules()) {
    row("fired     ", rule.id() + ":" + std::to_string(rule.line()) + " " + rule.verdict() +
                          (rule.because().empty() ? "" : " because " + rule.because()));
  }
  if (!approval.unanswerable().empty()) {
    const std::string text = "Nobody can give it: " + approval.unanswerable() + ".";
    io.out << io.Paint(Style::kYellow, EscapeForTerminal(text)) << '\n';
  }
  if (!approval.warning().empty()) {
    io.out << io.Paint(Style::kYellow, EscapeForTerminal(approval.warning())) << '\n';
  }
  if (approval.new_message_since()) {
    io.out << io.Paint(Style::kYellow, "The user has said something since; read the run first.")
           << '\n';
  }
}

// How far it has come.
std::string Given(const wire::Approval& approval) {
  const int given = approval.granted_by_size();
  return (given == 0 ? "" : ", " + std::to_string(given) + " given") +
         (approval.unanswerable().empty() ? "" : ", and nobody can");
}

int ListApprovals(Session& session, const ApprovalListOptions& options) {
  auto client = session.Connect();
  if (!client.ok()) return Fail(session, client.status());
  wire::ListApprovalsRequest request;
  request.set_parent((*client)->parent());
  if (!options.run.empty()) request.set_run((*client)->Name("runs", options.run));
  if (!options.state.empty()) {
    const int state = EnumNumber(*wire::Approval::State_descriptor(), options.state);
    if (state < 0) {
      return Fail(session,
                  core::InvalidArgument("no approval state `" + options.state + "`; there are " +
                                        EnumTexts(*wire::Approval::State_descriptor())));
    }
    request.set_state(static_cast<wire::Approval::State>(state));
  }
  Table table({"APPROVAL", "STATE", "TOOL", "NEEDS", "RULE", "EXPIRES (UTC)"});
  core::Json list = core::Json::array();
  const core::Status status =
      EachPage(session.io, options.limit,
               [&](int size, const std::string& token) -> core::StatusOr<PageEnd> {
                 request.set_page_size(size);
                 request.set_page_token(token);
                 INTERLOCK_ASSIGN_OR_RETURN(
                     const wire::ListApprovalsResponse page,
                     (*client)->Call((*client)->approvals,
                                     &wire::ApprovalService::Stub::ListApprovals, request));
                 for (const wire::Approval& approval : page.approvals()) {
                   list.push_back(MessageJson(approval));
                   table.Add({IdOf(approval.name()), StateText(approval), approval.tool(),
                              NeedsNow(approval) + Given(approval), approval.rule(),
                              FormatTime(MicrosOf(approval.expire_time()))});
                 }
                 return PageEnd{page.next_page_token(), page.approvals_size()};
               });
  if (!status.ok()) return Fail(session, status);
  if (session.io.json) {
    PrintJson(session.io, {{"approvals", list}});
  } else {
    table.Print(session.io);
  }
  return kYes;
}

core::StatusOr<wire::Approval> Get(const Client& client, const std::string& id) {
  wire::GetApprovalRequest request;
  request.set_name(client.Name("approvals", id));
  return client.Call(client.approvals, &wire::ApprovalService::Stub::GetApproval, request);
}

int Show(Session& session, const std::string& id) {
  auto client = session.Connect();
  if (!client.ok()) return Fail(session, client.status());
  const auto approval = Get(**client, id);
  if (!approval.ok()) return Fail(session, approval.status());
  PrintApproval(session.io, *approval);
  return kYes;
}

// Without --etag the answer is bound to what is read (and printed) now.
template <typename Request>
core::StatusOr<Request> RequestOf(const Client& client, const AnswerOptions& options) {
  Request request;
  request.set_name(client.Name("approvals", options.id));
  request.set_etag(options.etag);
  request.set_reason(options.reason);
  request.set_request_id(NewRequestId());
  if (options.for_user) request.set_answer_for(wire::ANSWER_FOR_RUN_USER);
  if (options.etag.empty()) {
    INTERLOCK_ASSIGN_OR_RETURN(const wire::Approval seen, Get(client, options.id));
    request.set_etag(seen.etag());
  }
  return request;
}

template <typename Request>
int AnswerIt(Session& session, const AnswerOptions& options,
             grpc::Status (wire::ApprovalService::Stub::*method)(grpc::ClientContext*,
                                                                 const Request&, wire::Approval*)) {
  auto client = session.Connect();
  if (!client.ok()) return Fail(session, client.status());
  const auto request = RequestOf<Request>(**client, options);
  if (!request.ok()) return Fail(session, request.status());
  const auto answered = (*client)->Call((*client)->approvals, method, *request);
  if (!answered.ok()) return Fail(session, answered.status());
  PrintApproval(session.io, *answered);
  return kYes;
}

void PrintDelegation(const Io& io, const wire::Delegation& given) {
  const std::string what =
      given.approval().empty() ? "every approval" : "approval " + IdOf(given.approval());
  const std::string until = given.has_until_time()
                                ? " until " + FormatTime(MicrosOf(given.until_time()))
                                : ", which has ended";
  io.out << EscapeForTerminal(what + ": " + given.to() + " answers for " + given.by() + until)
         << '\n';
}

int Delegate(Session& session, const DelegateOptions& options) {
  if (options.id.empty() && options.hours == 0 && !options.end) {
    return Fail(session, core::InvalidArgument(
                             "name the approval, or say for how many --hours all are handed on"));
  }
  auto client = session.Connect();
  if (!client.ok()) return Fail(session, client.status());
  wire::DelegateRequest request;
  request.set_parent((*client)->parent());
  if (!options.id.empty()) request.set_approval((*client)->Name("approvals", options.id));
  request.set_to(options.to);
  request.set_reason(options.reason);
  request.set_request_id(NewRequestId());
  request.set_end(options.end);
  request.set_by(options.by);
  if (options.hours > 0) {
    request.mutable_until_time()->set_seconds(std::time(nullptr) + options.hours * 3600);
  }
  const auto given =
      (*client)->Call((*client)->approvals, &wire::ApprovalService::Stub::Delegate, request);
  if (!given.ok()) return Fail(session, given.status());
  if (session.io.json) {
    PrintJson(session.io, MessageJson(*given));
  } else {
    PrintDelegation(session.io, *given);
  }
  return kYes;
}

int Delegations(Session& session) {
  auto client = session.Connect();
  if (!client.ok()) return Fail(session, client.status());
  wire::ListDelegationsRequest request;
  request.set_parent((*client)->parent());
  const auto found =
      (*client)->Call((*client)->approvals, &wire::ApprovalService::Stub::ListDelegations, request);
  if (!found.ok()) return Fail(session, found.status());
  if (session.io.json) {
    PrintJson(session.io, MessageJson(*found));
    return kYes;
  }
  for (const wire::Delegation& given : found->delegations()) PrintDelegation(session.io, given);
  return kYes;
}

// What is given, or what stands in the file that "@FILE" names.
core::StatusOr<std::string> TextOrFile(const std::string& given) {
  if (!given.starts_with("@")) return given;
  std::ifstream in(given.substr(1), std::ios::binary);
  std::string text(core::kArgsLimits.bytes_max + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (in.bad() || text.empty()) {
    return core::InvalidArgument("`" + given.substr(1) + "` cannot be read, or is empty");
  }
  return text;
}

// What waits now is printed, so that whoever approves it sees it.
int Edit(Session& session, const AnswerOptions& options) {
  auto client = session.Connect();
  if (!client.ok()) return Fail(session, client.status());
  auto request = RequestOf<wire::EditArgumentsRequest>(**client, options);
  if (!request.ok()) return Fail(session, request.status());
  const auto args = TextOrFile(options.args);
  if (!args.ok()) return Fail(session, args.status());
  request->set_args_json(*args);
  const auto call =
      (*client)->Call((*client)->approvals, &wire::ApprovalService::Stub::EditArguments, *request);
  if (!call.ok()) {
    const int code = Fail(session, call.status());
    return ErrorReasonOf(call.status()) == "EDIT_DENIED" ? kNo : code;
  }
  if (session.io.json) {
    PrintJson(session.io, MessageJson(*call));
    return kYes;
  }
  session.io.out << "call " << IdOf(call->name()) << " is "
                 << EnumText(*wire::Call::State_descriptor(), call->state()) << '\n';
  for (const std::string& name : call->approvals()) {
    const auto approval = Get(**client, IdOf(name));
    if (!approval.ok()) return Fail(session, approval.status());
    if (approval->state() == wire::Approval::STATE_PENDING) PrintApproval(session.io, *approval);
  }
  return kYes;
}

CLI::App* AddAnswer(CLI::App& group, const char* name, const char* description,
                    AnswerOptions& options) {
  CLI::App* command = group.add_subcommand(name, description);
  command->add_option("APPROVAL", options.id)->required()->check(IdOfOne("approvals"));
  command->add_option("--etag", options.etag,
                      "Etag of the approval as you saw it (default: as it is now)");
  command->add_option("--reason", options.reason, "Why; sealed in the log");
  command->add_flag("--for-user", options.for_user,
                    "Relay the word of the run's user (role user-relay)");
  return command;
}

}  // namespace

void AddApprovalCommands(CLI::App& app, Session& session) {
  CLI::App* group = AddGroup(app, "approvals", "Approvals: list, show, answer");
  auto options = std::make_shared<ApprovalListOptions>();
  CLI::App* list = group->add_subcommand("list", "List approvals, newest first");
  list->add_option("--run", options->run, "Only those of this run")->check(IdOfOne("runs"));
  list->add_option("--state", options->state, "Only those in this state, for instance pending");
  list->add_option("--limit", options->limit, "At most this many")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  Does(list, session, [&session, options] { return ListApprovals(session, *options); });

  auto answer = std::make_shared<AnswerOptions>();
  CLI::App* show = group->add_subcommand("show", "Show exactly what would run");
  show->add_option("APPROVAL", answer->id)->required()->check(IdOfOne("approvals"));
  Does(show, session, [&session, answer] { return Show(session, answer->id); });
  CLI::App* approve = AddAnswer(*group, "approve", "Say yes to what `show` shows", *answer);
  Does(approve, session, [&session, answer] {
    return AnswerIt<wire::ApproveRequest>(session, *answer, &wire::ApprovalService::Stub::Approve);
  });
  CLI::App* reject = AddAnswer(*group, "reject", "Say no", *answer);
  Does(reject, session, [&session, answer] {
    return AnswerIt<wire::RejectRequest>(session, *answer, &wire::ApprovalService::Stub::Reject);
  });
  auto handing = std::make_shared<DelegateOptions>();
  CLI::App* delegate =
      group->add_subcommand("delegate", "Hand one approval, or all for a time, to somebody else");
  delegate->add_option("APPROVAL", handing->id, "Without it: every one you may answer")
      ->check(IdOfOne("approvals"));
  delegate->add_option("--to", handing->to, "Id of a principal with role approver")->required();
  CLI::Option* hours =
      delegate->add_option("--hours", handing->hours, "For how long")->check(CLI::Range(1, 744));
  CLI::Option* end = delegate->add_flag("--end", handing->end, "Take back what was handed on");
  end->excludes(hours);
  delegate->add_option("--by", handing->by, "Whose to end (role operator), without it: your own")
      ->needs(end);
  delegate->add_option("--reason", handing->reason, "Why; sealed in the log");
  Does(delegate, session, [&session, handing] { return Delegate(session, *handing); });
  CLI::App* delegations =
      group->add_subcommand("delegations", "List what is handed on now, by you and to you");
  Does(delegations, session, [&session] { return Delegations(session); });
  CLI::App* edit =
      AddAnswer(*group, "edit", "Change the arguments; somebody else approves them", *answer);
  edit->add_option("--args", answer->args, "The new arguments, complete: a JSON object, or @FILE")
      ->required();
  Does(edit, session, [&session, answer] { return Edit(session, *answer); });
}

}  // namespace interlock::runtime::cli
