#include "cli/io.h"

#include <absl/strings/cord.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <ostream>

#include "core/money.h"

namespace interlock::runtime::cli {
namespace {

constexpr std::int64_t kMicrosPerSecond = 1'000'000;
constexpr std::int64_t kDayMicros = 86'400'000'000;
constexpr char kReasonPayload[] = "interlock.cli/reason";

std::string_view StyleCode(Style style) {
  switch (style) {
    case Style::kPlain:
      return "";
    case Style::kBold:
      return "1";
    case Style::kDim:
      return "2";
    case Style::kRed:
      return "31";
    case Style::kGreen:
      return "32";
    case Style::kYellow:
      return "33";
    case Style::kBlue:
      return "34";
    case Style::kCyan:
      return "36";
  }
  return "";
}

// As ParseTime takes it: a number has no dash but its sign, a day with a time has a colon.
bool IsDay(std::string_view text) {
  return text.find(':') == std::string_view::npos && text.find('-', 1) != std::string_view::npos;
}

template <typename... Args>
std::string Printf(const char* format, Args... args) {
  std::array<char, 96> buffer{};
  const int n = std::snprintf(buffer.data(), buffer.size(), format, args...);
  return std::string(buffer.data(), static_cast<std::size_t>(std::max(n, 0)));
}

struct CodePoint {
  std::uint32_t value = 0;
  std::size_t bytes = 0;  // 0: not UTF-8 here
};

// RFC 3629: shortest form only, no surrogates, at most U+10FFFF.
CodePoint DecodeUtf8(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  const std::size_t size = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < size) return {};
  std::uint32_t value = lead & (0xffu >> (size + 1));
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {};
    value = value << 6 | (byte(i) & 0x3f);
  }
  constexpr std::array<std::uint32_t, 5> kShortest{0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = value >= 0xd800 && value <= 0xdfff;
  if (value < kShortest[size] || value > 0x10ffff || surrogate) return {};
  return {value, size};
}

// Characters that a reader does not see or that move what he sees.
bool IsDeceptive(std::uint32_t c) {
  const auto in = [c](std::uint32_t low, std::uint32_t high) { return c >= low && c <= high; };
  return in(0x80, 0x9f) || c == 0xad || c == 0x61c || c == 0x180e || in(0x200b, 0x200f) ||
         in(0x2028, 0x202e) || in(0x2060, 0x206f) || in(0xfe00, 0xfe0f) || c == 0xfeff ||
         in(0xfff9, 0xfffb) || in(0xe0000, 0xe0fff);
}

void AppendEscaped(const CodePoint& c, std::string_view bytes, std::string& out) {
  if (c.bytes == 0) {
    out += Printf("\\x%02x", static_cast<unsigned>(static_cast<unsigned char>(bytes[0])));
  } else if (c.value == '\n') {
    out += "\\n";
  } else if (c.value == '\t') {
    out += "\\t";
  } else if (c.value == '\r') {
    out += "\\r";
  } else if (c.value < 0x20 || c.value == 0x7f) {
    out += Printf("\\x%02x", c.value);
  } else if (IsDeceptive(c.value)) {
    out += Printf("\\u{%x}", c.value);
  } else {
    out += bytes.substr(0, c.bytes);
  }
}

std::string Escape(std::string_view text, std::size_t columns_max) {
  std::string out;
  out.reserve(text.size());
  std::size_t columns = 0;
  while (!text.empty()) {
    if (++columns > columns_max) return out + "…";
    const CodePoint c = DecodeUtf8(text);
    AppendEscaped(c, text, out);
    text.remove_prefix(std::max<std::size_t>(c.bytes, 1));
  }
  return out;
}

std::tm UtcOf(std::int64_t time_us) {
  const std::time_t seconds = time_us / kMicrosPerSecond;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  return parts;
}

std::string_view CodeName(core::StatusCode code) {
  static constexpr std::array<std::string_view, 17> kNames{"OK",
                                                           "CANCELLED",
                                                           "UNKNOWN",
                                                           "INVALID_ARGUMENT",
                                                           "DEADLINE_EXCEEDED",
                                                           "NOT_FOUND",
                                                           "ALREADY_EXISTS",
                                                           "PERMISSION_DENIED",
                                                           "RESOURCE_EXHAUSTED",
                                                           "FAILED_PRECONDITION",
                                                           "ABORTED",
                                                           "OUT_OF_RANGE",
                                                           "UNIMPLEMENTED",
                                                           "INTERNAL",
                                                           "UNAVAILABLE",
                                                           "DATA_LOSS",
                                                           "UNAUTHENTICATED"};
  const auto i = static_cast<std::size_t>(code);
  return i < kNames.size() ? kNames[i] : "UNKNOWN";
}

}  // namespace

std::string Io::Paint(Style style, std::string_view text) const {
  if (!colour_out || style == Style::kPlain) return std::string(text);
  return "\x1b[" + std::string(StyleCode(style)) + "m" + std::string(text) + "\x1b[0m";
}

std::string Plural(std::int64_t n, const std::string& noun) {
  return std::to_string(n) + " " + noun + (n == 1 ? "" : "s");
}

std::string EscapeForTerminal(std::string_view text) {
  return Escape(text, std::string_view::npos);
}

std::string EscapeAndCut(std::string_view text, std::size_t columns_max) {
  return Escape(text, columns_max);
}

std::string EscapeLines(std::string_view text, int indent) {
  const std::string margin(static_cast<std::size_t>(indent), ' ');
  std::string out;
  while (true) {
    const std::size_t end = text.find('\n');
    out += margin + Escape(text.substr(0, end), std::string_view::npos);
    if (end == std::string_view::npos) return out;
    out += '\n';
    text.remove_prefix(end + 1);
  }
}

std::string FormatTime(std::int64_t time_us) {
  if (time_us == 0) return "-";
  const std::tm utc = UtcOf(time_us);
  return Printf("%04d-%02d-%02d ", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday) +
         FormatTimeOfDay(time_us);
}

std::string FormatTimeOfDay(std::int64_t time_us) {
  if (time_us == 0) return "-";
  const std::tm utc = UtcOf(time_us);
  const auto ms = static_cast<int>(time_us % kMicrosPerSecond / 1000);
  return Printf("%02d:%02d:%02d.%03d", utc.tm_hour, utc.tm_min, utc.tm_sec, ms);
}

core::StatusOr<std::int64_t> ParseTime(std::string_view text) {
  std::int64_t micros = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), micros);
  if (error == std::errc() && end == text.data() + text.size()) return micros;
  const std::string copy(text);
  std::tm parts{};
  const char* rest = strptime(copy.c_str(), "%Y-%m-%d", &parts);
  if (rest != nullptr && (*rest == 'T' || *rest == ' ')) {
    rest = strptime(rest + 1, "%H:%M:%S", &parts);
    if (rest != nullptr && *rest == 'Z') ++rest;
  }
  if (rest == nullptr || *rest != '\0') {
    return core::InvalidArgument("`" + copy +
                                 "` is no time; write 2026-11-21 or 2026-11-21T14:03:11Z (UTC)");
  }
  return static_cast<std::int64_t>(timegm(&parts)) * kMicrosPerSecond;
}

core::StatusOr<std::int64_t> ParseTimeUntil(std::string_view text) {
  INTERLOCK_ASSIGN_OR_RETURN(const std::int64_t first, ParseTime(text));
  return IsDay(text) ? first + kDayMicros - 1 : first;
}

std::string FormatDuration(std::int64_t us) {
  if (us < 1000) return std::to_string(us) + " µs";
  if (us < 10'000) return Printf("%.1f ms", static_cast<double>(us) / 1e3);
  if (us < kMicrosPerSecond) return std::to_string(us / 1000) + " ms";
  return Printf("%.1f s", static_cast<double>(us) / 1e6);
}

std::string FormatAmount(std::int64_t amount, std::string_view unit) {
  if (core::MinorDigits(unit).ok()) return core::FormatMoney({amount, std::string(unit)});
  return std::to_string(amount) + " " + EscapeForTerminal(unit);
}

std::size_t ColumnsOf(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

void Table::Add(std::vector<std::string> row) {
  for (std::string& cell : row) cell = EscapeForTerminal(cell);
  row.resize(head_.size());
  rows_.push_back(std::move(row));
}

void Table::Print(const Io& io) const {
  std::vector<std::size_t> widths(head_.size(), 0);
  const auto widen = [&](const std::vector<std::string>& row) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], ColumnsOf(row[i]));
  };
  const auto line = [&](const std::vector<std::string>& row) {
    std::string out;
    for (std::size_t i = 0; i < row.size(); ++i) {
      out += row[i];
      if (i + 1 < row.size()) out.append(widths[i] - ColumnsOf(row[i]) + 2, ' ');
    }
    return out;
  };
  widen(head_);
  for (const auto& row : rows_) widen(row);
  io.out << io.Paint(Style::kBold, line(head_)) << '\n';
  for (const auto& row : rows_) io.out << line(row) << '\n';
}

void PrintJson(const Io& io, const core::Json& value) {
  io.out << value.dump(-1, ' ', false, core::Json::error_handler_t::replace) << '\n';
}

core::Status WithErrorReason(core::Status status, std::string_view reason) {
  if (!reason.empty()) status.SetPayload(kReasonPayload, absl::Cord(std::string(reason)));
  return status;
}

std::string ErrorReasonOf(const core::Status& status) {
  const auto payload = status.GetPayload(kReasonPayload);
  return payload.has_value() ? std::string(*payload) : std::string();
}

int PrintError(const Io& io, const core::Status& status) {
  if (io.json) {
    PrintJson(io, {{"error",
                    {{"code", CodeName(status.code())},
                     {"message", std::string(core::Message(status))},
                     {"reason", ErrorReasonOf(status)}}}});
  } else {
    const std::string_view label = io.colour_err ? "\x1b[31merror:\x1b[0m " : "error: ";
    io.err << label << EscapeForTerminal(core::Message(status)) << '\n';
  }
  return kCouldNotTell;
}

}  // namespace interlock::runtime::cli
