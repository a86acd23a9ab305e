// What an MCP server writes, after an orderly start or instead of one: lines of a box, or an event
// stream of a remote one. The first byte picks which, and how the rest comes in parts: the parts
// must not matter.
#include <cstdint>
#include <string>
#include <vector>

#include "core/check.h"
#include "mcp/dialogue.h"
#include "tools/event_stream.h"

namespace {

using namespace interlock;

constexpr char kStart[] =
    "{\"id\":1,\"jsonrpc\":\"2.0\",\"result\":{\"protocolVersion\":\"2025-06-18\"}}\n"
    "{\"id\":2,\"jsonrpc\":\"2.0\",\"result\":{\"tools\":[{\"name\":\"t\"}]}}\n";

struct Heard {
  std::string status;
  std::string sent;
  std::string reply;
  bool operator==(const Heard& other) const = default;
};

core::Status HearStream(tools::McpDialogue& dialogue, tools::EventStreamParser& stream,
                        std::string_view bytes, std::string& sent) {
  std::vector<tools::StreamEvent> events;
  const core::Status status = stream.Feed(bytes, events);
  for (const tools::StreamEvent& event : events) {
    if (event.data.empty()) continue;
    INTERLOCK_RETURN_IF_ERROR(dialogue.FeedMessage(event.data, sent).status());
  }
  return status;
}

Heard Hear(std::string_view bytes, bool started, bool remote, std::size_t part) {
  tools::McpDialogue dialogue(core::Json::parse(R"([{"name":"t"}])"));
  tools::EventStreamParser stream(tools::kMcpLineBytesMax);
  Heard heard;
  (void)dialogue.Begin();
  if (started) {
    INTERLOCK_CHECK(dialogue.Feed(kStart, heard.sent).ok());
    (void)dialogue.Call("t", "{}", "c", "k");
  }
  core::Status status = core::OkStatus();
  for (std::size_t at = 0; at < bytes.size() && status.ok(); at += part) {
    const std::string_view next = bytes.substr(at, part);
    status =
        remote ? HearStream(dialogue, stream, next, heard.sent) : dialogue.Feed(next, heard.sent);
  }
  heard.status = std::string(core::Message(status));
  for (const char c : heard.status) INTERLOCK_CHECK(static_cast<unsigned char>(c) >= 0x20);
  INTERLOCK_CHECK(heard.status.size() <= 1024);
  if (const auto reply = dialogue.TakeReply()) {
    heard.reply = reply->is_error ? reply->error : core::CanonicalJson(reply->result);
  }
  return heard;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const bool started = (data[0] & 1) != 0;
  const bool remote = (data[0] & 0x40) != 0;
  const Heard whole = Hear(bytes, started, remote, bytes.size() + 1);
  INTERLOCK_CHECK(whole == Hear(bytes, started, remote, std::size_t{1} + data[0] / 2));
  return 0;
}
