// Event streams (WHATWG HTML §9.2), as bytes come in. Bounded; anything may come in.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "codec.h"
#include "core/status.h"

namespace interlock::runtime {

inline constexpr std::size_t kStreamEventBytesMax = kPlanBytesMax;  // a line, and an event's data

// One per stream.
class EventStreamParser {
 public:
  // Appends the events that these bytes completed. An event that the stream's end cut off never
  // comes. Errors: kResourceExhausted above kStreamEventBytesMax; it is of no use after that.
  core::Status Feed(std::string_view bytes, std::vector<StreamEvent>& events);

 private:
  core::Status EndLine(std::vector<StreamEvent>& events);
  core::Status Field(std::string_view name, std::string_view value);

  std::string line_;
  StreamEvent event_;
  bool has_data_ = false;
  bool first_line_ = true;
  bool after_return_ = false;  // a line feed that follows belongs to the carriage return
};

}  // namespace interlock::runtime
