// Anthropic's Messages. Field names: Anthropic API reference, "Create a Message" and "Streaming
// messages". A schema for the answer is offered as one more tool (kAnswerTool), which every model
// of theirs takes.
#include <map>

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

constexpr std::string_view kCacheMark = R"(,"cache_control":{"type":"ephemeral"})";
constexpr std::int64_t kBlocksMax = 256;

// One content block, without its closing brace.
void AppendBlock(const WireItem& item, std::string& out) {
  if (item.call != nullptr) {
    out += "{\"type\":\"tool_use\",\"id\":";
    AppendJsonString(item.id, out);
    out += ",\"name\":";
    AppendJsonString(WireToolName(item.call->tool), out);
    out += ",\"input\":" + ArgsObject(item.call->args_text);
  } else if (!item.id.empty()) {
    out += "{\"type\":\"tool_result\",\"tool_use_id\":";
    AppendJsonString(item.id, out);
    out += ",\"content\":";
    AppendJsonString(item.text, out);
  } else {
    out += "{\"type\":\"text\",\"text\":";
    AppendJsonString(item.text, out);
  }
}

void AppendTurn(const WireTurn& turn, bool mark, std::string& out) {
  out += turn.model ? R"({"role":"assistant","content":[)" : R"({"role":"user","content":[)";
  for (std::size_t i = 0; i < turn.items.size(); ++i) {
    if (i > 0) out += ',';
    AppendBlock(turn.items[i], out);
    if (mark && i + 1 == turn.items.size()) out += kCacheMark;
    out += '}';
  }
  out += "]}";
}

void AppendTool(const tools::Manifest& manifest, std::string& out) {
  out += "{\"name\":";
  AppendJsonString(WireToolName(manifest.name), out);
  out += ",\"description\":";
  AppendJsonString(manifest.description, out);
  out += ",\"input_schema\":";
  core::AppendCanonicalJson(manifest.input_schema, out);
  out += '}';
}

void AppendTools(const PlanRequest& request, std::string& out) {
  const bool answers = TakesAnswerTool(request);
  if (request.tools.empty() && !answers) return;
  out += ",\"tools\":[";
  AppendList(request.tools, out, [&](const auto& tool) { AppendTool(tool->manifest(), out); });
  if (!request.tools.empty() && answers) out += ',';
  if (answers) AppendTool(AnswerToolOf(request), out);
  out += ']';
}

core::Status CheckStop(const Json& reply) {
  const std::string_view reason = TextOrNone(reply, "stop_reason");
  if (reason == "max_tokens" || reason == "model_context_window_exceeded") {
    return ModelFault(kCutReply);
  }
  // What stands beside it is what was written until then.
  if (reason == "refusal") return RefusedReply(kModelRefused);
  if (reason == "pause_turn") return BadReply("it is not complete");
  return core::OkStatus();
}

core::Status AddBlock(const Json& block, PlanBuilder& builder) {
  const std::string_view type = TextOrNone(block, "type");
  if (type == "text") return builder.AddText(Member(block, "text"), "`text`");
  if (type != "tool_use") return core::OkStatus();  // thinking and what may come later
  return builder.AddCall(Member(block, "id"), Member(block, "name"), Member(block, "input"), "");
}

// Their `input_tokens` are those that no cache had a part in.
void CountTokens(const Json* usage, Plan& plan) {
  TokenCounts counts(usage);
  plan.cached_tokens = counts.Of("cache_read_input_tokens");
  plan.cache_write_tokens = counts.Of("cache_creation_input_tokens");
  plan.prompt_tokens = counts.Of("input_tokens") + plan.cached_tokens + plan.cache_write_tokens;
  plan.completion_tokens = counts.Of("output_tokens");
  plan.reasoning_tokens = counts.Of("output_tokens_details", "thinking_tokens");
  counts.Judge(plan);
}

// Blocks come by their index: a start, deltas of text or of JSON, a stop.
class Fold final : public StreamFold {
 public:
  core::Status Add(const StreamEvent& event, std::string& text) override {
    INTERLOCK_ASSIGN_OR_RETURN(const Json data, ParseReply(event.data));
    const std::string_view type = TextOrNone(data, "type");
    if (type == "error") return StatusOfError(data);
    if (type == "message_start") AddUsage(Member(Member(data, "message"), "usage"));
    if (type == "content_block_start" || type == "content_block_delta") {
      return AddToBlock(data, text);
    }
    if (type == "message_delta") {
      AddUsage(Member(data, "usage"));
      if (const Json* const delta = Member(data, "delta")) {
        reason_ = std::string(TextOrNone(*delta, "stop_reason"));
      }
    }
    if (type == "message_stop") ended_ = true;
    return core::OkStatus();
  }

  core::StatusOr<std::string> Whole() override {
    if (!ended_) return StreamCut();
    Json content = Json::array();
    for (auto& [index, parts] : blocks_) {
      if (!parts.json.empty()) {
        auto input = core::ParseJson(parts.json, kReplyLimits);
        // What is no JSON goes to the gate as the model wrote it, to be refused there.
        parts.block["input"] = input.ok() ? *std::move(input) : Json(parts.json);
      }
      if (!parts.text.empty()) parts.block["text"] = parts.text;
      content.push_back(std::move(parts.block));
    }
    return core::CanonicalJson(
        {{"content", std::move(content)}, {"stop_reason", reason_}, {"usage", usage_}});
  }

  bool ended() const override { return ended_; }

 private:
  struct Parts {
    Json block;
    std::string text;
    std::string json;
  };

  // The counts of a later event stand for the whole message so far.
  void AddUsage(const Json* usage) {
    if (usage == nullptr || !usage->is_object()) return;
    for (const auto& [key, value] : usage->items()) {
      if (!value.is_null()) usage_[key] = value;
    }
  }

  core::Status AddToBlock(const Json& data, std::string& text) {
    const Json* const index = Member(data, "index");
    if (index == nullptr || !index->is_number_integer()) return BadReply("a block without `index`");
    const auto at = index->get<std::int64_t>();
    if (at < 0 || at >= kBlocksMax) return BadReply("too many content blocks");
    Parts& parts = blocks_[at];
    if (const Json* const block = Member(data, "content_block")) {
      if (!block->is_object()) return BadReply("`content_block` is no object");
      parts.block = *block;
      parts.text = std::string(TextOrNone(*block, "text"));
      text += parts.text;
      return core::OkStatus();
    }
    const Json* const delta = Member(data, "delta");
    if (delta == nullptr || !parts.block.is_object()) return BadReply("a delta without its block");
    if (TextOrNone(*delta, "type") == "text_delta") {
      parts.text += TextOrNone(*delta, "text");
      text += TextOrNone(*delta, "text");
    }
    parts.json += TextOrNone(*delta, "partial_json");
    return core::OkStatus();
  }

  std::map<std::int64_t, Parts> blocks_;
  Json usage_ = Json::object();
  std::string reason_;
  bool ended_ = false;
};

class Anthropic final : public Codec {
 public:
  core::StatusOr<WireRequest> Write(const PlanRequest& request,
                                    const WireOptions& options) const override {
    WireIds ids;
    const WireTurns turns = TurnsOf(request, "", ids);
    std::string out = "{\"model\":";
    AppendJsonString(options.model, out);
    out += ",\"max_tokens\":" + std::to_string(options.output_tokens_max > 0
                                                   ? options.output_tokens_max
                                                   : kAnthropicTokensMax);
    AppendTemperature(options.temperature, out);
    if (options.stream) out += ",\"stream\":true";
    AppendTools(request, out);
    if (!turns.system.empty()) {
      out += R"(,"system":[{"type":"text","text":)";
      AppendJsonString(turns.system, out);
      if (options.prompt_cache) out += kCacheMark;
      out += "}]";
    }
    out += ",\"messages\":[";
    for (std::size_t i = 0; i < turns.turns.size(); ++i) {
      if (i > 0) out += ',';
      AppendTurn(turns.turns[i], options.prompt_cache && i + 1 == turns.turns.size(), out);
    }
    return WireRequest{.path = "/messages", .body = out + "]}"};
  }

  Headers KeyHeaders(const std::string& api_key) const override { return {{"x-api-key", api_key}}; }

  std::unique_ptr<StreamFold> NewFold() const override { return std::make_unique<Fold>(); }

 private:
  void ReadUsage(const Json& reply, Plan& plan) const override {
    CountTokens(Member(reply, "usage"), plan);
  }

  core::Status ReadReply(const Json& reply, PlanBuilder& builder) const override {
    const Json* const content = Member(reply, "content");
    if (content == nullptr || !content->is_array()) return BadReply("no `content`");
    INTERLOCK_RETURN_IF_ERROR(CheckStop(reply));
    for (const Json& block : *content) INTERLOCK_RETURN_IF_ERROR(AddBlock(block, builder));
    return core::OkStatus();
  }
};

}  // namespace

const Codec& AnthropicCodec() {
  static const Anthropic kCodec;
  return kCodec;
}

}  // namespace interlock::runtime
