#include "commitments.h"

#include <algorithm>
#include <array>
#include <optional>

#include "audit/commitment.h"
#include "core/json.h"

namespace interlock::audit {
namespace {

bool IsHex(std::string_view text) {
  static constexpr auto kIsDigit = [] {
    std::array<bool, 256> digits{};
    for (const char c : std::string_view("0123456789abcdef")) {
      digits[static_cast<unsigned char>(c)] = true;
    }
    return digits;
  }();
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return kIsDigit[static_cast<unsigned char>(c)]; });
}

// Reads literal text and tokens off the front of a view.
class Cutter {
 public:
  explicit Cutter(std::string_view text) : text_(text) {}

  bool Literal(std::string_view literal) {
    if (text_.substr(0, literal.size()) != literal) return false;
    text_.remove_prefix(literal.size());
    return true;
  }
  std::optional<std::string_view> Hex64() {
    if (text_.size() < 64 || !IsHex(text_.substr(0, 64))) return std::nullopt;
    const std::string_view hex = text_.substr(0, 64);
    text_.remove_prefix(64);
    return hex;
  }
  std::optional<std::string_view> UpToQuote() {
    const std::size_t end = text_.find('"');
    if (end == std::string_view::npos) return std::nullopt;
    const std::string_view token = text_.substr(0, end);
    text_.remove_prefix(end);
    return token;
  }
  std::optional<std::uint32_t> Number(std::size_t digits_max) {
    std::uint32_t value = 0;
    std::size_t digits = 0;
    while (digits <= digits_max && digits < text_.size() && text_[digits] >= '0' &&
           text_[digits] <= '9') {
      value = value * 10 + static_cast<std::uint32_t>(text_[digits++] - '0');
    }
    if (digits == 0 || digits > digits_max) return std::nullopt;
    text_.remove_prefix(digits);
    return value;
  }

 private:
  std::string_view text_;
};

bool TakeFields(Cutter& text, NamedCommitment& out) {
  if (!text.Literal(R"(,"fields":{)")) return true;
  if (text.Literal("}")) return true;
  while (text.Literal("\"")) {
    const auto name = text.UpToQuote();
    if (!name || !text.Literal(R"(":")")) return false;
    const auto hex = text.Hex64();
    if (!hex || !text.Literal("\"")) return false;
    out.fields.emplace_back(*name, *hex);
    if (text.Literal("}")) return true;
    if (!text.Literal(",")) return false;
  }
  return false;
}

std::optional<NamedCommitment> CommitmentAt(std::string_view after_label) {
  Cutter text(after_label);
  NamedCommitment found;
  const auto bytes = text.Number(9);
  if (!bytes || !text.Literal(R"(,"commit":")")) return std::nullopt;
  const auto hex = text.Hex64();
  if (!hex || !text.Literal("\"") || !TakeFields(text, found) || !text.Literal(R"(,"key":")")) {
    return std::nullopt;
  }
  const auto key = text.UpToQuote();
  if (!key || !text.Literal(R"(","slot":)")) return std::nullopt;
  const auto slot = text.Number(3);
  if (!slot || !text.Literal("}")) return std::nullopt;
  found.hex = *hex;
  found.key = *key;
  found.bytes = *bytes;
  found.slot = static_cast<int>(*slot);
  return found;
}

}  // namespace

std::vector<NamedCommitment> CommitmentsIn(std::string_view bytes) {
  constexpr std::string_view kLabel = R"({"bytes":)";
  std::vector<NamedCommitment> found;
  for (std::size_t at = bytes.find(kLabel); at != std::string_view::npos;
       at = bytes.find(kLabel, at + 1)) {
    if (auto commitment = CommitmentAt(bytes.substr(at + kLabel.size()))) {
      found.push_back(*std::move(commitment));
    }
  }
  const auto before = [](const NamedCommitment& a, const NamedCommitment& b) {
    return a.slot < b.slot;
  };
  if (!std::is_sorted(found.begin(), found.end(), before)) {  // a sort takes memory of its own
    std::stable_sort(found.begin(), found.end(), before);
  }
  return found;
}

std::string SealingKeyOf(std::string_view entry_bytes, int slot) {
  for (const NamedCommitment& named : CommitmentsIn(entry_bytes)) {
    if (named.slot == slot) return std::string(named.key);
  }
  return "";
}

std::string CommitmentText(const SealedPayload& payload, int slot, std::string_view fields) {
  std::string object;
  object.reserve(fields.size() + 192);
  core::JsonObjectWriter writer(object);
  writer.Int("bytes", static_cast<std::int64_t>(payload.plain_bytes));
  writer.String("commit", core::Hex(payload.commitment));
  if (!fields.empty()) writer.Raw("fields", fields);
  writer.String("key", payload.key_id);
  writer.Int("slot", slot);
  writer.Close();
  return object;
}

}  // namespace interlock::audit
