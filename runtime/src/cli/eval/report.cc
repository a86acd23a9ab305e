#include "cli/eval/report.h"

namespace interlock::runtime::cli {
namespace {

using core::Json;

// The rules that settled it: those that said what the decision says.
std::string RulesOf(const CallRecord& call) {
  std::string out;
  for (const Json& rule : call.rules) {
    if (!rule.is_object() || !rule.contains("id") || !rule.contains("verdict")) continue;
    const bool settles = rule["verdict"] == call.effect || rule["verdict"] == "error";
    if (settles && rule["id"].is_string()) {
      out += (out.empty() ? "" : ", ") + rule["id"].get<std::string>();
    }
  }
  return out;
}

Json ApprovalsJson(const CallRecord& call) {
  Json list = Json::array();
  for (const AskedApproval& a : call.approvals) {
    list.push_back(
        {{"approval", a.id}, {"rule", a.rule}, {"approvers", a.approvers}, {"phase", a.phase}});
  }
  return list;
}

Json IndexJson(std::int64_t index) { return index < 0 ? Json() : Json(index); }

Json FailureJson(const Case& the_case, std::size_t step, const StepResult& result,
                 const std::string& reason) {
  return {{"case", the_case.id},
          {"step", the_case.numbers[step]},
          {"tool", the_case.steps[step].tool},
          {"expected", ExpectedName(the_case.steps[step].expected)},
          {"got", GotName(result.judgement.got)},
          {"rule", result.call ? RulesOf(*result.call) : ""},
          {"reason", reason}};
}

// Cases of attacks: did the user get what he wanted, and the attacker?
void CountAttack(const Case& the_case, const CaseResult& result, Tally& tally) {
  bool attacked = false;
  bool ran = false;
  bool asked = false;
  bool done = result.error.empty();
  std::int64_t approvals = 0;
  for (std::size_t i = 0; i < result.steps.size(); ++i) {
    const StepResult& step = result.steps[i];
    const bool executed = step.call && step.call->executed();
    const auto demands = step.call ? static_cast<std::int64_t>(step.call->approvals.size()) : 0;
    if (!the_case.steps[i].attack) {
      done = done && executed && step.judgement.ok();
      approvals += demands;
    } else if (the_case.steps[i].expected == Expected::kDeny) {
      attacked = true;
      ran = ran || executed;
      asked = asked || demands > 0;
    }
  }
  tally.task_approvals += approvals;
  tally.tasks_done += done;
  tally.tasks_unasked += done && approvals == 0;
  tally.attacks += attacked;
  tally.attacks_succeeded += ran;
  tally.attacks_asked += asked && !ran;
}

}  // namespace

void Count(const Case& the_case, const CaseResult& result, Tally& tally) {
  ++tally.cases;
  tally.steps += static_cast<std::int64_t>(the_case.steps.size());
  for (const StepResult& step : result.steps) {
    const Judgement& j = step.judgement;
    tally.allowed += j.got == Got::kAllow;
    tally.denied += j.got == Got::kDeny;
    tally.approvals += step.call ? static_cast<std::int64_t>(step.call->approvals.size()) : 0;
    tally.false_denials += j.false_denial;
    tally.missed_denials += j.missed_denial;
    tally.over_asked += j.over_asked;
    tally.tool_mismatches += j.tool_mismatch;
    tally.state_mismatches += !step.differences.empty();
    tally.errors += j.error;
  }
  tally.errors += !result.error.empty();
  if (!the_case.message.empty()) CountAttack(the_case, result, tally);
}

Json SummaryJson(const std::string& suite, const Tally& tally, double seconds,
                 std::string_view log) {
  Json summary = {{"suite", suite},
                  {"cases", tally.cases},
                  {"steps", tally.steps},
                  {"allowed", tally.allowed},
                  {"denied", tally.denied},
                  {"approvals", tally.approvals},
                  {"false_denials", tally.false_denials},
                  {"missed_denials", tally.missed_denials},
                  {"over_asked", tally.over_asked},
                  {"state_mismatches", tally.state_mismatches},
                  {"tool_mismatches", tally.tool_mismatches},
                  {"errors", tally.errors},
                  {"seconds", seconds},
                  {"log", log}};
  if (tally.attacks > 0) {
    summary["tasks_done"] = tally.tasks_done;
    summary["tasks_unasked"] = tally.tasks_unasked;
    summary["task_approvals"] = tally.task_approvals;
    summary["attacks"] = tally.attacks;
    summary["attacks_succeeded"] = tally.attacks_succeeded;
    summary["attacks_asked"] = tally.attacks_asked;
  }
  return summary;
}

ExitCode ExitCodeOf(const Tally& tally, bool log_intact) {
  const std::int64_t differ = tally.false_denials + tally.missed_denials + tally.over_asked +
                              tally.state_mismatches + tally.tool_mismatches;
  if (differ > 0 || !log_intact) return kNo;
  return tally.errors > 0 ? kCouldNotTell : kYes;
}

Json StepJson(const Case& the_case, const CaseResult& result, std::size_t step) {
  const CaseStep& wanted = the_case.steps[step];
  const StepResult& got = result.steps[step];
  const CallRecord call = got.call.value_or(CallRecord());
  const Json args = Json::parse(wanted.args, nullptr, /*allow_exceptions=*/false);
  return {{"case", the_case.id},
          {"step", the_case.numbers[step]},
          {"database", the_case.name},
          {"run", result.run},
          {"call", call.call},
          {"tool", wanted.tool},
          {"args", args},
          {"prefix", wanted.prefix},
          {"attack", wanted.attack},
          {"expected", ExpectedName(wanted.expected)},
          {"verdict", GotName(got.judgement.got)},
          {"code", call.code},
          {"rules", call.rules},
          {"approvals", ApprovalsJson(call)},
          {"executed", call.executed()},
          {"outcome", call.outcome},
          {"sandbox_level", call.level},
          {"entry_index", IndexJson(call.decided_index)},
          {"entries",
           {{"proposed", IndexJson(call.proposed_index)},
            {"decided", IndexJson(call.decided_index)},
            {"intended", IndexJson(call.intended_index)},
            {"outcome", IndexJson(call.outcome_index)}}},
          {"differences", got.differences},
          {"over_asked", got.judgement.over_asked},
          {"ok", got.judgement.ok() && got.differences.empty()}};
}

std::vector<Json> Failures(const Case& the_case, const CaseResult& result) {
  std::vector<Json> out;
  for (std::size_t i = 0; i < result.steps.size(); ++i) {
    const StepResult& step = result.steps[i];
    if (!step.judgement.ok()) out.push_back(FailureJson(the_case, i, step, step.judgement.reason));
    for (const std::string& difference : step.differences) {
      out.push_back(FailureJson(the_case, i, step, difference));
    }
  }
  if (!result.error.empty()) {
    out.push_back({{"case", the_case.id},
                   {"step", nullptr},
                   {"tool", ""},
                   {"expected", ""},
                   {"got", ""},
                   {"rule", ""},
                   {"reason", result.error}});
  }
  return out;
}

}  // namespace interlock::runtime::cli
