#include "stream_reader.h"

namespace interlock::runtime {

core::Status StreamReader::Feed(std::string_view bytes) {
  INTERLOCK_RETURN_IF_ERROR(status_);
  std::vector<StreamEvent> events;
  const core::Status parsed = parser_.Feed(bytes, events);
  std::string text;
  for (const StreamEvent& event : events) {
    if (!status_.ok()) break;
    const bool whole = fold_->ended();
    const core::Status added = fold_->Add(event, text);
    if (!whole) status_ = added;
  }
  // What comes behind the end may add to it (usage), and takes nothing from it.
  if (status_.ok() && !fold_->ended()) status_ = parsed;
  text_bytes_ += text.size();
  if (status_.ok() && text_bytes_ > kPlanBytesMax) {
    status_ = core::ResourceExhausted("reply of the model is longer than " +
                                      std::to_string(kPlanBytesMax) + " bytes");
  }
  if (!text.empty() && on_text_) {
    on_text_({.text = text, .restarted = restarted_});
    restarted_ = false;
    told_ = true;
  }
  return status_;
}

core::StatusOr<std::string> StreamReader::Whole() {
  INTERLOCK_RETURN_IF_ERROR(status_);
  return fold_->Whole();
}

core::StatusOr<Plan> PlanOfBytes(const Codec& codec, std::string_view body,
                                 const PlanRequest& request, Framing framing, ReplyNotes& notes) {
  if (framing == Framing::kWhole) return codec.Read(body, request, notes);
  StreamReader reader(codec, nullptr, false);
  INTERLOCK_RETURN_IF_ERROR(reader.Feed(body));
  INTERLOCK_ASSIGN_OR_RETURN(const std::string whole, reader.Whole());
  INTERLOCK_ASSIGN_OR_RETURN(Plan plan, codec.Read(whole, request, notes));
  plan.raw = std::string(body);
  plan.streamed = true;
  return plan;
}

}  // namespace interlock::runtime
