#include <algorithm>

#include "core/digest.h"
#include "runtime/planner.h"

namespace interlock::runtime {
namespace {

using core::Json;

constexpr std::pair<Finish, std::string_view> kFinishNames[] = {
    {Finish::kCalls, "calls"}, {Finish::kAnswer, "answer"}, {Finish::kAsk, "ask"}};

core::Status Bad(std::string_view what) {
  return core::InvalidArgument("not a recorded plan: " + std::string(what));
}

core::StatusOr<Finish> FinishOf(const std::optional<std::string>& name) {
  for (const auto& [finish, known] : kFinishNames) {
    if (name == known) return finish;
  }
  return Bad("unknown `finish`");
}

core::StatusOr<ProposedCall> CallOf(std::string_view text) {
  INTERLOCK_ASSIGN_OR_RETURN(const core::JsonObjectView view, core::JsonObjectView::Of(text));
  const auto args = view.String("args");
  const auto id = view.String("id");
  const auto tool = view.String("tool");
  if (!args || !id || !tool) return Bad("a call needs `args`, `id` and `tool`");
  return ProposedCall{
      .id = *id, .tool = *tool, .args_text = *args, .echo = view.String("echo").value_or("")};
}

std::string CallsJson(const std::vector<ProposedCall>& calls) {
  std::string text = "[";
  for (const ProposedCall& call : calls) {
    if (text.size() > 1) text += ',';
    core::JsonObjectWriter writer(text);
    writer.String("args", call.args_text);
    if (!call.echo.empty()) writer.String("echo", call.echo);
    writer.String("id", call.id);
    writer.String("tool", call.tool);
    writer.Close();
  }
  return text + "]";
}

core::StatusOr<std::int64_t> Count(const core::JsonObjectView& view, std::string_view key) {
  const auto value = view.Int(key);
  if (!value || *value < 0) return Bad("token counts must be integers");
  return *value;
}

// One that is left out when it is 0.
core::StatusOr<std::int64_t> CountOr0(const core::JsonObjectView& view, std::string_view key) {
  return view.Raw(key) ? Count(view, key) : core::StatusOr<std::int64_t>(0);
}

std::string TextOr(const core::JsonObjectView& view, std::string_view key) {
  return view.String(key).value_or("");
}

std::string StringsJson(const std::vector<std::string>& strings) {
  std::string text = "[";
  for (const std::string& item : strings) {
    if (text.size() > 1) text += ',';
    core::AppendJsonString(item, text);
  }
  return text + "]";
}

core::StatusOr<std::vector<std::string>> StringsOf(std::optional<std::string_view> raw) {
  if (!raw) return std::vector<std::string>();
  INTERLOCK_ASSIGN_OR_RETURN(const Json list, core::ParseJson(*raw, core::kPayloadLimits));
  if (!list.is_array()) return Bad("`failed` must be a list");
  std::vector<std::string> strings;
  for (const Json& item : list) {
    if (!item.is_string()) return Bad("`failed` must hold text");
    strings.push_back(item.get<std::string>());
  }
  return strings;
}

// Writes members that have something to say; keys in order.
class SparseWriter {
 public:
  explicit SparseWriter(core::JsonObjectWriter& writer) : writer_(writer) {}
  void Int(std::string_view key, std::int64_t value) {
    if (value != 0) writer_.Int(key, value);
  }
  void String(std::string_view key, std::string_view value) {
    if (!value.empty()) writer_.String(key, value);
  }
  void Bool(std::string_view key, bool value) {
    if (value) writer_.Bool(key, true);
  }

 private:
  core::JsonObjectWriter& writer_;
};

core::Status ReadUsage(const core::JsonObjectView& view, Plan& plan) {
  INTERLOCK_ASSIGN_OR_RETURN(plan.prompt_tokens, Count(view, "prompt_tokens"));
  INTERLOCK_ASSIGN_OR_RETURN(plan.cached_tokens, CountOr0(view, "cached_tokens"));
  INTERLOCK_ASSIGN_OR_RETURN(plan.cache_write_tokens, CountOr0(view, "cache_write_tokens"));
  INTERLOCK_ASSIGN_OR_RETURN(plan.completion_tokens, Count(view, "completion_tokens"));
  INTERLOCK_ASSIGN_OR_RETURN(plan.reasoning_tokens, CountOr0(view, "reasoning_tokens"));
  INTERLOCK_ASSIGN_OR_RETURN(plan.cost_micros, CountOr0(view, "cost_micros"));
  INTERLOCK_ASSIGN_OR_RETURN(plan.saved_micros, CountOr0(view, "saved_micros"));
  plan.tokens_estimated = view.Bool("tokens_estimated").value_or(false);
  plan.from_cache = view.Bool("from_cache").value_or(false);
  plan.currency = TextOr(view, "currency");
  return core::OkStatus();
}

}  // namespace

Spent SpentOn(const Plan& plan) {
  if (plan.provider.empty() || plan.from_cache || plan.tokens_estimated) return {};
  return {.use = {.tokens = plan.prompt_tokens + plan.completion_tokens,
                  .cost_micros = plan.cost_micros,
                  .currency = plan.currency},
          .prompt_tokens = plan.prompt_tokens,
          .cached_tokens = plan.cached_tokens,
          .completion_tokens = plan.completion_tokens,
          .reasoning_tokens = plan.reasoning_tokens};
}

void Add(const Spent& more, Spent& sum) {
  sum.use = policies::Together(sum.use, more.use);
  sum.prompt_tokens += more.prompt_tokens;
  sum.cached_tokens += more.cached_tokens;
  sum.completion_tokens += more.completion_tokens;
  sum.reasoning_tokens += more.reasoning_tokens;
}

std::string AuthorName(std::string_view dialect, std::string_view model) {
  return std::string(dialect) + "/" + std::string(model);
}

std::string AuthorOf(const Plan& plan) {
  return plan.dialect.empty() ? "" : AuthorName(plan.dialect, plan.model);
}

std::string RequestSha256(const Plan& plan) {
  return plan.raw_request.empty() ? plan.request_sha256 : core::Hex(core::Sha256(plan.raw_request));
}

std::string PlanToJson(const Plan& plan) {
  const auto name = std::find_if(std::begin(kFinishNames), std::end(kFinishNames),
                                 [&](const auto& entry) { return entry.first == plan.finish; });
  std::string text;
  core::JsonObjectWriter writer(text);
  SparseWriter sparse(writer);
  sparse.Int("cache_write_tokens", plan.cache_write_tokens);
  sparse.Int("cached_tokens", plan.cached_tokens);
  writer.Raw("calls", CallsJson(plan.calls));
  writer.Int("completion_tokens", plan.completion_tokens);
  sparse.Int("cost_micros", plan.cost_micros);
  sparse.String("currency", plan.currency);
  sparse.String("dialect", plan.dialect);
  if (!plan.failed.empty()) writer.Raw("failed", StringsJson(plan.failed));
  sparse.Bool("final", plan.final_answer);
  writer.String("finish", name->second);
  sparse.Bool("from_cache", plan.from_cache);
  sparse.String("model", plan.model);
  writer.Int("prompt_tokens", plan.prompt_tokens);
  sparse.String("provider", plan.provider);
  writer.String("raw", plan.raw);
  sparse.Int("reasoning_tokens", plan.reasoning_tokens);
  sparse.String("request_sha256", RequestSha256(plan));
  sparse.Int("saved_micros", plan.saved_micros);
  sparse.Bool("streamed", plan.streamed);
  writer.String("text", plan.text);
  sparse.Bool("tokens_estimated", plan.tokens_estimated);
  writer.Close();
  return text;
}

core::StatusOr<Plan> PlanFromJson(std::string_view text) {
  // The whole is parsed once, strictly: the views below rely on well-formed text.
  INTERLOCK_RETURN_IF_ERROR(core::ParseJson(text, core::kPayloadLimits).status());
  INTERLOCK_ASSIGN_OR_RETURN(const core::JsonObjectView view, core::JsonObjectView::Of(text));
  Plan plan;
  INTERLOCK_ASSIGN_OR_RETURN(plan.finish, FinishOf(view.String("finish")));
  const auto calls = view.Raw("calls");
  const auto raw = view.String("raw");
  const auto plain = view.String("text");
  if (!calls || !raw || !plain) return Bad("needs `calls`, `raw` and `text`");
  INTERLOCK_ASSIGN_OR_RETURN(const auto elements, core::JsonArrayElements(*calls));
  if (elements.size() > kPlanCallsMax) return Bad("too many calls");
  for (const std::string_view element : elements) {
    INTERLOCK_ASSIGN_OR_RETURN(ProposedCall call, CallOf(element));
    plan.calls.push_back(std::move(call));
  }
  if ((plan.finish == Finish::kCalls) == plan.calls.empty())
    return Bad("`finish` does not fit `calls`");
  INTERLOCK_RETURN_IF_ERROR(ReadUsage(view, plan));
  INTERLOCK_ASSIGN_OR_RETURN(plan.failed, StringsOf(view.Raw("failed")));
  plan.final_answer = view.Bool("final").value_or(false);
  plan.raw = *raw;
  plan.text = *plain;
  plan.provider = TextOr(view, "provider");
  plan.model = TextOr(view, "model");
  plan.dialect = TextOr(view, "dialect");
  plan.request_sha256 = TextOr(view, "request_sha256");
  plan.streamed = view.Bool("streamed").value_or(false);
  return plan;
}

}  // namespace interlock::runtime
