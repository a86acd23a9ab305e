#include "succession.h"

#include <array>
#include <cstdio>

#include "core/digest.h"
#include "core/json.h"
#include "note_text.h"
#include "schema.h"

namespace interlock::audit {
namespace {

constexpr std::size_t kHexBytes = 64;

bool IsHex(std::string_view text) {
  return text.size() == kHexBytes &&
         text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

struct HeadText {
  std::string origin;
  std::string root_hex;
  std::uint64_t size = 0;
};

std::optional<HeadText> ReadHead(const std::optional<core::JsonObjectView>& object) {
  if (!object) return std::nullopt;
  const auto origin = object->String("origin");
  const auto root = object->String("root");
  const auto size = object->Int("size");
  if (!origin || !root || !IsHex(*root) || !size || *size < 0) return std::nullopt;
  return HeadText{*origin, *root, static_cast<std::uint64_t>(*size)};
}

// Digest and number of entries.
std::optional<std::pair<std::string, std::uint64_t>> ReadCarried(const core::JsonObjectView& body) {
  const auto carried = body.Object("carried");
  if (!carried) return std::nullopt;
  const auto digest = carried->String("digest");
  const auto entries = carried->Int("entries");
  const bool sound = digest && digest->starts_with("sha256:") && IsHex(digest->substr(7)) &&
                     entries && *entries >= 0;
  if (!sound) return std::nullopt;
  return std::pair(*digest, static_cast<std::uint64_t>(*entries));
}

std::string LostText(const HeadText& head, const HeadText& kept) {
  if (head.origin != kept.origin) {
    return "log `" + head.origin + "` of " + std::to_string(head.size) + " entries";
  }
  if (head.size > kept.size) {
    return "entries " + std::to_string(kept.size) + " to " + std::to_string(head.size - 1) +
           " of log `" + kept.origin + "`";
  }
  return "the entries of log `" + kept.origin + "` that were signed as " +
         std::to_string(head.size);
}

}  // namespace

std::string OriginOf(std::string_view base, std::uint64_t number) {
  return std::string(base) + (number == 1 ? "" : "/" + std::to_string(number));
}

std::optional<std::uint64_t> LogNumber(std::string_view origin, std::string_view base) {
  if (origin == base) return 1;
  if (!origin.starts_with(base)) return std::nullopt;
  origin.remove_prefix(base.size());
  if (origin.size() < 2 || origin[0] != '/') return std::nullopt;
  const auto number = ParseDecimal(origin.substr(1));
  return number && *number >= 2 && *number <= kLogsMax ? number : std::nullopt;
}

std::string ArchiveName(std::uint64_t number) {
  std::array<char, 40> name{};
  std::snprintf(name.data(), name.size(), "audit-%04llu.db",
                static_cast<unsigned long long>(number));
  return name.data();
}

void CarriedDigest::Add(std::string_view body) {
  const core::Digest hash = core::Sha256(body);
  hashes_ += core::AsBytes(hash);
}

std::string CarriedDigest::Name() const { return core::DigestName(core::Sha256(hashes_)); }

std::string CarriedObject(const CarriedDigest& carried) {
  std::string text;
  core::JsonObjectWriter writer(text);
  writer.String("digest", carried.Name());
  writer.Int("entries", static_cast<std::int64_t>(carried.entries()));
  writer.Int("format", kCarriedFormat);
  writer.Close();
  return text;
}

std::optional<Opening> ReadOpening(std::string_view text) {
  const auto body = core::JsonObjectView::Of(text);
  if (!body.ok()) return std::nullopt;
  const auto carried = ReadCarried(*body);
  const auto number = body->Int("number");
  const auto previous = ReadHead(body->Object("previous"));
  if (!carried || !number || *number < 2 || !previous) return std::nullopt;
  const auto checkpoint = body->Object("previous")->String("checkpoint");
  if (!checkpoint) return std::nullopt;
  Opening opening{.number = static_cast<std::uint64_t>(*number),
                  .origin = previous->origin,
                  .size = previous->size,
                  .root_hex = previous->root_hex,
                  .checkpoint = *checkpoint,
                  .carried = carried->first,
                  .carried_entries = carried->second,
                  .restored = body->Raw("restored").has_value(),
                  .lost = {}};
  if (!opening.restored) return opening;
  const auto head = ReadHead(body->Object("restored"));
  if (!head) return std::nullopt;
  opening.lost = LostText(*head, *previous);
  return opening;
}

std::optional<std::string> ReadClosing(std::string_view text) {
  const auto body = core::JsonObjectView::Of(text);
  if (!body.ok()) return std::nullopt;
  const auto carried = ReadCarried(*body);
  if (!carried) return std::nullopt;
  return carried->first;
}

void SuccessionCheck::Next(std::uint64_t index, const ParsedEntry& entry) {
  if (closed_at_) findings_->Entry(*closed_at_ + 1, "follows the end of its log");
  if (entry.kind == kOpenedKind) {
    if (index == 0) opening_ = ReadOpening(entry.body);
    if (!opening_ || index != 0) findings_->Entry(index, "is no opening of a log");
    if (index == 0 && opening_) carried_entries_ = opening_->carried_entries;
    return;
  }
  if (entry.kind == kClosedKind) {
    closed_with_ = ReadClosing(entry.body);
    closed_at_ = index;
    if (!closed_with_) findings_->Entry(index, "is no end of a log");
  }
  const bool due = index >= 1 && index <= carried_entries_;
  if (due != (entry.kind == kCarriedKind)) {
    findings_->Entry(
        index, due ? "stands where carried state belongs" : "carries state where none belongs");
  }
  if (!due) return;
  carried_.Add(entry.body);
  // No single entry can be named by a digest; an exact finding in the range comes first.
  const bool exact = findings_->index() && *findings_->index() <= index;
  if (index == carried_entries_ && !exact && carried_.Name() != opening_->carried) {
    findings_->Entry(1, "or one after it is not the state that entry 0 names");
  }
}

void SuccessionCheck::End(std::uint64_t size) {
  if (size > 0 && size <= carried_entries_) {
    findings_->Entry(size, "is missing: entry 0 says that it carries state");
  }
  if (opening_ && carried_entries_ == 0 && opening_->carried != carried_.Name()) {
    findings_->Entry(0, "names carried state, and there is none");
  }
}

}  // namespace interlock::audit
