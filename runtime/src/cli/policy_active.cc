// policy activate|status|watch|unwatch: the policies of a daemon at work.
#include <CLI/CLI.hpp>
#include <ostream>

#include "cli/cli.h"
#include "cli/message_json.h"
#include "cli/policy_folder.h"

namespace interlock::runtime::cli {
namespace {

void PrintCounts(const Io& io, const char* title,
                 const google::protobuf::RepeatedPtrField<wire::PartedCount>& counts) {
  for (const wire::PartedCount& one : counts) {
    io.out << "  " << title << EscapeForTerminal(one.name()) << ": " << one.count() << '\n';
  }
}

// No bundle is a no: every call is denied.
int Print(const Io& io, const wire::Policy& policy) {
  if (io.json) {
    PrintJson(io, MessageJson(policy));
    return policy.bundle().empty() ? kNo : kYes;
  }
  if (policy.bundle().empty()) {
    io.out << "none is in force: every call is denied\n";
  } else {
    io.out << "in force: " << policy.bundle() << ", " << policy.rules() << " rules";
    if (policy.seal_required()) {
      io.out << ", revision " << policy.revision() << " signed by "
             << EscapeForTerminal(policy.signed_by());
    }
    io.out << '\n';
  }
  if (!policy.problem().empty()) {
    io.out << "refused: " << EscapeForTerminal(policy.problem()) << '\n';
  }
  for (const wire::BudgetAnew& anew : policy.budgets_anew()) {
    PrintAnew(io, {.budget = anew.budget(), .before = anew.before(), .after = anew.after()});
  }
  if (policy.has_candidate()) {
    const wire::Candidate& candidate = policy.candidate();
    io.out << "watched: " << candidate.bundle() << ", parted in " << candidate.parted() << " of "
           << candidate.decisions() << " decisions\n";
    PrintCounts(io, "", candidate.by_change());
    PrintCounts(io, "rule ", candidate.by_rule());
  }
  return policy.bundle().empty() ? kNo : kYes;
}

template <typename Request, typename Method>
int Ask(Session& session, Method method, Request request) {
  auto client = session.Connect();
  if (!client.ok()) return Fail(session, client.status());
  request.set_parent((*client)->parent());
  const auto policy = (*client)->Call((*client)->policies, method, request);
  if (!policy.ok()) return Fail(session, policy.status());
  return Print(session.io, *policy);
}

}  // namespace

void AddPolicyActiveCommands(CLI::App& group, Session& session) {
  using Stub = wire::PolicyService::Stub;
  CLI::App* activate = group.add_subcommand(
      "activate", "Have the daemon load its policies anew and swap to them while it serves");
  auto reason = std::make_shared<std::string>();
  activate->add_option("--reason", *reason, "Stands in the entry: no personal data")->required();
  Does(activate, session, [&session, reason] {
    wire::ActivatePolicyRequest request;
    request.set_reason(*reason);
    return Ask(session, &Stub::ActivatePolicy, std::move(request));
  });
  CLI::App* status = group.add_subcommand("status", "What is in force, and what is watched");
  Does(status, session,
       [&session] { return Ask(session, &Stub::GetPolicy, wire::GetPolicyRequest()); });
  CLI::App* watch =
      group.add_subcommand("watch", "Have the daemon's `candidate` decide too, without effect");
  Does(watch, session,
       [&session] { return Ask(session, &Stub::WatchCandidate, wire::WatchCandidateRequest()); });
  CLI::App* unwatch = group.add_subcommand("unwatch", "End that");
  Does(unwatch, session,
       [&session] { return Ask(session, &Stub::StopCandidate, wire::StopCandidateRequest()); });
}

}  // namespace interlock::runtime::cli
