// Gemini's generateContent. Field names: Gemini API reference, "Generating content"; signatures:
// "Thought signatures". The model's name is a part of the path. Beside tools it takes no schema for
// the answer, so that is one more function then (kAnswerTool).
#include <algorithm>
#include <array>
#include <utility>

#include "answer_form.h"
#include "codec.h"
#include "conversation.h"
#include "tool_names.h"
#include "wire_json.h"
#include "wire_write.h"

namespace interlock::runtime {
namespace {

using core::AppendJsonString;
using core::Json;

constexpr std::size_t kModelBytesMax = 128;
// "Thought signatures", FAQ: in place of the signature of a call that the model did not write.
constexpr std::string_view kNoSignature = "skip_thought_signature_validator";

bool IsModelName(std::string_view model) {
  return !model.empty() && model.size() <= kModelBytesMax && model.find("..") == model.npos &&
         std::all_of(model.begin(), model.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '-' || c == '_' || c == '.' || c == '/';
         });
}

// Gemini 3 and later refuse (400) a conversation where the first call of a step has no signature.
// Names without a version may be one of these; models before take no placeholder.
bool WantsSignatures(std::string_view model) {
  const std::string_view name = model.substr(model.rfind('/') + 1);
  return name.starts_with("gemini-") && !name.starts_with("gemini-1") &&
         !name.starts_with("gemini-2");
}

void AppendPart(const WireItem& item, std::string_view signature, std::string& out) {
  if (item.call != nullptr) {
    out += "{\"functionCall\":{\"name\":";
    AppendJsonString(WireToolName(item.call->tool), out);
    out += ",\"args\":" + ArgsObject(item.call->args_text) + "}";
    if (!signature.empty()) {
      out += ",\"thoughtSignature\":";
      AppendJsonString(signature, out);
    }
  } else if (!item.id.empty()) {
    out += "{\"functionResponse\":{\"name\":";
    AppendJsonString(item.tool.empty() ? "unknown" : WireToolName(item.tool), out);
    out += ",\"response\":{\"output\":";
    AppendJsonString(item.text, out);
    out += "}}";
  } else {
    out += "{\"text\":";
    AppendJsonString(item.text, out);
  }
  out += '}';
}

void AppendTurn(const WireTurn& turn, bool signs, std::string& out) {
  bool first_call = signs;
  out += turn.model ? R"({"role":"model","parts":[)" : R"({"role":"user","parts":[)";
  AppendList(turn.items, out, [&](const WireItem& item) {
    const bool first = item.call != nullptr && std::exchange(first_call, false);
    AppendPart(item, item.echo.empty() && first ? kNoSignature : item.echo, out);
  });
  out += "]}";
}

void AppendFunction(const tools::Manifest& manifest, std::string& out) {
  out += "{\"name\":";
  AppendJsonString(WireToolName(manifest.name), out);
  out += ",\"description\":";
  AppendJsonString(manifest.description, out);
  out += ",\"parametersJsonSchema\":";
  core::AppendCanonicalJson(manifest.input_schema, out);
  out += '}';
}

void AppendTools(const PlanRequest& request, std::string& out) {
  if (request.tools.empty() && !request.ends_by_tool) return;
  out += R"(,"tools":[{"functionDeclarations":[)";
  AppendList(request.tools, out, [&](const auto& tool) { AppendFunction(tool->manifest(), out); });
  const bool answers = TakesAnswerTool(request);
  if (!request.tools.empty() && answers) out += ',';
  if (answers) AppendFunction(AnswerToolOf(request), out);
  out += "]}]";
}

void AppendConfig(const PlanRequest& request, const WireOptions& options, std::string& out) {
  std::string config;
  AppendTemperature(options.temperature, config);
  if (options.output_tokens_max > 0) {
    config += ",\"maxOutputTokens\":" + std::to_string(options.output_tokens_max);
  }
  if (request.tools.empty() && !request.ends_by_tool && !request.answer_schema.is_null()) {
    config += R"(,"responseMimeType":"application/json","responseJsonSchema":)";
    core::AppendCanonicalJson(AnswerSchemaOf(request), config);
  }
  if (config.empty()) return;
  config.front() = '{';
  out += ",\"generationConfig\":" + config + "}";
}

core::Status CheckFinish(std::string_view reason) {
  if (reason.empty() || reason == "STOP" || reason == "FINISH_REASON_UNSPECIFIED") {
    return core::OkStatus();
  }
  if (reason == "MAX_TOKENS") return ModelFault(kCutReply);
  constexpr std::array<std::string_view, 6> kFilters = {
      "SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY"};
  if (std::find(kFilters.begin(), kFilters.end(), reason) != kFilters.end()) {
    return RefusedReply(kFilteredReply);
  }
  if (reason == "MALFORMED_FUNCTION_CALL" || reason == "UNEXPECTED_TOOL_CALL") {
    return ModelFault("the model wrote a tool call that its provider could not read");
  }
  return BadReply("it ended for a reason that is not known here");
}

core::Status AddPart(const Json& part, PlanBuilder& builder) {
  const Json* const thought = Member(part, "thought");
  if (thought != nullptr && *thought == true) return core::OkStatus();
  if (const Json* const call = Member(part, "functionCall")) {
    return builder.AddCall(Member(*call, "id"), Member(*call, "name"), Member(*call, "args"),
                           std::string(TextOrNone(part, "thoughtSignature")));
  }
  return builder.AddText(Member(part, "text"), "`text`");
}

void CountTokens(const Json* usage, Plan& plan) {
  TokenCounts counts(usage);
  plan.prompt_tokens = counts.Of("promptTokenCount") + counts.Of("toolUsePromptTokenCount");
  plan.cached_tokens = counts.Of("cachedContentTokenCount");
  plan.reasoning_tokens = counts.Of("thoughtsTokenCount");
  plan.completion_tokens = counts.Of("candidatesTokenCount") + plan.reasoning_tokens;
  counts.Judge(plan);
}

const Json* FirstCandidate(const Json& reply) {
  const Json* const candidates = Member(reply, "candidates");
  return candidates == nullptr || !candidates->is_array() || candidates->empty()
             ? nullptr
             : &candidates->front();
}

// Every event is a reply of its own with the next parts; the last one says why it ended.
class Fold final : public StreamFold {
 public:
  core::Status Add(const StreamEvent& event, std::string& text) override {
    INTERLOCK_ASSIGN_OR_RETURN(const Json chunk, ParseReply(event.data));
    if (Member(chunk, "error") != nullptr) return StatusOfError(chunk);
    for (const char* key : {"usageMetadata", "promptFeedback"}) {
      if (const Json* const value = Member(chunk, key)) whole_[key] = *value;
    }
    const Json* const feedback = Member(chunk, "promptFeedback");  // ratings alone end nothing
    if (feedback != nullptr && !TextOrNone(*feedback, "blockReason").empty()) ended_ = true;
    const Json* const candidate = FirstCandidate(chunk);
    if (candidate == nullptr) return core::OkStatus();
    if (const Json* const reason = Member(*candidate, "finishReason")) {
      reason_ = *reason;
      ended_ = true;
    }
    const Json* const parts = Member(Member(*candidate, "content"), "parts");
    if (parts == nullptr || !parts->is_array()) return core::OkStatus();
    for (const Json& part : *parts) {
      const Json* const thought = Member(part, "thought");
      if (thought == nullptr || *thought != true) text += TextOrNone(part, "text");
      parts_.push_back(part);
    }
    return core::OkStatus();
  }

  core::StatusOr<std::string> Whole() override {
    if (!ended_) return StreamCut();
    Json& candidate = whole_["candidates"][0];
    candidate["content"]["parts"] = std::move(parts_);
    candidate["finishReason"] = std::move(reason_);
    return core::CanonicalJson(whole_);
  }

  bool ended() const override { return ended_; }

 private:
  Json whole_ = Json::object();
  Json parts_ = Json::array();
  Json reason_;
  bool ended_ = false;
};

class Gemini final : public Codec {
 public:
  core::Status CheckModel(std::string_view model) const override {
    if (IsModelName(model)) return core::OkStatus();
    return core::InvalidArgument("the model's name does not fit into a url; correct `model`");
  }

  core::StatusOr<WireRequest> Write(const PlanRequest& request,
                                    const WireOptions& options) const override {
    INTERLOCK_RETURN_IF_ERROR(CheckModel(options.model));
    WireIds ids;
    const std::string author = AuthorName(DialectName(Dialect::kGemini), options.model);
    const WireTurns turns = TurnsOf(request, author, ids);
    const bool signs = WantsSignatures(options.model);
    std::string out = "{\"contents\":[";
    AppendList(turns.turns, out, [&](const WireTurn& turn) { AppendTurn(turn, signs, out); });
    out += ']';
    if (!turns.system.empty()) {
      out += R"(,"systemInstruction":{"parts":[{"text":)";
      AppendJsonString(turns.system, out);
      out += "}]}";
    }
    AppendTools(request, out);
    AppendConfig(request, options, out);
    const bool whole = options.model.find('/') != std::string_view::npos;
    return WireRequest{
        .path = (whole ? "/" : "/models/") + std::string(options.model) +
                (options.stream ? ":streamGenerateContent?alt=sse" : ":generateContent"),
        .body = out + '}'};
  }

  Headers KeyHeaders(const std::string& api_key) const override {
    return {{"x-goog-api-key", api_key}};
  }

  std::unique_ptr<StreamFold> NewFold() const override { return std::make_unique<Fold>(); }

 private:
  void ReadUsage(const Json& reply, Plan& plan) const override {
    CountTokens(Member(reply, "usageMetadata"), plan);
  }

  core::Status ReadReply(const Json& reply, PlanBuilder& builder) const override {
    const Json* const feedback = Member(reply, "promptFeedback");
    if (feedback != nullptr && !TextOrNone(*feedback, "blockReason").empty()) {
      return RefusedReply("the prompt was stopped by the provider's content filter");
    }
    const Json* const candidate = FirstCandidate(reply);
    if (candidate == nullptr) return BadReply("no `candidates`");
    const std::string_view reason = TextOrNone(*candidate, "finishReason");
    INTERLOCK_RETURN_IF_ERROR(CheckFinish(reason));
    const Json* const parts = Member(Member(*candidate, "content"), "parts");
    if (parts == nullptr || !parts->is_array()) {
      // With a reason the model wrote nothing.
      return reason.empty() ? BadReply("no `parts`") : core::OkStatus();
    }
    for (const Json& part : *parts) INTERLOCK_RETURN_IF_ERROR(AddPart(part, builder));
    return core::OkStatus();
  }
};

}  // namespace

const Codec& GeminiCodec() {
  static const Gemini kCodec;
  return kCodec;
}

}  // namespace interlock::runtime
