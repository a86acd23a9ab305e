// A streamed reply from its bytes to the body that one reader judges.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "codec.h"
#include "core/status.h"

namespace interlock::runtime {

enum class Framing { kWhole, kEvents };

// One per attempt; the fetcher's thread only. After an error it takes no more.
class StreamReader {
 public:
  // `on_text` may be null. `restarted`: an attempt before this one told of text.
  StreamReader(const Codec& codec, std::function<void(const TextDelta&)> on_text, bool restarted)
      : fold_(codec.NewFold()), on_text_(std::move(on_text)), restarted_(restarted) {}

  core::Status Feed(std::string_view bytes);
  // The reply in one piece. Errors: as Feed had; kUnavailable when the stream ended too early.
  core::StatusOr<std::string> Whole();
  bool ended() const { return status_.ok() && fold_->ended(); }  // nothing that counts follows
  bool told() const { return told_; }                            // whether on_text was called

 private:
  // A line, and an event's data, hold no more than a whole reply may.
  tools::EventStreamParser parser_{kPlanBytesMax};
  std::unique_ptr<StreamFold> fold_;
  std::function<void(const TextDelta&)> on_text_;
  core::Status status_;
  std::size_t text_bytes_ = 0;
  bool restarted_;
  bool told_ = false;
};

// The plan of a reply's bytes, streamed or not: what a live reply and a recorded one go through.
core::StatusOr<Plan> PlanOfBytes(const Codec& codec, std::string_view body,
                                 const PlanRequest& request, Framing framing, ReplyNotes& notes);

}  // namespace interlock::runtime
