#include "tools/event_stream.h"

#include <utility>

namespace interlock::tools {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

}  // namespace

core::Status EventStreamParser::TooLong() const {
  return core::ResourceExhausted("an event of the stream is larger than " +
                                 std::to_string(bytes_max_) + " bytes");
}

core::Status EventStreamParser::Feed(std::string_view bytes, std::vector<StreamEvent>& events) {
  while (!bytes.empty()) {
    if (std::exchange(after_return_, false) && bytes.front() == '\n') {
      bytes.remove_prefix(1);
      continue;
    }
    const std::size_t end = bytes.find_first_of("\r\n");
    const std::string_view piece = bytes.substr(0, end);
    if (line_.size() + piece.size() > bytes_max_) return TooLong();
    line_ += piece;
    if (end == std::string_view::npos) return core::OkStatus();
    after_return_ = bytes[end] == '\r';
    bytes.remove_prefix(end + 1);
    INTERLOCK_RETURN_IF_ERROR(EndLine(events));
    line_.clear();
  }
  return core::OkStatus();
}

core::Status EventStreamParser::EndLine(std::vector<StreamEvent>& events) {
  std::string_view line = line_;
  if (std::exchange(first_line_, false) && line.starts_with(kByteOrderMark)) {
    line.remove_prefix(kByteOrderMark.size());
  }
  if (line.empty()) {
    if (has_data_) events.push_back(std::move(event_));
    event_ = {};
    has_data_ = false;
    return core::OkStatus();
  }
  const std::size_t colon = line.find(':');
  std::string_view value = colon == std::string_view::npos ? "" : line.substr(colon + 1);
  if (value.starts_with(' ')) value.remove_prefix(1);
  return Field(line.substr(0, colon), value);  // a comment has no name and no meaning
}

core::Status EventStreamParser::Field(std::string_view name, std::string_view value) {
  if (name == "event") event_.name = std::string(value);
  if (name != "data") return core::OkStatus();
  if (event_.data.size() + value.size() + 1 > bytes_max_) return TooLong();
  if (std::exchange(has_data_, true)) event_.data += '\n';
  event_.data += value;
  return core::OkStatus();
}

}  // namespace interlock::tools
