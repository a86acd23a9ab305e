// What every command prints through: streams, exit codes, colour, and text made safe for a
// terminal.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "core/status.h"

namespace interlock::runtime::cli {

// What a shell script reads off the command.
enum ExitCode : int {
  kYes = 0,           // done, or the answer is yes
  kNo = 1,            // the answer is no: denied, tampered, a test failed
  kCouldNotTell = 2,  // bad usage, no connection, no permission, an error on the way
  kIncomplete = 3,    // part of it could be told, and that part is good
};

enum class Style { kPlain, kBold, kDim, kRed, kGreen, kYellow, kBlue, kCyan };

// Where a command prints. One per process (or test); not thread-safe.
struct Io {
  std::ostream& out;
  std::ostream& err;
  std::istream& in;
  bool colour_out = false;  // only when `out` is a terminal and NO_COLOR is unset
  bool colour_err = false;
  bool json = false;  // --json: exactly one JSON document, or one a line for streams

  std::string Paint(Style style, std::string_view text) const;
};

// Text of tools, models and users for one line of a terminal: control bytes, bytes that are not
// UTF-8, and characters that hide or reorder text (bidirectional controls, zero width, tags) become
// \n, \xNN, \u{…}.
std::string EscapeForTerminal(std::string_view text);

// "1 call", "2 calls".
std::string Plural(std::int64_t n, const std::string& noun);
// The same, at most `columns_max` code points; cut text ends in "…".
std::string EscapeAndCut(std::string_view text, std::size_t columns_max);
// The same over several lines: line feeds stay, every line is indented by `indent` spaces.
std::string EscapeLines(std::string_view text, int indent);

// "2026-11-21 14:03:11.204" and "14:03:11.204", UTC. "-" for 0.
std::string FormatTime(std::int64_t time_us);
std::string FormatTimeOfDay(std::int64_t time_us);
// Parses "2026-11-21", "2026-11-21T14:03:11Z" or microseconds. Errors: kInvalidArgument.
core::StatusOr<std::int64_t> ParseTime(std::string_view text);
// The last microsecond of what ParseTime takes: of a day without a time, midnight has all the rest
// of it before it.
core::StatusOr<std::int64_t> ParseTimeUntil(std::string_view text);
// "850 µs", "71 ms", "2.4 s"
std::string FormatDuration(std::int64_t us);
// "120.50 USD" for a currency, "3 calls" for other units.
std::string FormatAmount(std::int64_t amount, std::string_view unit);

// Rows under a head, columns padded to their widest cell. Cells are escaped here.
class Table {
 public:
  explicit Table(std::vector<std::string> head) : head_(std::move(head)) {}
  void Add(std::vector<std::string> row);
  std::size_t size() const { return rows_.size(); }
  void Print(const Io& io) const;

 private:
  std::vector<std::string> head_;
  std::vector<std::vector<std::string>> rows_;
};

// One JSON document and a line feed.
void PrintJson(const Io& io, const core::Json& value);
// "error: …" in one escaped line on `err` ({"error":{"code","message","reason"}} on `out` with
// --json), and the exit code for it.
int PrintError(const Io& io, const core::Status& status);

// The server's ErrorInfo reason ("RUN_NOT_FOUND"), carried beside a status. Empty when there is
// none.
core::Status WithErrorReason(core::Status status, std::string_view reason);
std::string ErrorReasonOf(const core::Status& status);

// Code points of UTF-8 text (each counts as one column).
std::size_t ColumnsOf(std::string_view text);

}  // namespace interlock::runtime::cli
