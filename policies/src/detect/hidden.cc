#include "hidden.h"

#include <optional>

#include "utf8.h"

namespace interlock::policies::detect {
namespace {

enum class Hidden { kNone, kTag, kBidi, kZeroWidth, kSelector };

Hidden ClassOf(char32_t c) {
  if (c >= 0xE0000 && c <= 0xE007F) return Hidden::kTag;
  if ((c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069)) return Hidden::kBidi;
  if ((c >= 0xFE00 && c <= 0xFE0F) || (c >= 0xE0100 && c <= 0xE01EF)) return Hidden::kSelector;
  if (c == 0x061C || c == 0x200E || c == 0x200F)
    return Hidden::kNone;  // marks of direction: everyday
  return c >= 0x80 && IsInvisible(c) ? Hidden::kZeroWidth : Hidden::kNone;
}

bool IsRightToLeft(char32_t c) {
  return (c >= 0x590 && c <= 0x8FF) || (c >= 0xFB1D && c <= 0xFDFF) || (c >= 0xFE70 && c <= 0xFEFC);
}

// Scripts and pictures that need joiners and breaks to be written.
bool TakesJoiners(char32_t c) {
  return IsRightToLeft(c) || (c >= 0x900 && c <= 0xDFF) || (c >= 0xE00 && c <= 0x109F) ||
         (c >= 0x1780 && c <= 0x18AF) || (c >= 0x2190 && c <= 0x2BFF) || c >= 0x1F000;
}

// Neighbours of equal class.
struct Run {
  Hidden kind = Hidden::kNone;
  std::size_t begin = 0;
  std::size_t end = 0;
  int count = 0;
  char32_t first = 0;
  char32_t last = 0;
  char32_t before = 0;  // the visible code point before it, 0 at the text's beginning
  bool overrides = false;
};

// England, Scotland and Wales are flags: a black flag, letters as tags, the tag that ends them.
bool IsFlag(const Run& run) {
  return run.before == 0x1F3F4 && run.count >= 4 && run.count <= 7 && run.last == 0xE007F;
}

void JudgeZeroWidth(Scan& scan, const Run& run, char32_t after) {
  const bool byte_order_mark = run.first == 0xFEFF && run.begin == 0 && run.count == 1;
  const bool joins = TakesJoiners(run.before) || TakesJoiners(after);
  if (byte_order_mark || (joins && run.count <= 2)) return;
  Confidence confidence = Confidence::kLow;
  const auto is_plain = [](char32_t c) { return c < 0x80 && IsAlnum(static_cast<char>(c)); };
  if (is_plain(run.before) && is_plain(after) && run.first != 0xAD)
    confidence = Confidence::kMedium;
  if (run.count >= 4) confidence = Confidence::kHigh;
  scan.AddInput("zero_width", confidence, run.begin, run.end);
}

// Overrides turn what is read around; embeddings and isolates are at home where right-to-left is.
void JudgeBidi(Scan& scan, const Run& run, bool right_to_left) {
  const Confidence confidence = run.overrides   ? Confidence::kHigh
                                : right_to_left ? Confidence::kLow
                                                : Confidence::kMedium;
  scan.AddInput("bidi_control", confidence, run.begin, run.end);
}

void Judge(Scan& scan, const Run& run, char32_t after, bool right_to_left) {
  scan.Work(1);
  switch (run.kind) {
    case Hidden::kTag:
      if (!IsFlag(run)) scan.AddInput("tag_characters", Confidence::kHigh, run.begin, run.end);
      return;
    case Hidden::kBidi:
      return JudgeBidi(scan, run, right_to_left);
    case Hidden::kSelector:
      if (run.count >= 4)
        scan.AddInput("variation_selectors", Confidence::kHigh, run.begin, run.end);
      return;
    case Hidden::kZeroWidth:
      return JudgeZeroWidth(scan, run, after);
    case Hidden::kNone:
      return;
  }
}

bool HasRightToLeft(std::string_view text) {
  for (std::size_t at = NextNonAscii(text, 0); at < text.size(); at = NextNonAscii(text, at)) {
    const CodePoint c = DecodeAt(text, at);
    if (c.value != kNoCodePoint && IsRightToLeft(c.value)) return true;
    at += c.size;
  }
  return false;
}

}  // namespace

void ScanHidden(Scan& scan) {
  const std::string_view input = scan.folded().input();
  std::optional<bool> right_to_left;
  const auto judge = [&](const Run& run, char32_t after) {
    if (run.kind == Hidden::kNone) return;
    if (run.kind == Hidden::kBidi && !right_to_left) right_to_left = HasRightToLeft(input);
    Judge(scan, run, after, right_to_left.value_or(false));
  };
  Run run;
  char32_t before = 0;
  for (std::size_t at = 0; at < input.size();) {
    const CodePoint c = DecodeAt(input, at);
    const Hidden kind = c.value == kNoCodePoint ? Hidden::kNone : ClassOf(c.value);
    if (kind != run.kind) {
      judge(run, c.value);
      run = {.kind = kind, .begin = at, .first = c.value, .before = before};
    }
    at += c.size;
    if (kind != Hidden::kNone) {
      ++run.count;
      run.end = at;
      run.last = c.value;
      run.overrides = run.overrides || c.value == 0x202D || c.value == 0x202E;
      continue;
    }
    before = c.value;
    const std::size_t next = NextNonAscii(input, at);
    if (next > at) before = static_cast<unsigned char>(input[next - 1]);
    at = next;
  }
  judge(run, 0);
}

}  // namespace interlock::policies::detect
