// A dialect as a pure codec: the bytes to send for a request, and what the bytes that came back
// mean. No I/O. Replies are hostile: strict JSON, capped, and nothing is guessed.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/status.h"
#include "runtime/planner.h"
#include "runtime/planners.h"
#include "tools/event_stream.h"

namespace interlock::runtime {

struct WireOptions {
  std::string_view model;
  std::string_view temperature = {};   // a JSON number as text; empty: not sent
  std::int64_t output_tokens_max = 0;  // 0: the provider's own (Anthropic: kAnthropicTokensMax)
  bool stream = false;
  bool prompt_cache = false;  // Anthropic: mark what may be cached
};

struct WireRequest {
  std::string path;  // below the base url: "/chat/completions"
  std::string body;
};

using tools::StreamEvent;

// Folds the events of one streamed reply into the body that the dialect would have sent in one
// piece, so that one reader judges both. One per reply.
class StreamFold {
 public:
  virtual ~StreamFold() = default;
  // Appends what the model wrote to `text`. Errors: kUnavailable for a provider's error that may
  // pass and kInvalidArgument for another, kDataLoss for what is no reply, kOutOfRange for what the
  // model itself wrote wrongly, kResourceExhausted.
  virtual core::Status Add(const StreamEvent& event, std::string& text) = 0;
  // Errors: kUnavailable when the stream ended before the reply did.
  virtual core::StatusOr<std::string> Whole() = 0;
  // Whether the dialect's end mark came: nothing that counts follows.
  virtual bool ended() const = 0;
};

using Headers = std::vector<std::pair<std::string, std::string>>;

// What a reply says besides its plan, also where it gives none.
struct ReplyNotes {
  Plan used;            // its token counts; 0: it told none
  std::string refusal;  // what the model said why it will not answer
};

class PlanBuilder;

// Immutable.
class Codec {
 public:
  virtual ~Codec() = default;
  // Errors: kInvalidArgument for a model's name that the dialect cannot ask.
  virtual core::Status CheckModel(std::string_view) const { return core::OkStatus(); }
  // Errors: as CheckModel.
  virtual core::StatusOr<WireRequest> Write(const PlanRequest& request,
                                            const WireOptions& options) const = 0;
  virtual Headers KeyHeaders(const std::string& api_key) const = 0;
  // Of `request` the tools and the schema are read, not the messages.
  // Errors: kDataLoss saying what about the reply makes no sense, kOutOfRange for what the model
  // itself wrote wrongly, kPermissionDenied for a refusal, kResourceExhausted.
  core::StatusOr<Plan> Read(std::string_view body, const PlanRequest& request) const {
    ReplyNotes unread;
    return Read(body, request, unread);
  }
  core::StatusOr<Plan> Read(std::string_view body, const PlanRequest& request,
                            ReplyNotes& notes) const;
  virtual std::unique_ptr<StreamFold> NewFold() const = 0;

 private:
  // What was used is read first: a reply that gives no plan is paid for too.
  virtual void ReadUsage(const core::Json& reply, Plan& plan) const = 0;
  virtual core::Status ReadReply(const core::Json& reply, PlanBuilder& builder) const = 0;
};

inline constexpr std::int64_t kAnthropicTokensMax = 8192;

const Codec& CodecOf(Dialect dialect);
std::string_view DialectName(Dialect dialect);  // "openai", "openai_responses", …
// Errors: kInvalidArgument for a name that is none.
core::StatusOr<Dialect> DialectOfName(std::string_view name);

const Codec& ChatCodec();
const Codec& ResponsesCodec();
const Codec& AnthropicCodec();
const Codec& GeminiCodec();

// The machine-readable word of an error reply ("rate_limit_exceeded"), or nothing: its prose may
// repeat secrets and is never shown.
std::string ErrorWord(std::string_view body);

}  // namespace interlock::runtime
