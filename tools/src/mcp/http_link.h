// An MCP server somewhere else, over streamable HTTP (Model Context Protocol 2025-11-25,
// basic/transports): each line is a POST of its own, which is answered by one message or by a
// stream of them. No stream is opened by GET: what a server says unasked is not waited for.
#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <string>

#include "mcp/link.h"
#include "tools/event_stream.h"

namespace interlock::tools {

inline constexpr int kMcpAnswersMax = 64;  // to requests of one server: each is a request of ours

class McpHttpLink final : public McpLink, public std::enable_shared_from_this<McpHttpLink> {
 public:
  // `request` has what all of them share; its method and body are set here.
  McpHttpLink(Fetcher& fetcher, FetchRequest request);

  void Start(std::shared_ptr<McpEars> ears, std::uint64_t id) override;
  core::Status Send(const std::string& lines) override;
  void Agreed(std::string_view revision) override;
  bool Close() override;
  bool Kill() override;

 private:
  struct Exchange;  // one POST that is waited for

  // With the lock held.
  void PostNext();
  void PostAside(std::string line);
  bool CutOff();
  FetchRequest RequestOf(std::string method, std::string line) const;

  core::StatusOr<Wanted> OnBody(Exchange& exchange, int status, std::string_view piece);
  void OnDone(Exchange& exchange, Followed followed);
  // A reply that came with these headers begins the session. Empty: it is in order.
  std::string TakeSessionId(const FetchResponse& reply);

  Fetcher& fetcher_;
  const FetchRequest base_;
  std::uint64_t id_ = 0;
  std::mutex mutex_;  // guards what follows
  std::weak_ptr<McpEars> ears_;
  std::deque<std::string> queue_;
  std::shared_ptr<Follow> current_;
  std::string session_id_;
  std::string revision_;
  bool started_ = false;
  bool opened_ = false;  // `initialize` was answered
  bool sent_ = false;    // of the last request
  bool killed_ = false;
  bool ended_ = false;
  int answers_ = 0;
};

}  // namespace interlock::tools
