// What an MCP server writes, after an orderly start or instead of one. The first byte picks which,
// and how the rest comes in parts: the parts must not matter.
#include <cstdint>
#include <string>

#include "core/check.h"
#include "mcp/dialogue.h"

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

Heard Hear(std::string_view bytes, bool started, std::size_t part) {
  tools::McpDialogue dialogue(core::Json::parse(R"([{"name":"t"}])"));
  Heard heard;
  (void)dialogue.Begin();
  if (started) {
    INTERLOCK_CHECK(dialogue.Feed(kStart, heard.sent).ok());
    (void)dialogue.Call("t", "{}", "c", "k");
  }
  core::Status status = core::OkStatus();
  for (std::size_t at = 0; at < bytes.size() && status.ok(); at += part) {
    status = dialogue.Feed(bytes.substr(at, part), heard.sent);
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
  const Heard whole = Hear(bytes, started, bytes.size() + 1);
  INTERLOCK_CHECK(whole == Hear(bytes, started, std::size_t{1} + data[0] / 2));
  return 0;
}
