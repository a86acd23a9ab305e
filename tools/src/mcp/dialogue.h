// What is said with an MCP server (Model Context Protocol 2025-11-25: basic/lifecycle,
// server/tools, basic/transports "stdio" and "streamable HTTP"). Every byte of the server is a
// stranger's. Pure: no I/O, clock or lock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/json.h"
#include "core/status.h"
#include "tools/tool.h"

namespace interlock::tools {

inline constexpr std::string_view kMcpRevision = "2025-11-25";  // that we ask for
inline constexpr std::size_t kMcpLineBytesMax = 4 << 20;
inline constexpr int kMcpDepthMax = 64;
inline constexpr std::size_t kMcpValuesMax = 100'000;  // of one line: each is dear in memory
inline constexpr int kMcpPagesMax = 16;                // of a list of tools
inline constexpr int kMcpAsidesMax = 4096;  // lines between two replies that answer nothing

// Splits a stream at its newlines.
class McpLines {
 public:
  // Errors: kResourceExhausted when a line is longer than kMcpLineBytesMax; nothing works then.
  core::Status Feed(std::string_view bytes);
  // The next whole line without its end; nullopt: it is not there yet.
  std::optional<std::string> Next();

 private:
  std::string buffer_;
  std::size_t at_ = 0;       // what was given out
  std::size_t scanned_ = 0;  // no newline before it
};

// What a server answered to one request.
struct McpReply {
  core::Json result;      // an object; null with `is_error`
  bool is_error = false;  // a JSON-RPC error
  std::int64_t error_code = 0;
  std::string error;  // the server's words, as they came
};

// One line of a server. JSON-RPC 2.0 §4 and §5, without batches (MCP has none).
struct McpMessage {
  enum class Kind { kReply, kRequest, kNotification };
  Kind kind = Kind::kNotification;
  std::int64_t id = 0;  // of a reply
  core::Json request_id;
  std::string method;
  McpReply reply;
};
// Errors: kInvalidArgument, one line.
core::StatusOr<McpMessage> ParseMcpMessage(std::string_view line);

// Why a server's list of tools is not the pinned one: one line that names the tool. Empty: it is.
// Both are arrays of objects that have a `name`.
std::string McpToolsDiffer(const core::Json& pinned, const core::Json& listed);
// Its entry in the pinned list; nullptr: it has none.
const core::Json* PinnedTool(const McpSpec& mcp);
// Sorted by name. Errors: kInvalidArgument when it is no list of tools, or one stands there twice.
core::StatusOr<core::Json> McpToolList(core::Json tools);

// One server, one request at a time. One per box; not thread-safe. After an error nothing works.
class McpDialogue {
 public:
  explicit McpDialogue(core::Json pinned) : pinned_(std::move(pinned)) {}

  // The first line that goes to the server.
  std::string Begin();
  // What the server wrote. `send` gets what goes to it now. Errors, one line: kFailedPrecondition
  // when its tools are not the pinned ones, kInvalidArgument when it breaks the protocol,
  // kResourceExhausted when it says too much.
  core::Status Feed(std::string_view bytes, std::string& send);
  // One whole message, as remote servers send them. True: a reply. Errors: as Feed.
  core::StatusOr<bool> FeedMessage(std::string_view text, std::string& send);
  // That the server chose; empty until it did.
  const std::string& revision() const { return revision_; }
  // Its tools were the pinned ones, and it is not being asked for them anew.
  bool ready() const { return state_ == State::kIdle || state_ == State::kCalling; }
  bool idle() const { return state_ == State::kIdle; }
  // It said that its list of tools has changed: ask for it before the next call.
  bool stale() const { return stale_; }
  // A line that asks for the list anew. Precondition: idle().
  std::string Relist();
  // A line that asks for a call. Precondition: idle(). `args_text` is canonical JSON.
  std::string Call(std::string_view tool, std::string_view args_text, std::string_view call_id,
                   std::string_view idempotency_key);
  // The reply to the last Call, once.
  std::optional<McpReply> TakeReply();

 private:
  enum class State { kNew, kInitializing, kListing, kIdle, kCalling };

  core::Status Take(McpMessage message, std::string& send);
  core::Status TakeReply(McpReply reply, std::string& send);
  core::Status Initialized(const McpReply& reply, std::string& send);
  core::Status Listed(const McpReply& reply, std::string& send);
  std::string Request(std::string_view method, std::string_view params);

  const core::Json pinned_;
  McpLines lines_;
  State state_ = State::kNew;
  std::int64_t last_id_ = 0;
  std::string revision_;
  int asides_ = 0;
  bool stale_ = false;
  int pages_ = 0;
  std::size_t listed_bytes_ = 0;
  core::Json listed_ = core::Json::array();
  std::optional<McpReply> reply_;
};

}  // namespace interlock::tools
