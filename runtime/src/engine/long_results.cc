#include "engine/long_results.h"

#include <algorithm>
#include <optional>

#include "config/utf8.h"
#include "engine/handles.h"

namespace interlock::runtime {
namespace {

constexpr std::int64_t kItemBytesMin = 24;  // less is no use to anybody
constexpr std::int64_t kLinesDefault = 200;
constexpr std::int64_t kItemsDefault = 100;

std::int64_t Signed(std::size_t size) { return static_cast<std::int64_t>(size); }

// Goes on with the word beside it, so that no cut word passes for a whole one (rule 16).
constexpr const char* kCut = "…";

bool CutsWord(std::string_view text, std::size_t at) {
  const auto space = [](char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; };
  return at > 0 && at < text.size() && !space(text[at - 1]) && !space(text[at]);
}

core::Json CutString(const std::string& text, std::int64_t& left) {
  const std::int64_t whole = Signed(text.size()) + 2;
  if (whole <= left) {
    left -= whole;
    return text;
  }
  const auto keep = static_cast<std::size_t>(std::max<std::int64_t>(left, 0));
  left = 0;
  return CutText(text, keep);
}

// `left`: bytes that may still be shown.
core::Json Cut(const core::Json& value, std::int64_t& left) {
  if (value.is_string()) return CutString(value.get_ref<const std::string&>(), left);
  if (!value.is_structured()) {
    left -= Signed(core::CanonicalJson(value).size());
    return value;
  }
  left -= 2;
  core::Json out = value.is_array() ? core::Json::array() : core::Json::object();
  std::size_t taken = 0;
  for (const auto& [name, member] : value.items()) {
    if (left < kItemBytesMin) break;
    left -= value.is_object() ? Signed(name.size()) + 4 : 1;
    core::Json part = Cut(member, left);
    if (value.is_array()) {
      out.push_back(std::move(part));
    } else {
      out[name] = std::move(part);
    }
    ++taken;
  }
  if (taken == value.size()) return out;
  const std::string more =
      std::string(kCut) + "(" + std::to_string(value.size() - taken) + " more)";
  if (value.is_array()) {
    out.push_back(more);
  } else {
    out[kCut] = more;
  }
  return out;
}

struct Range {
  std::int64_t from = 0;
  std::int64_t limit = 0;  // 0: as much as there may be
};

Range RangeOf(const core::Json& args) {
  return {.from = args.value("from", std::int64_t{0}),
          .limit = args.value("limit", std::int64_t{0})};
}

core::Json ReadBytes(const std::string& text, const Range& range, std::size_t bytes_max) {
  const std::size_t from = BoundaryBefore(text, static_cast<std::size_t>(range.from));
  const std::size_t most =
      range.limit == 0 ? bytes_max : std::min(bytes_max, static_cast<std::size_t>(range.limit));
  std::size_t end = BoundaryBefore(text, from + most);
  // A limit within a character would stand still.
  if (end == from && from < text.size()) {
    for (++end; end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80;) ++end;
  }
  std::string taken = text.substr(from, end - from);
  if (CutsWord(text, from)) taken.insert(0, kCut);
  if (CutsWord(text, end)) taken += kCut;
  core::Json part = {{"bytes", text.size()}, {"from", from}, {"text", std::move(taken)}};
  if (end < text.size()) part["next"] = end;
  return part;
}

// Lines count from 0; the last one need not end.
core::Json ReadLines(const std::string& text, const Range& range, std::size_t bytes_max) {
  const std::int64_t most = range.limit == 0 ? kLinesDefault : range.limit;
  core::Json part = {{"text", ""}};
  std::string taken;
  std::int64_t line = 0;
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t end = text.find('\n', at);
    const std::size_t next = end == std::string::npos ? text.size() : end + 1;
    if (line >= range.from) {
      const bool room = taken.size() + (next - at) <= bytes_max;
      if (line == range.from + most || (!room && !taken.empty())) break;
      // One line that is longer than all that may be shown is read by its bytes.
      taken += room ? text.substr(at, next - at)
                    : text.substr(at, BoundaryBefore(text, at + bytes_max) - at) + kCut;
    }
    at = next;
    ++line;
  }
  part["from"] = std::min(range.from, line);
  part["text"] = std::move(taken);
  if (at < text.size()) part["next"] = line;
  return part;
}

core::Json ReadItems(const core::Json& value, const Range& range, std::size_t bytes_max) {
  const std::int64_t most = range.limit == 0 ? kItemsDefault : range.limit;
  std::int64_t left = Signed(bytes_max);
  core::Json taken = value.is_array() ? core::Json::array() : core::Json::object();
  std::int64_t position = -1;
  std::optional<std::int64_t> next;
  for (const auto& [name, member] : value.items()) {
    if (++position < range.from) continue;
    const std::int64_t size = Signed(core::CanonicalJson(member).size() + name.size() + 4);
    if (position == range.from + most || (size > left && !taken.empty())) {
      next = position;
      break;
    }
    core::Json part = size > left ? Cut(member, left) : member;
    left -= size;
    if (value.is_array()) {
      taken.push_back(std::move(part));
    } else {
      taken[name] = std::move(part);
    }
  }
  core::Json part = {{"from", std::min(range.from, Signed(value.size()))},
                     {"items", value.size()},
                     {"value", std::move(taken)}};
  if (next) part["next"] = *next;
  return part;
}

}  // namespace

bool IsLong(const AgentFile* agent, const core::Json& shown) {
  if (agent == nullptr || !ReadsResults(*agent)) return false;
  const auto most = static_cast<std::size_t>(agent->limits.result_bytes_max);
  return core::CanonicalJson(shown).size() > most;
}

std::string CutText(const std::string& text, std::size_t bytes_max) {
  const std::size_t keep = BoundaryBefore(text, bytes_max);
  return text.substr(0, keep) + kCut + "(" + std::to_string(text.size() - keep) + " more bytes)";
}

core::Json CutJson(const core::Json& value, std::size_t bytes_max) {
  std::int64_t left = Signed(bytes_max);
  return Cut(value, left);
}

std::string ObservationLong(std::size_t number, const core::Json& value) {
  std::string text;
  core::JsonObjectWriter writer(text);
  writer.Int("bytes", Signed(core::CanonicalJson(value).size()));
  writer.Raw("first", core::CanonicalJson(CutJson(value, kPreviewBytesMax)));
  writer.String("handle", "r" + std::to_string(number));
  writer.Raw("ok", "true");
  writer.Raw("outline", core::CanonicalJson(OutlineOf(value)));
  writer.String("say", "This is its first part; read_result reads the rest.");
  writer.Close();
  return text;
}

core::StatusOr<HeldPart> PartOfCall(const Provenance& reads, const core::Json& args) {
  return reads.PartOf(args.value("handle", ""), args.value("pointer", ""));
}

core::StatusOr<core::Json> ReadPart(const Provenance& reads, const core::Json& args,
                                    std::size_t bytes_max) {
  INTERLOCK_ASSIGN_OR_RETURN(const HeldPart held, PartOfCall(reads, args));
  const core::Json& value = *held.value;
  const std::string usual = value.is_string() ? "bytes" : "items";
  const std::string unit = args.value("unit", usual);
  const Range range = RangeOf(args);
  if (value.is_string() == (unit == "items")) {
    return core::InvalidArgument(value.is_string() ? "this is a text; read it by `bytes` or `lines`"
                                                   : "this is no text; read it by `items`");
  }
  core::Json part = {{"value", value}};
  if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    part = unit == "bytes" ? ReadBytes(text, range, bytes_max) : ReadLines(text, range, bytes_max);
  } else if (value.is_structured()) {
    part = ReadItems(value, range, bytes_max);
  }
  part["handle"] = args.value("handle", "");
  return part;
}

}  // namespace interlock::runtime
