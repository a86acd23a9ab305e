#include "scan.h"

#include <algorithm>
#include <array>
#include <tuple>

namespace interlock::policies::detect {
namespace {

constexpr std::size_t kContextBytes = 48;
constexpr std::int64_t kWorkBase = 8192;
constexpr std::int64_t kWorkPerByte = 4;
constexpr std::size_t kCandidatesMax = 4 * kDetectionsMax;

bool IsWordByte(char c) { return IsAlnum(c) || c == '_'; }

// `words` are whole words or begin one; "iban" is not found in "urbaniban".
bool HasWord(std::string_view text, const std::vector<std::string_view>& words) {
  for (const std::string_view word : words) {
    for (std::size_t at = text.find(word); at != std::string_view::npos;
         at = text.find(word, at + 1)) {
      if (at == 0 || !IsAlpha(text[at - 1]) || !IsAlpha(word[0])) return true;
    }
  }
  return false;
}

bool Overlap(const Detection& a, const Detection& b) { return a.begin < b.end && b.begin < a.end; }

// A finding yields to an overlapping one of its kind that is longer, and to a surer one of its
// group.
bool Yields(const Detection& weak, const Detection& strong) {
  if (weak.group != strong.group || !Overlap(weak, strong)) return false;
  if (weak.kind == strong.kind) return true;
  return strong.confidence > weak.confidence;
}

bool Stronger(const Detection& a, const Detection& b) {
  const auto rank = [](const Detection& d) {
    return std::tuple(-static_cast<int>(d.confidence), d.begin - d.end, d.begin, d.kind);
  };
  return rank(a) < rank(b);
}

bool Earlier(const Detection& a, const Detection& b) {
  return std::tie(a.begin, a.end, a.kind) < std::tie(b.begin, b.end, b.kind);
}

}  // namespace

Scan::Scan(const Folded& folded, const DetectOptions& options)
    : folded_(folded), text_(folded.text()), options_(options) {}

bool Scan::WordBegins(std::size_t at) const {
  if (at == 0 || !IsWordByte(text_[at - 1])) return true;
  if (at < 2) return false;
  const char last = text_[at - 1];
  if (text_[at - 2] == '\\') return last == 'n' || last == 't' || last == 'r';
  return at >= 3 && text_[at - 3] == '%' && IsHex(last) && IsHex(text_[at - 2]);
}

bool Scan::Exhausted() {
  if (work_ <= kWorkBase + kWorkPerByte * static_cast<std::int64_t>(text_.size())) return false;
  truncated_ = true;
  return true;
}

void Scan::Add(std::string_view kind, Confidence confidence, std::size_t begin, std::size_t end) {
  AddInput(kind, confidence, folded_.Begin(begin), folded_.End(end));
}

void Scan::AddInput(std::string_view kind, Confidence confidence, std::size_t begin,
                    std::size_t end) {
  if (begin >= end) return;
  if (found_.size() >= kCandidatesMax) {
    truncated_ = true;
    return;
  }
  work_ += 4;
  found_.push_back(
      {.kind = kind, .group = GroupOf(kind), .confidence = confidence, .begin = begin, .end = end});
}

bool Scan::HasWordBefore(std::size_t at, const std::vector<std::string_view>& words) {
  work_ += 8;
  std::array<char, kContextBytes> lower{};
  const std::size_t size = std::min(at, kContextBytes);
  std::transform(text_.begin() + static_cast<std::ptrdiff_t>(at - size),
                 text_.begin() + static_cast<std::ptrdiff_t>(at), lower.begin(), Lower);
  if (HasWord({lower.data(), size}, words)) return true;
  const std::size_t field_size = std::min(options_.field.size(), kContextBytes);
  std::transform(options_.field.begin(),
                 options_.field.begin() + static_cast<std::ptrdiff_t>(field_size), lower.begin(),
                 Lower);
  return HasWord({lower.data(), field_size}, words);
}

// The strongest first: each that is kept silences what yields to it.
Detections Scan::Finish() {
  std::sort(found_.begin(), found_.end(), Stronger);
  Detections out;
  for (const Detection& one : found_) {
    const bool yields = std::any_of(out.found.begin(), out.found.end(),
                                    [&](const Detection& kept) { return Yields(one, kept); });
    if (yields) continue;
    if (out.found.size() >= kDetectionsMax) {
      truncated_ = true;
      break;
    }
    out.found.push_back(one);
  }
  std::sort(out.found.begin(), out.found.end(), Earlier);
  out.truncated = truncated_;
  out.work = work_;
  return out;
}

}  // namespace interlock::policies::detect
