#include "engine/context.h"

#include <algorithm>
#include <set>

#include "core/json.h"
#include "engine/entries.h"
#include "engine/long_results.h"
#include "engine/step.h"

namespace interlock::runtime {
namespace {

constexpr std::int64_t kMessageTokens = 4;  // around a message
constexpr std::int64_t kCallTokens = 8;     // around a call
constexpr std::int64_t kLineTokens = 60;    // LeftOutLine
constexpr std::size_t kLongText = 160;      // shorter texts of the planner stay
constexpr std::size_t kTextKept = 80;       // of a longer one
constexpr std::int64_t kCorrectionMax = 4;  // a report further off is not believed

std::int64_t Weight(const ChatMessage& message, TokenFamily family) {
  std::int64_t tokens = kMessageTokens + EstimateTokens(message.text, family);
  for (const ProposedCall& call : message.calls) {
    tokens += kCallTokens + EstimateTokens(call.tool, family) +
              EstimateTokens(call.args_text, family) + EstimateTokens(call.echo, family);
  }
  return tokens;
}

void Weigh(RunCore& run) {
  ContextState& context = run.context;
  context.marks.resize(run.messages.size());
  for (std::size_t i = 0; i < run.messages.size(); ++i) {
    if (context.marks[i].tokens >= 0) continue;
    context.marks[i].tokens = Weight(run.messages[i], context.budget.family);
  }
}

std::int64_t WeightOf(const std::vector<MessageMark>& marks) {
  std::int64_t sum = 0;
  for (const MessageMark& mark : marks) sum += mark.tokens;
  return sum;
}

// Rounded up.
std::int64_t Corrected(const ContextState& context, std::int64_t estimated) {
  const auto at = context.reports.find(context.model);
  if (at == context.reports.end()) return estimated;
  const TokenReport& report = at->second;
  return (estimated * report.reported + report.estimated - 1) / report.estimated;
}

// Of a prompt whose messages weigh as much.
std::int64_t Estimated(const RunCore& run, std::int64_t messages) {
  const std::int64_t line = run.context.left_out.any() ? kLineTokens : 0;
  return run.context.budget.overhead + line + messages;
}

// The newest plan, and all that came after it, stay whole.
std::size_t NewestPlan(const RunCore& run) {
  for (std::size_t i = run.messages.size(); i > 0; --i) {
    if (run.messages[i - 1].role == Role::kAssistant) return i - 1;
  }
  return 0;
}

// What waits for somebody: pending approvals, and calls whose end nobody knows yet.
std::set<std::string> OpenCalls(const RunCore& run) {
  std::set<std::string> open;
  for (const CallSlot& slot : run.slots) {
    if (!slot.call.empty()) open.insert(slot.call);
  }
  return open;
}

// One past the results that follow the plan at `plan`.
std::size_t EndOfPlan(const RunCore& run, std::size_t plan) {
  std::size_t end = plan + 1;
  while (end < run.messages.size() && run.messages[end].role == Role::kTool) ++end;
  return end;
}

class Fitting {
 public:
  explicit Fitting(RunCore& run)
      : run_(run),
        open_(OpenCalls(run)),
        newest_(NewestPlan(run)),
        messages_(WeightOf(run.context.marks)),
        target_(run.context.budget.tokens - run.context.budget.tokens / 4) {}

  void Run() {
    for (std::size_t i = 0; i < newest_ && !Done(); ++i) ShortenResult(i);
    for (std::size_t i = 0; i < newest_ && !Done(); ++i) ShortenPlan(i);
    for (std::size_t i = 0; i < newest_ && !Done();) {
      if (!DropPlan(i)) ++i;
    }
  }

 private:
  bool Done() const { return Corrected(run_.context, Estimated(run_, messages_)) <= target_; }

  // Weighs the message anew; false, and as it was, when that makes it no lighter.
  bool Replace(std::size_t at, ChatMessage message) {
    MessageMark& mark = run_.context.marks[at];
    const std::int64_t tokens = Weight(message, run_.context.budget.family);
    if (tokens >= mark.tokens) return false;
    run_.messages[at] = std::move(message);
    messages_ += tokens - mark.tokens;
    mark.tokens = tokens;
    return true;
  }

  void ShortenResult(std::size_t at) {
    const MessageMark& mark = run_.context.marks[at];
    if (mark.call.empty() || mark.left_out || open_.contains(mark.call)) return;
    ChatMessage shorter = run_.messages[at];
    const std::string line = ObservationLeftOut(shorter.text.size(), mark.handle);
    // Of a note of the runtime its first words, which name the call, stay.
    const std::size_t at_result =
        shorter.role == Role::kUser ? shorter.text.find(kLateResult) : std::string::npos;
    const std::size_t kept = at_result == std::string::npos ? 0 : at_result + kLateResult.size();
    shorter.text = shorter.text.substr(0, kept) + line;
    if (!Replace(at, std::move(shorter))) return;
    run_.context.marks[at].left_out = true;
    ++run_.context.left_out.results;
  }

  // Calls, and the result of each behind them.
  bool IsComplete(std::size_t plan) const {
    const std::vector<ProposedCall>& calls = run_.messages[plan].calls;
    const std::size_t end = EndOfPlan(run_, plan);
    if (calls.empty() || end - plan - 1 != calls.size()) return false;
    return std::all_of(calls.begin(), calls.end(), [&](const ProposedCall& call) {
      return std::any_of(run_.messages.begin() + static_cast<std::ptrdiff_t>(plan) + 1,
                         run_.messages.begin() + static_cast<std::ptrdiff_t>(end),
                         [&](const ChatMessage& one) { return one.call_id == call.id; });
    });
  }

  bool IsOpen(std::size_t plan) const {
    for (std::size_t i = plan + 1; i < EndOfPlan(run_, plan); ++i) {
      if (open_.contains(run_.context.marks[i].call)) return true;
    }
    return false;
  }

  void ShortenPlan(std::size_t at) {
    const MessageMark& mark = run_.context.marks[at];
    if (run_.messages[at].role != Role::kAssistant || mark.left_out || IsOpen(at)) return;
    ChatMessage shorter = run_.messages[at];
    if (shorter.text.size() > kLongText) shorter.text = CutText(shorter.text, kTextKept);
    for (ProposedCall& call : shorter.calls) {
      if (call.args_text.size() <= kLongText) continue;
      call.args_text = R"({"left_out":")" + std::to_string(call.args_text.size()) + R"( bytes"})";
    }
    if (!Replace(at, std::move(shorter))) return;
    run_.context.marks[at].left_out = true;
    ++run_.context.left_out.texts;
  }

  // A plan goes with the results of its calls, so that none stands alone. What it said to the user
  // stays, as his answer needs it.
  bool DropPlan(std::size_t at) {
    if (run_.messages[at].role != Role::kAssistant || !IsComplete(at) || IsOpen(at)) return false;
    const auto first = static_cast<std::ptrdiff_t>(at);
    const auto end = static_cast<std::ptrdiff_t>(EndOfPlan(run_, at));
    auto& marks = run_.context.marks;
    for (std::ptrdiff_t i = first; i < end; ++i) {
      LeftOut& counted = run_.context.left_out;
      const MessageMark& mark = marks[static_cast<std::size_t>(i)];
      if (mark.left_out) --(i == first ? counted.texts : counted.results);
      messages_ -= mark.tokens;
    }
    run_.messages.erase(run_.messages.begin() + first, run_.messages.begin() + end);
    marks.erase(marks.begin() + first, marks.begin() + end);
    newest_ -= static_cast<std::size_t>(end - first);
    ++run_.context.left_out.plans;
    return true;
  }

  RunCore& run_;
  const std::set<std::string> open_;
  std::size_t newest_;
  std::int64_t messages_;  // what they weigh
  const std::int64_t target_;
};

// What weighs most of a prompt that cannot be made to fit, and what makes it lighter.
struct Heaviest {
  std::int64_t tokens;
  const char* what;
  const char* remedy;
};

Heaviest HeaviestOf(const RunCore& run) {
  Heaviest parts[] = {
      {0, "results of its newest calls",
       "name `read_result` among the agent's tools, so that long ones are read in parts, or lower "
       "its `result_bytes_max`"},
      {0, "what the user wrote", "start a new run with what it still needs"},
      {run.context.budget.overhead, "the agent's prompt and its tools", "shorten them"},
      {0, "what its planner wrote", "start a new run with what it still needs"},
  };
  for (std::size_t i = 0; i < run.messages.size(); ++i) {
    const Role role = run.messages[i].role;
    const MessageMark& mark = run.context.marks[i];
    const bool result = role == Role::kTool || !mark.call.empty();
    parts[result ? 0 : role == Role::kUser ? 1 : 3].tokens += mark.tokens;
  }
  return *std::max_element(
      std::begin(parts), std::end(parts),
      [](const Heaviest& a, const Heaviest& b) { return a.tokens < b.tokens; });
}

std::string Counted(std::int64_t count, std::string_view one, std::string_view many) {
  return std::to_string(count) + " " + std::string(count == 1 ? one : many);
}

}  // namespace

std::int64_t PromptShare(std::int64_t window) { return window - window / 8; }

std::int64_t PromptTokens(RunCore& run) {
  Weigh(run);
  return Corrected(run.context, Estimated(run, WeightOf(run.context.marks)));
}

void FitContext(RunCore& run) {
  if (run.context.budget.tokens == 0) return;
  if (PromptTokens(run) > run.context.budget.tokens) Fitting(run).Run();
  run.context.asked = Estimated(run, WeightOf(run.context.marks));
}

std::optional<std::string> ContextOverflow(RunCore& run) {
  const ContextState& context = run.context;
  if (context.budget.tokens == 0) return std::nullopt;
  std::int64_t most = PromptTokens(run);
  for (const CallSlot& slot : run.slots) {
    const std::int64_t tokens = 2 * kMessageTokens + 40 +
                                EstimateTokens(slot.observation, context.budget.family) +
                                EstimateTokens(slot.proposed.tool, context.budget.family);
    most += Corrected(context, tokens);
  }
  if (most <= context.budget.tokens) return std::nullopt;
  RunCore probe = run;
  Step(probe, event::PlanRequested{});
  const std::int64_t needed = PromptTokens(probe);
  if (needed <= probe.context.budget.tokens) return std::nullopt;
  const Heaviest heaviest = HeaviestOf(probe);
  return "the conversation needs about " + std::to_string(needed) +
         " tokens, and the model is given " + std::to_string(context.budget.tokens) +
         " at most, though all was left out that may be; most of it is " + heaviest.what + " (" +
         std::to_string(heaviest.tokens) + "): " + heaviest.remedy +
         "; or give the agent a model with a larger window (`contexts` of the configuration, and "
         "`limits.context_tokens_max` of the agent where it is less)";
}

std::string LeftOutLine(const RunCore& run) {
  const LeftOut& left_out = run.context.left_out;
  if (!left_out.any()) return "";
  std::string line = "[from the runtime] To fit the context window, older parts were left out: ";
  line += Counted(left_out.results, "result", "results") + ", ";
  line += Counted(left_out.texts, "plan in part", "plans in part") + ", ";
  line += Counted(left_out.plans, "plan with its results", "plans with their results") + ".";
  return line;
}

void LearnTokens(RunCore& run, const Plan& plan) {
  ContextState& context = run.context;
  context.model = plan.provider + "/" + plan.model;
  const bool tells = plan.prompt_tokens > 0 && !plan.tokens_estimated && !plan.from_cache;
  if (!tells || context.asked <= 0) return;
  context.reports[context.model] = {
      .reported =
          std::clamp(plan.prompt_tokens, (context.asked + kCorrectionMax - 1) / kCorrectionMax,
                     context.asked * kCorrectionMax),
      .estimated = context.asked};
}

std::string PromptText(const RunCore& run, std::string_view system) {
  std::string text = "[";
  const auto add = [&text](int role, std::string_view said, const std::vector<ProposedCall>& calls,
                           std::string_view call_id) {
    if (text.size() > 1) text += ',';
    core::JsonObjectWriter writer(text);
    std::string list = "[";
    for (const ProposedCall& call : calls) {
      if (list.size() > 1) list += ',';
      core::JsonObjectWriter one(list);
      one.String("args", call.args_text);
      one.String("echo", call.echo);
      one.String("id", call.id);
      one.String("tool", call.tool);
      one.Close();
    }
    list += ']';
    writer.String("call_id", call_id);
    writer.Raw("calls", list);
    writer.Int("role", role);
    writer.String("text", said);
    writer.Close();
  };
  add(static_cast<int>(Role::kSystem), system, {}, "");
  if (run.context.left_out.any()) {
    add(static_cast<int>(Role::kSystem), LeftOutLine(run), {}, "");
  }
  for (const ChatMessage& message : run.messages) {
    add(static_cast<int>(message.role), message.text, message.calls, message.call_id);
  }
  return text + "]";
}

}  // namespace interlock::runtime
