#include "mcp/http_link.h"

#include <algorithm>
#include <utility>

#include "core/check.h"
#include "mcp/dialogue.h"

namespace interlock::tools {
namespace {

constexpr std::size_t kSessionIdBytesMax = 512;
constexpr std::int64_t kDeleteTimeoutMs = 5000;

// What a line of ours is. They are canonical JSON, in which no text holds a bare quote.
bool IsMethod(std::string_view line) {
  return line.find(R"("jsonrpc":"2.0","method":)") != std::string_view::npos;
}
bool Asks(std::string_view line) { return IsMethod(line) && line.starts_with("{\"id\":"); }

bool IsGood(const Followed& followed) {
  return followed.reply.ok() && followed.reply->status >= 200 && followed.reply->status < 300;
}

}  // namespace

struct McpHttpLink::Exchange {
  Exchange(std::string posted, std::shared_ptr<McpEars> hears)
      : line(std::move(posted)), ears(std::move(hears)) {}
  const std::string line;
  const std::shared_ptr<McpEars> ears;
  enum class Form { kNothingYet, kMessage, kEvents } form = Form::kNothingYet;
  EventStreamParser events{kMcpLineBytesMax};
  bool answered = false;
};

McpHttpLink::McpHttpLink(Fetcher& fetcher, FetchRequest request)
    : fetcher_(fetcher), base_(std::move(request)) {}

void McpHttpLink::Start(std::shared_ptr<McpEars> ears, std::uint64_t id) {
  const std::lock_guard lock(mutex_);
  id_ = id;
  ears_ = ears;
  started_ = true;
  PostNext();
}

core::Status McpHttpLink::Send(const std::string& lines) {
  const std::lock_guard lock(mutex_);
  for (std::size_t at = 0; at < lines.size();) {
    const std::size_t end = std::min(lines.find('\n', at), lines.size());
    std::string line = lines.substr(at, end - at);
    at = end + 1;
    if (IsMethod(line)) {
      queue_.push_back(std::move(line));
      continue;
    }
    // The server asks while it answers, and may wait for this.
    if (++answers_ > kMcpAnswersMax) {
      return core::ResourceExhausted("the MCP server asked more than " +
                                     std::to_string(kMcpAnswersMax) + " questions");
    }
    PostAside(std::move(line));
  }
  PostNext();
  return core::OkStatus();
}

void McpHttpLink::Agreed(std::string_view revision) {
  const std::lock_guard lock(mutex_);
  revision_ = revision;
}

FetchRequest McpHttpLink::RequestOf(std::string method, std::string line) const {
  FetchRequest request = base_;
  request.method = std::move(method);
  if (!line.empty()) request.headers.emplace_back("Content-Type", "application/json");
  request.body = std::move(line);
  request.headers.emplace_back("Accept", "application/json, text/event-stream");
  if (!revision_.empty()) request.headers.emplace_back("MCP-Protocol-Version", revision_);
  if (!session_id_.empty()) request.headers.emplace_back("Mcp-Session-Id", session_id_);
  return request;
}

void McpHttpLink::PostNext() {
  const std::shared_ptr<McpEars> ears = ears_.lock();
  if (!started_ || killed_ || ended_ || current_ != nullptr || queue_.empty() || ears == nullptr) {
    return;
  }
  const auto exchange = std::make_shared<Exchange>(std::move(queue_.front()), ears);
  queue_.pop_front();
  if (Asks(exchange->line)) sent_ = false;
  FetchRequest request = RequestOf("POST", exchange->line);
  request.on_body = [self = shared_from_this(), exchange](int status, std::string_view piece) {
    return self->OnBody(*exchange, status, piece);
  };
  current_ = std::make_shared<Follow>(fetcher_, std::move(request), std::vector<std::string>(),
                                      [self = shared_from_this(), exchange](Followed followed) {
                                        self->OnDone(*exchange, std::move(followed));
                                      });
  current_->Start();
}

void McpHttpLink::PostAside(std::string line) {
  const auto aside = std::make_shared<Follow>(
      fetcher_, RequestOf("POST", std::move(line)), std::vector<std::string>(),
      [ears = ears_.lock()](const Followed& /*followed*/) {});
  aside->Start();
}

// The first byte says what it is: a message begins with a brace, no field of a stream does.
core::StatusOr<Wanted> McpHttpLink::OnBody(Exchange& exchange, int status, std::string_view piece) {
  using Form = Exchange::Form;
  if (status < 200 || status > 299) return Wanted::kMore;  // told with the reply
  if (exchange.form == Form::kNothingYet) {
    const std::size_t first = piece.find_first_not_of(" \t\r\n");
    if (first == std::string_view::npos) return Wanted::kMore;
    exchange.form = piece[first] == '{' ? Form::kMessage : Form::kEvents;
  }
  if (exchange.form == Form::kMessage) return Wanted::kMore;  // whole with the reply
  std::vector<StreamEvent> events;
  INTERLOCK_RETURN_IF_ERROR(exchange.events.Feed(piece, events));
  for (const StreamEvent& event : events) {
    if (event.data.empty()) continue;  // only there to carry an id
    exchange.answered = exchange.ears->OnMessage(id_, event.data) || exchange.answered;
  }
  const std::lock_guard lock(mutex_);
  // Some servers keep the stream open. The first reply's headers are still needed.
  if (exchange.answered && opened_) return core::Error(core::StatusCode::kCancelled, "answered");
  return Wanted::kMore;
}

std::string McpHttpLink::TakeSessionId(const FetchResponse& reply) {
  const std::string_view id = reply.Header("mcp-session-id");
  const bool plain = id.size() <= kSessionIdBytesMax &&
                     std::all_of(id.begin(), id.end(), [](char c) { return c > 0x20 && c < 0x7f; });
  if (!plain) return "its session id is not visible ASCII";
  session_id_ = id;
  opened_ = true;
  return "";
}

void McpHttpLink::OnDone(Exchange& exchange, Followed followed) {
  const bool asks = Asks(exchange.line);
  McpLinkEnd end;
  bool good = IsGood(followed);
  if (followed.hops.size() > 1) end.broken = "it sends requests elsewhere";  // its state is here
  {
    const std::lock_guard lock(mutex_);
    if (asks) sent_ = followed.sent;
    if (asks && good && !opened_ && end.broken.empty()) end.broken = TakeSessionId(*followed.reply);
  }
  if (good && exchange.form == Exchange::Form::kMessage && end.broken.empty()) {
    exchange.answered = exchange.ears->OnMessage(id_, followed.reply->body);
  }
  if (good && asks && !exchange.answered && end.broken.empty()) {
    end.broken = "its answer holds no reply";
  }
  good = (good || exchange.answered) && end.broken.empty();
  {
    const std::lock_guard lock(mutex_);
    current_.reset();
    if (good && !killed_) return PostNext();
    ended_ = true;
    end.sent = sent_;
  }
  end.exchange = std::move(followed);
  exchange.ears->OnEnd(id_, std::move(end));
}

bool McpHttpLink::Close() {
  const std::lock_guard lock(mutex_);
  if (!session_id_.empty() && !ended_) {
    FetchRequest request = RequestOf("DELETE", "");
    request.timeout_ms = std::min(request.timeout_ms, kDeleteTimeoutMs);
    // A courtesy: whatever is answered, the session is over here.
    std::make_shared<Follow>(fetcher_, std::move(request), std::vector<std::string>(),
                             [](const Followed& /*followed*/) {})
        ->Start();
  }
  return CutOff();
}

bool McpHttpLink::Kill() {
  const std::lock_guard lock(mutex_);
  return CutOff();
}

bool McpHttpLink::CutOff() {
  killed_ = true;
  if (current_ != nullptr) {
    current_->Cancel();
    return true;
  }
  ended_ = true;
  return false;
}

}  // namespace interlock::tools
