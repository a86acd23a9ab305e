// Event streams (WHATWG HTML §9.2), as bytes come in: of models, and of remote MCP servers.
// Bounded; anything may come in.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "core/status.h"

namespace interlock::tools {

// Its `event` field, empty when there was none, and its data.
struct StreamEvent {
  std::string name;
  std::string data;
};

// One per stream.
class EventStreamParser {
 public:
  // `bytes_max` is of a line, and of an event's data.
  explicit EventStreamParser(std::size_t bytes_max) : bytes_max_(bytes_max) {}

  // Appends the events that these bytes completed. An event that the stream's end cut off never
  // comes. Errors: kResourceExhausted above `bytes_max`; it is of no use after that.
  core::Status Feed(std::string_view bytes, std::vector<StreamEvent>& events);

 private:
  core::Status EndLine(std::vector<StreamEvent>& events);
  core::Status Field(std::string_view name, std::string_view value);
  core::Status TooLong() const;

  const std::size_t bytes_max_;
  std::string line_;
  StreamEvent event_;
  bool has_data_ = false;
  bool first_line_ = true;
  bool after_return_ = false;  // a line feed that follows belongs to the carriage return
};

}  // namespace interlock::tools
