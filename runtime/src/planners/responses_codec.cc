// OpenAI's Responses. Field names: OpenAI API reference, "Create a model response" and "Streaming
// events". Nothing is stored at the provider: each request says the whole conversation.
#include "answer_form.h"
#include "codec.h"
#include "conversation.h"
#include "openai_body.h"
#include "tool_names.h"
#include "wire_json.h"
#include "wire_write.h"

namespace interlock::runtime {
namespace {

using core::AppendJsonString;
using core::Json;

void AppendSaid(std::string_view role, std::string_view text, std::string& out) {
  out += "{\"role\":";
  AppendJsonString(role, out);
  out += ",\"content\":";
  AppendJsonString(text, out);
  out += '}';
}

void AppendCall(const ProposedCall& call, const std::string& id, std::string& out) {
  out += "{\"type\":\"function_call\",\"call_id\":";
  AppendJsonString(id, out);
  out += ",\"name\":";
  AppendJsonString(WireToolName(call.tool), out);
  out += ",\"arguments\":";
  AppendJsonString(call.args_text, out);
  out += '}';
}

void AppendResult(std::string_view text, const std::string& id, std::string& out) {
  out += "{\"type\":\"function_call_output\",\"call_id\":";
  AppendJsonString(id, out);
  out += ",\"output\":";
  AppendJsonString(text, out);
  out += '}';
}

void AppendMessage(const ChatMessage& message, const WireOptions& /*options*/, WireIds& ids,
                   std::string& out) {
  switch (message.role) {
    case Role::kSystem:
      return AppendSaid("system", message.text, out);
    case Role::kUser:
      return AppendSaid("user", message.text, out);
    case Role::kTool:
      return AppendResult(message.text, ids.Of(message.call_id), out);
    case Role::kAssistant:
      break;
  }
  ids.Begin(message);
  bool first = true;
  if (!message.text.empty() || message.calls.empty()) {
    AppendSaid("assistant", message.text, out);
    first = false;
  }
  for (const ProposedCall& call : message.calls) {
    if (!first) out += ',';
    first = false;
    AppendCall(call, ids.Of(call.id), out);
  }
}

void AppendTool(const tools::Manifest& manifest, std::string& out) {
  out += "{\"type\":\"function\",\"name\":";
  AppendJsonString(WireToolName(manifest.name), out);
  out += ",\"description\":";
  AppendJsonString(manifest.description, out);
  out += ",\"parameters\":";
  core::AppendCanonicalJson(manifest.input_schema, out);
  out += ",\"strict\":false}";
}

void AppendOptions(const PlanRequest& request, const WireOptions& options, std::string& out) {
  out += ",\"store\":false";
  AppendTemperature(options.temperature, out);
  if (options.output_tokens_max > 0) {
    out += ",\"max_output_tokens\":" + std::to_string(options.output_tokens_max);
  }
  if (options.stream) out += ",\"stream\":true";
  if (request.answer_schema.is_null() || request.ends_by_tool) return;
  const Json schema = AnswerSchemaOf(request);
  out += R"(,"text":{"format":{"type":"json_schema","name":"answer","schema":)";
  core::AppendCanonicalJson(schema, out);
  out += IsStrictSchema(schema) ? ",\"strict\":true}}" : ",\"strict\":false}}";
}

core::Status CheckStatus(const Json& reply) {
  const std::string_view status = TextOrNone(reply, "status");
  if (status == "failed" || Member(reply, "error") != nullptr) {
    return StatusOfError(reply);
  }
  if (status == "incomplete") {
    const Json* const details = Member(reply, "incomplete_details");
    const bool filtered = details != nullptr && TextOrNone(*details, "reason") == "content_filter";
    return filtered ? RefusedReply(kFilteredReply) : ModelFault(kCutReply);
  }
  if (!status.empty() && status != "completed") return BadReply("it is not complete");
  return core::OkStatus();
}

core::Status AddContent(const Json& message, PlanBuilder& builder) {
  const Json* const content = Member(message, "content");
  if (content == nullptr || !content->is_array()) return BadReply("a message without `content`");
  for (const Json& part : *content) {
    if (TextOrNone(part, "type") == "refusal") {
      INTERLOCK_RETURN_IF_ERROR(builder.Refuse(Member(part, "refusal")));
    } else {
      INTERLOCK_RETURN_IF_ERROR(builder.AddText(Member(part, "text"), "`content`"));
    }
  }
  return core::OkStatus();
}

void CountTokens(const Json* usage, Plan& plan) {
  TokenCounts counts(usage);
  plan.prompt_tokens = counts.Of("input_tokens");
  plan.cached_tokens = counts.Of("input_tokens_details", "cached_tokens");
  plan.completion_tokens = counts.Of("output_tokens");
  plan.reasoning_tokens = counts.Of("output_tokens_details", "reasoning_tokens");
  counts.Judge(plan);
}

// The whole response comes at the end of the stream; the deltas before it are for watchers.
class Fold final : public StreamFold {
 public:
  core::Status Add(const StreamEvent& event, std::string& text) override {
    INTERLOCK_ASSIGN_OR_RETURN(const Json data, ParseReply(event.data));
    const std::string_view type = TextOrNone(data, "type");
    if (type == "error") return StatusOfError(data);
    if (type == "response.output_text.delta") text += TextOrNone(data, "delta");
    if (type == "response.completed" || type == "response.incomplete" ||
        type == "response.failed") {
      const Json* const response = Member(data, "response");
      if (response == nullptr) return BadReply("an event without `response`");
      whole_ = core::CanonicalJson(*response);
      ended_ = true;
    }
    return core::OkStatus();
  }

  core::StatusOr<std::string> Whole() override {
    if (!ended_) return StreamCut();
    return std::move(whole_);
  }

  bool ended() const override { return ended_; }

 private:
  std::string whole_;
  bool ended_ = false;
};

class Responses final : public Codec {
 public:
  core::StatusOr<WireRequest> Write(const PlanRequest& request,
                                    const WireOptions& options) const override {
    return WireRequest{.path = "/responses",
                       .body = OpenAiBody(request, options,
                                          {.options = AppendOptions,
                                           .messages = "input",
                                           .message = AppendMessage,
                                           .tool = AppendTool})};
  }

  Headers KeyHeaders(const std::string& api_key) const override { return BearerHeader(api_key); }

  std::unique_ptr<StreamFold> NewFold() const override { return std::make_unique<Fold>(); }

 private:
  void ReadUsage(const Json& reply, Plan& plan) const override {
    CountTokens(Member(reply, "usage"), plan);
  }

  core::Status ReadReply(const Json& reply, PlanBuilder& builder) const override {
    INTERLOCK_RETURN_IF_ERROR(CheckStatus(reply));
    const Json* const output = Member(reply, "output");
    if (output == nullptr || !output->is_array()) return BadReply("no `output`");
    for (const Json& item : *output) {
      const std::string_view type = TextOrNone(item, "type");
      if (type == "message") INTERLOCK_RETURN_IF_ERROR(AddContent(item, builder));
      if (type != "function_call") continue;
      INTERLOCK_RETURN_IF_ERROR(builder.AddCall(Member(item, "call_id"), Member(item, "name"),
                                                Member(item, "arguments"), ""));
    }
    return core::OkStatus();
  }
};

}  // namespace

const Codec& ResponsesCodec() {
  static const Responses kCodec;
  return kCodec;
}

}  // namespace interlock::runtime
