#include "engine/loops.h"

#include <algorithm>

#include "core/digest.h"
#include "core/json.h"

namespace interlock::runtime {
namespace {

constexpr std::size_t kArgsKept = 512;

std::string Kept(const std::string& args) {
  return args.size() <= kArgsKept ? args : core::Hex(core::Sha256(args));
}

std::string Canonical(const std::string& args) {
  const auto json = core::ParseJson(args, core::kArgsLimits);
  return json.ok() ? core::CanonicalJson(*json) : args;
}

void AddArgs(const std::vector<MadeCall>& calls, const std::string& tool,
             std::vector<std::string>& args) {
  for (const MadeCall& call : calls) {
    if (call.tool == tool) args.push_back(call.args);
  }
}

std::vector<MadeCall> CallsOf(const Plan& plan) {
  std::vector<MadeCall> calls;
  calls.reserve(plan.calls.size());
  for (const ProposedCall& call : plan.calls) calls.push_back({call.tool, Kept(call.args_text)});
  return calls;
}

// Of the arguments in `args` those that are equal to these.
std::int64_t TimesOf(const std::string& mine, const std::vector<std::string>& args) {
  const std::string canonical = Canonical(mine);
  return std::count_if(args.begin(), args.end(), [&](const std::string& other) {
    return other == mine || Canonical(other) == canonical;
  });
}

}  // namespace

Loop LoopOf(const MadePlans& before, const Plan& plan, std::int64_t repeats_max) {
  const std::vector<MadeCall> calls = CallsOf(plan);
  for (const MadeCall& call : calls) {
    std::vector<std::string> args;
    for (const std::vector<MadeCall>& earlier : before) AddArgs(earlier, call.tool, args);
    AddArgs(calls, call.tool, args);
    // Nothing is parsed for a tool that was not called so often at all.
    if (static_cast<std::int64_t>(args.size()) <= repeats_max) continue;
    const std::int64_t times = TimesOf(call.args, args);
    if (times > repeats_max) return {.tool = call.tool, .times = times};
  }
  return {};
}

void NotePlan(MadePlans& plans, const Plan& plan, std::int64_t repeats_max) {
  if (plan.calls.empty()) return;
  plans.push_back(CallsOf(plan));
  // With the plan that is looked at next there are so many.
  const auto most = static_cast<std::size_t>(repeats_max * kPlansPerRepeat - 1);
  if (plans.size() > most) plans.erase(plans.begin());
}

}  // namespace interlock::runtime
