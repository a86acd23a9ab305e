#include "engine/provenance.h"

#include <algorithm>

namespace interlock::runtime {
namespace {

bool InWord(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte >= 0x80 || (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') ||
         (byte >= 'a' && byte <= 'z') || byte == '_';
}

// Whether `span` stands in `text` and no word goes on beyond either of its ends.
bool HasWholeWords(std::string_view text, std::string_view span) {
  for (std::size_t at = text.find(span); at != std::string_view::npos;
       at = text.find(span, at + 1)) {
    const std::size_t end = at + span.size();
    const bool starts = at == 0 || !InWord(text[at - 1]) || !InWord(span.front());
    const bool stops = end == text.size() || !InWord(text[end]) || !InWord(span.back());
    if (starts && stops) return true;
  }
  return false;
}

// A number, read as part of a longer one, is another: "5" of "1.5", "-5" or "5,000".
bool HasNumber(std::string_view text, std::string_view number) {
  constexpr std::string_view kJoins = ".,-+'";
  for (std::size_t at = text.find(number); at != std::string_view::npos;
       at = text.find(number, at + 1)) {
    const std::size_t end = at + number.size();
    const bool starts =
        at == 0 || (!InWord(text[at - 1]) && kJoins.find(text[at - 1]) == std::string_view::npos);
    // A full stop or comma ends a sentence, unless a digit follows it.
    const bool joined = end + 1 < text.size() && kJoins.find(text[end]) != std::string_view::npos &&
                        InWord(text[end + 1]);
    const bool stops = end == text.size() || (!InWord(text[end]) && !joined);
    if (starts && stops) return true;
  }
  return false;
}

void AppendLeaves(const core::Json& value, std::string& words) {
  if (value.is_object()) {
    for (const auto& [name, member] : value.items()) {
      words.append(name).push_back('\n');
      AppendLeaves(member, words);
    }
  } else if (value.is_array()) {
    for (const core::Json& element : value) AppendLeaves(element, words);
  } else if (value.is_string()) {
    words.append(value.get_ref<const std::string&>()).push_back('\n');
  } else if (value.is_number()) {
    words.append(core::CanonicalJson(value)).push_back('\n');
  }
}

}  // namespace

void Provenance::ReadUser(std::string_view text) {
  Read({.words = std::string(text),
        .label = {.trusted = true, .sources = {"user"}, .tags = {}, .readers = {"*"}},
        .user = true});
}

void Provenance::ReadSession(const core::Json& session) {
  Text text{.words = "",
            .label = {.trusted = true, .sources = {"session"}, .tags = {}, .readers = {"*"}}};
  AppendLeaves(session, text.words);
  if (!text.words.empty()) Read(std::move(text));
}

void Provenance::ReadResult(std::string_view tool, const core::Json& result, bool trusted,
                            std::vector<std::string> tags) {
  std::sort(tags.begin(), tags.end());
  tags.erase(std::unique(tags.begin(), tags.end()), tags.end());
  Text text{.words = "",
            .label = {.trusted = trusted,
                      .sources = {"tool:" + std::string(tool)},
                      .tags = std::move(tags),
                      .readers = {}}};
  AppendLeaves(result, text.words);
  Read(std::move(text));
}

void Provenance::Read(Text text) {
  context_ = policies::Join(context_, text.label);
  bytes_ += text.words.size();
  if (bytes_ > kReadBytesMax) {
    forgot_untrusted_ = forgot_untrusted_ || !text.label.trusted;
    return;
  }
  texts_.push_back(std::move(text));
}

const policies::Label* Provenance::OriginOf(std::string_view words, bool number) const {
  if (words.empty() || forgot_untrusted_) return nullptr;
  const bool only_user = number || words.size() < kSpanBytesMin;
  const Text* origin = nullptr;
  for (const Text& text : texts_) {
    if (!text.label.trusted) {
      if (text.words.find(words) != std::string::npos) return nullptr;
      continue;
    }
    if ((origin != nullptr && (origin->user || !text.user)) || (only_user && !text.user)) continue;
    const bool there = number ? HasNumber(text.words, words) : HasWholeWords(text.words, words);
    if (there) origin = &text;
  }
  return origin == nullptr ? nullptr : &origin->label;
}

policies::Label Provenance::LabelOf(const core::Json& leaf) const {
  const policies::Label* origin = nullptr;
  if (leaf.is_string()) {
    origin = OriginOf(leaf.get_ref<const std::string&>(), /*number=*/false);
  } else if (leaf.is_number()) {
    origin = OriginOf(core::CanonicalJson(leaf), /*number=*/true);
  }
  if (origin != nullptr) return *origin;
  static const policies::Label kModel{
      .trusted = true, .sources = {"model"}, .tags = {}, .readers = {"*"}};
  return policies::Join(context_, kModel);
}

void Provenance::Walk(const core::Json& value, std::string& path,
                      policies::LabelMap& labels) const {
  if (!value.is_structured() || value.empty()) {
    // A name with a dot in it may spell the path of another leaf.
    const auto there = labels.all().find(path);
    const policies::Label label = LabelOf(value);
    return labels.Set(path, there == labels.all().end() ? label : Join(there->second, label));
  }
  const std::size_t length = path.size();
  std::size_t position = 0;
  for (const auto& [name, member] : value.items()) {
    path.append(".").append(value.is_object() ? name : std::to_string(++position));
    Walk(member, path, labels);
    path.resize(length);
  }
}

policies::LabelMap Provenance::LabelsOf(const core::Json& args) const {
  policies::LabelMap labels;
  std::string path = "args";
  Walk(args, path, labels);
  return labels;
}

}  // namespace interlock::runtime
