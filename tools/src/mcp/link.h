// How a session reaches its MCP server: a box with a program, or a place on the network.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/status.h"
#include "follow.h"
#include "sandbox/launcher.h"

namespace interlock::tools {

struct McpLinkEnd {
  sandbox::BoxResult box;            // of a server in a box
  std::optional<Followed> exchange;  // of a remote one: what ended it; none: it was closed
  bool sent = false;                 // a byte of its last request went out
  std::string broken;                // how its answer broke the protocol; empty: it did not
};

// Hears what comes of a link, from the link's threads, and within Start. `id` is the session's.
class McpEars {
 public:
  virtual ~McpEars() = default;
  virtual void OnOutput(std::uint64_t id, const sandbox::Output& output) = 0;  // of a box
  // One whole message of a remote server. True: it was the reply that is waited for.
  virtual bool OnMessage(std::uint64_t id, std::string_view text) = 0;
  virtual void OnEnd(std::uint64_t id, McpLinkEnd end) = 0;  // once, and nothing after it
};

// Thread-safe. Kept alive, and its ears with it, by what is on its way.
class McpLink {
 public:
  virtual ~McpLink() = default;
  // Once. Not with anything held that the ears take.
  virtual void Start(std::shared_ptr<McpEars> ears, std::uint64_t id) = 0;
  // Lines of JSON-RPC, each with its end. Errors: kResourceExhausted, one line: the server takes no
  // more. Also before Start.
  virtual core::Status Send(const std::string& lines) = 0;
  // The revision of the protocol that was agreed on.
  virtual void Agreed(std::string_view /*revision*/) {}
  virtual bool Flush() { return true; }  // false: some of it waits; ask again
  // Lets the server end. False: it has ended with this, and OnEnd does not come.
  virtual bool Close() = 0;
  // Ends it. False as with Close.
  virtual bool Kill() = 0;
  // Of its box; none: it has no box.
  virtual std::optional<sandbox::Level> level() const { return std::nullopt; }
};

}  // namespace interlock::tools
