#include "mcp/dialogue.h"

#include <algorithm>
#include <array>
#include <utility>

#include "core/check.h"
#include "text.h"

namespace interlock::tools {
namespace {

using core::InvalidArgument;
using core::Json;
using core::Status;

constexpr std::array<std::string_view, 4> kRevisions = {"2024-11-05", "2025-03-26", "2025-06-18",
                                                        kMcpRevision};
constexpr std::int64_t kMethodNotFound = -32601;
constexpr std::size_t kMcpToolsMax = 1024;

const Json* Member(const Json& object, const char* name) {
  const auto it = object.find(name);
  return it == object.end() ? nullptr : &*it;
}

const std::string* Text(const Json& object, const char* name) {
  const Json* value = Member(object, name);
  return value != nullptr && value->is_string() ? &value->get_ref<const std::string&>() : nullptr;
}

core::StatusOr<McpReply> ReplyOf(Json& line) {
  McpReply reply;
  const auto result = line.find("result");
  const Json* error = Member(line, "error");
  const bool has_result = result != line.end();
  if (has_result == (error != nullptr)) {
    return InvalidArgument("a reply needs one of `result` and `error`");
  }
  if (has_result) {
    if (!result->is_object()) return InvalidArgument("`result` is not an object");
    reply.result = std::move(*result);
    return reply;
  }
  const Json* code = error->is_object() ? Member(*error, "code") : nullptr;
  if (code == nullptr || !code->is_number_integer()) {
    return InvalidArgument("`error` has no integer `code`");
  }
  const std::string* message = Text(*error, "message");
  reply.is_error = true;
  reply.error_code = code->get<std::int64_t>();
  reply.error = message == nullptr ? "no message" : *message;
  return reply;
}

const std::string& NameOf(const Json& tool) {
  return tool.at("name").get_ref<const std::string&>();
}

// No fewer than the values of a JSON text, without making one of them.
std::size_t ValuesOf(std::string_view text) {
  std::size_t values = 1;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '"') {
      quoted = !quoted;
    } else if (quoted) {
      i += c == '\\' ? 1 : 0;
    } else if (c == ',' || c == ':' || c == '[' || c == '{') {
      ++values;
    }
  }
  return values;
}

// JSON-RPC: a reply to a request of the server.
std::string Answered(const Json& id, std::string_view member, const Json& value) {
  Json line = {{"id", id}, {"jsonrpc", "2.0"}};
  line[std::string(member)] = value;
  return core::CanonicalJson(line) + "\n";
}

}  // namespace

Status McpLines::Feed(std::string_view bytes) {
  buffer_.erase(0, at_);
  scanned_ -= at_;
  at_ = 0;
  buffer_ += bytes;
  const std::size_t last = bytes.rfind('\n');  // of the new ones: a line may come byte by byte
  const std::size_t open = last == std::string_view::npos ? buffer_.size() : bytes.size() - last;
  if (open <= kMcpLineBytesMax) return core::OkStatus();
  return core::ResourceExhausted("a line of stdout is longer than " +
                                 std::to_string(kMcpLineBytesMax) + " bytes");
}

std::optional<std::string> McpLines::Next() {
  const std::size_t end = buffer_.find('\n', std::max(at_, scanned_));
  if (end == std::string::npos) {
    scanned_ = buffer_.size();
    return std::nullopt;
  }
  std::string line = buffer_.substr(at_, end - at_);
  at_ = scanned_ = end + 1;
  return line;
}

core::StatusOr<McpMessage> ParseMcpMessage(std::string_view line) {
  if (ValuesOf(line) > kMcpValuesMax) {
    return InvalidArgument("a message holds more than " + std::to_string(kMcpValuesMax) +
                           " values");
  }
  INTERLOCK_ASSIGN_OR_RETURN(
      Json json, core::ParseJson(line, {.bytes_max = kMcpLineBytesMax, .depth_max = kMcpDepthMax}));
  if (!json.is_object()) return InvalidArgument("a line is not an object");
  const std::string* version = Text(json, "jsonrpc");
  if (version == nullptr || *version != "2.0") return InvalidArgument("`jsonrpc` is not \"2.0\"");
  McpMessage message;
  const Json* id = Member(json, "id");
  if (const Json* method = Member(json, "method"); method != nullptr) {
    if (!method->is_string()) return InvalidArgument("`method` is not text");
    message.method = method->get<std::string>();
    if (id == nullptr) return message;
    if (!id->is_string() && !id->is_number_integer()) {
      return InvalidArgument("the `id` of a request is neither text nor an integer");
    }
    message.kind = McpMessage::Kind::kRequest;
    message.request_id = *id;
    return message;
  }
  if (id == nullptr || !id->is_number_integer()) {
    return InvalidArgument("a reply has no integer `id`");
  }
  message.kind = McpMessage::Kind::kReply;
  message.id = id->get<std::int64_t>();
  INTERLOCK_ASSIGN_OR_RETURN(message.reply, ReplyOf(json));
  return message;
}

core::StatusOr<Json> McpToolList(Json tools) {
  if (!tools.is_array() || tools.size() > kMcpToolsMax) {
    return InvalidArgument("`tools` must be a list of at most " + std::to_string(kMcpToolsMax));
  }
  for (const Json& tool : tools) {
    if (!tool.is_object() || Text(tool, "name") == nullptr) {
      return InvalidArgument("a tool of the list has no `name`");
    }
  }
  std::sort(tools.begin(), tools.end(),
            [](const Json& a, const Json& b) { return NameOf(a) < NameOf(b); });
  for (std::size_t i = 1; i < tools.size(); ++i) {
    if (NameOf(tools[i - 1]) == NameOf(tools[i])) {
      return InvalidArgument("tool `" + OneLine(NameOf(tools[i]), 80) + "` is listed twice");
    }
  }
  return tools;
}

const Json* PinnedTool(const McpSpec& mcp) {
  for (const Json& tool : mcp.pinned) {
    if (NameOf(tool) == mcp.tool) return &tool;
  }
  return nullptr;
}

std::string McpToolsDiffer(const Json& pinned, const Json& listed) {
  std::size_t i = 0;
  std::size_t j = 0;
  while (i < pinned.size() || j < listed.size()) {
    if (j == listed.size() || (i < pinned.size() && NameOf(pinned[i]) < NameOf(listed[j]))) {
      return "the server does not list tool `" + OneLine(NameOf(pinned[i]), 80) +
             "`, which is pinned";
    }
    if (i == pinned.size() || NameOf(listed[j]) < NameOf(pinned[i])) {
      return "the server lists tool `" + OneLine(NameOf(listed[j]), 80) + "`, which is not pinned";
    }
    if (core::CanonicalJson(pinned[i]) != core::CanonicalJson(listed[j])) {
      return "the server's tool `" + OneLine(NameOf(pinned[i]), 80) + "` is not as it was pinned";
    }
    ++i;
    ++j;
  }
  return "";
}

std::string McpDialogue::Request(std::string_view method, std::string_view params) {
  std::string line;
  core::JsonObjectWriter writer(line);
  writer.Int("id", ++last_id_);
  writer.String("jsonrpc", "2.0");
  writer.String("method", method);
  writer.Raw("params", params);
  writer.Close();
  return line + "\n";
}

std::string McpDialogue::Begin() {
  INTERLOCK_CHECK(state_ == State::kNew);
  state_ = State::kInitializing;
  return Request("initialize",
                 core::CanonicalJson({{"capabilities", Json::object()},
                                      {"clientInfo", {{"name", "interlock"}, {"version", "1"}}},
                                      {"protocolVersion", kMcpRevision}}));
}

std::string McpDialogue::Call(std::string_view tool, std::string_view args_text,
                              std::string_view call_id, std::string_view idempotency_key) {
  INTERLOCK_CHECK(state_ == State::kIdle);
  state_ = State::kCalling;
  std::string meta;
  core::JsonObjectWriter meta_writer(meta);
  meta_writer.String("interlock/call_id", call_id);
  meta_writer.String("interlock/idempotency_key", idempotency_key);
  meta_writer.Close();
  std::string params;
  core::JsonObjectWriter writer(params);
  writer.Raw("_meta", meta);
  writer.Raw("arguments", args_text);
  writer.String("name", tool);
  writer.Close();
  return Request("tools/call", params);
}

std::optional<McpReply> McpDialogue::TakeReply() { return std::exchange(reply_, std::nullopt); }

Status McpDialogue::Feed(std::string_view bytes, std::string& send) {
  constexpr std::size_t kPartBytes = 64 << 10;
  while (!bytes.empty()) {
    const std::string_view part = bytes.substr(0, kPartBytes);
    bytes.remove_prefix(part.size());
    INTERLOCK_RETURN_IF_ERROR(lines_.Feed(part));
    while (const std::optional<std::string> line = lines_.Next()) {
      if (line->find_first_not_of(" \t\r") == std::string::npos) {
        if (++asides_ > kMcpAsidesMax) return core::ResourceExhausted("too many empty lines");
        continue;
      }
      auto message = ParseMcpMessage(*line);
      if (!message.ok()) {
        return InvalidArgument("stdout holds a line that is no message: " +
                               OneLine(core::Message(message.status()), 200));
      }
      INTERLOCK_RETURN_IF_ERROR(Take(*std::move(message), send));
    }
  }
  return core::OkStatus();
}

core::StatusOr<bool> McpDialogue::FeedMessage(std::string_view text, std::string& send) {
  auto message = ParseMcpMessage(text);
  if (!message.ok()) {
    return InvalidArgument("its answer is no message: " +
                           OneLine(core::Message(message.status()), 200));
  }
  const bool is_reply = message->kind == McpMessage::Kind::kReply;
  INTERLOCK_RETURN_IF_ERROR(Take(*std::move(message), send));
  return is_reply;
}

Status McpDialogue::Take(McpMessage message, std::string& send) {
  if (message.kind != McpMessage::Kind::kReply) {
    if (++asides_ > kMcpAsidesMax) {
      return core::ResourceExhausted("more than " + std::to_string(kMcpAsidesMax) +
                                     " notifications and requests without a reply");
    }
    if (message.kind == McpMessage::Kind::kNotification) {
      stale_ = stale_ || message.method == "notifications/tools/list_changed";
      return core::OkStatus();
    }
    // The server may ask whether we live. It was offered nothing else.
    send += message.method == "ping"
                ? Answered(message.request_id, "result", Json::object())
                : Answered(message.request_id, "error",
                           {{"code", kMethodNotFound}, {"message", "not offered"}});
    return core::OkStatus();
  }
  const bool waits = state_ != State::kNew && state_ != State::kIdle && !reply_;
  if (!waits || message.id != last_id_) {
    return InvalidArgument("a reply with `id` " + std::to_string(message.id) +
                           " answers nothing that was asked");
  }
  asides_ = 0;
  return TakeReply(std::move(message.reply), send);
}

Status McpDialogue::TakeReply(McpReply reply, std::string& send) {
  switch (state_) {
    case State::kInitializing:
      return Initialized(reply, send);
    case State::kListing:
      return Listed(reply, send);
    case State::kCalling:
      state_ = State::kIdle;
      reply_ = std::move(reply);
      return core::OkStatus();
    case State::kNew:
    case State::kIdle:
      break;
  }
  return InvalidArgument("a reply to nothing");
}

Status McpDialogue::Initialized(const McpReply& reply, std::string& send) {
  if (reply.is_error) return InvalidArgument("`initialize` failed: " + OneLine(reply.error, 200));
  const std::string* revision = Text(reply.result, "protocolVersion");
  if (revision == nullptr) return InvalidArgument("`initialize` gave no `protocolVersion`");
  if (std::find(kRevisions.begin(), kRevisions.end(), *revision) == kRevisions.end()) {
    return InvalidArgument("the server speaks revision `" + OneLine(*revision, 40) +
                           "`, which is not known here");
  }
  revision_ = *revision;
  send += "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n";
  state_ = State::kIdle;
  send += Relist();
  return core::OkStatus();
}

std::string McpDialogue::Relist() {
  INTERLOCK_CHECK(state_ == State::kIdle);
  state_ = State::kListing;
  stale_ = false;  // what it says of a change from now on is of a later list
  pages_ = 0;
  listed_bytes_ = 0;
  listed_ = Json::array();
  return Request("tools/list", "{}");
}

Status McpDialogue::Listed(const McpReply& reply, std::string& send) {
  if (reply.is_error) return InvalidArgument("`tools/list` failed: " + OneLine(reply.error, 200));
  const Json* tools = Member(reply.result, "tools");
  if (tools == nullptr || !tools->is_array())
    return InvalidArgument("`tools/list` gave no `tools`");
  listed_bytes_ += core::CanonicalJson(*tools).size();
  if (listed_bytes_ > kMcpPinnedBytesMax || ++pages_ > kMcpPagesMax) {
    return core::ResourceExhausted("`tools/list` has no end");
  }
  for (const Json& tool : *tools) listed_.push_back(tool);
  if (const Json* next = Member(reply.result, "nextCursor"); next != nullptr && !next->is_null()) {
    if (!next->is_string()) return InvalidArgument("`nextCursor` is not text");
    send += Request("tools/list", core::CanonicalJson({{"cursor", *next}}));
    return core::OkStatus();
  }
  INTERLOCK_ASSIGN_OR_RETURN(const Json listed, McpToolList(std::exchange(listed_, Json())));
  if (std::string why = McpToolsDiffer(pinned_, listed); !why.empty()) {
    return core::FailedPrecondition(why);
  }
  state_ = State::kIdle;
  return core::OkStatus();
}

}  // namespace interlock::tools
