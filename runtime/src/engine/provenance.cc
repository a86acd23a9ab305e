#include "engine/provenance.h"

#include <algorithm>
#include <charconv>
#include <optional>

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

policies::Label WithSaid(policies::Label label, const std::vector<policies::LabelChange>& said) {
  for (const policies::LabelChange& change : said) {
    const policies::Label more{
        .trusted = !change.untrusted, .sources = {}, .tags = change.tags, .readers = {"*"}};
    label = policies::Join(label, more);
  }
  std::erase_if(label.tags, [](const std::string& tag) { return tag.starts_with(kReaderTag); });
  return label;
}

namespace {

// Of the part of a result at `path` ("result.items.1.mail"): of the manifest's word and of every
// rule that spoke of it, of what holds it or of what it holds.
policies::Label LabelAt(std::string_view tool, const ResultLabel& result, std::string_view path) {
  policies::Label label{
      .trusted = result.trusted, .sources = result.sources, .tags = {}, .readers = result.readers};
  label.sources.push_back("tool:" + std::string(tool));
  const auto within = [](std::string_view inner, std::string_view outer) {
    return inner.starts_with(outer) && (inner.size() == outer.size() || inner[outer.size()] == '.');
  };
  for (const policies::LabelChange& change : result.changes) {
    if (!within(path, change.path) && !within(change.path, path)) continue;
    label.trusted = label.trusted && !change.untrusted;
    for (const std::string& tag : change.tags) {
      if (!tag.starts_with(kReaderTag)) {
        label.tags.push_back(tag);
      } else if (within(path, change.path)) {  // who may read a part may not read the whole
        label.readers.push_back(tag.substr(kReaderTag.size()));
      }
    }
  }
  for (std::vector<std::string>* list : {&label.sources, &label.tags, &label.readers}) {
    std::sort(list->begin(), list->end());
    list->erase(std::unique(list->begin(), list->end()), list->end());
  }
  const bool everybody =
      std::find(label.readers.begin(), label.readers.end(), "*") != label.readers.end();
  if (everybody) label.readers = {"*"};
  return label;
}

}  // namespace

// An operator's words are trusted as the tenant's own are; they are not the user's.
void Provenance::ReadMessage(const MessageWords& message) {
  ++count_.messages;
  std::vector<std::string> tags = message.tags;
  std::sort(tags.begin(), tags.end());
  tags.erase(std::unique(tags.begin(), tags.end()), tags.end());
  std::vector<std::string> sources = message.sources;
  if (sources.empty()) sources.emplace_back(message.from);
  Read({.words = std::string(message.text),
        .label = {.trusted = !message.untrusted,
                  .sources = std::move(sources),
                  .tags = std::move(tags),
                  .readers = message.readers},
        .user = message.from == "user" && !message.untrusted});
}

void Provenance::ReadSession(const core::Json& session) {
  Text text{.words = "",
            .label = {.trusted = true, .sources = {"session"}, .tags = {}, .readers = {"*"}}};
  AppendLeaves(session, text.words);
  if (!text.words.empty()) Read(std::move(text));
}

void Provenance::ReadResult(std::string_view tool, const core::Json& result,
                            const ResultLabel& label) {
  ++count_.results;
  Text text{.words = "", .label = LabelAt(tool, label, "result")};
  AppendLeaves(result, text.words);
  Read(std::move(text));
}

void Provenance::HoldResult(std::string_view tool, core::Json result, ResultLabel label) {
  ++count_.results;
  held_.push_back(
      {.tool = std::string(tool), .value = std::move(result), .label = std::move(label)});
}

namespace {

core::Status NoSuchPart(std::string_view handle) {
  return core::InvalidArgument("there is nothing at `" + std::string(handle.substr(0, 64)) +
                               "`; write a result's name and a path into it: r3.items[0].email");
}

// The digits at the front of `text`, which lose them; nullopt: none, or too many.
std::optional<std::size_t> TakeNumber(std::string_view& text) {
  std::size_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return number;
}

}  // namespace

// The result whose name is at the front of `left`, which loses it; null: there is none.
const Provenance::Held* Provenance::HeldAs(std::string_view& left) const {
  if (left.size() > kHandleBytesMax || !left.starts_with('r')) return nullptr;
  left.remove_prefix(1);
  const auto number = TakeNumber(left);
  if (!number || *number == 0 || *number > held_.size()) return nullptr;
  return &held_[*number - 1];
}

core::StatusOr<HandledValue> Provenance::At(std::string_view handle) const {
  std::string_view left = handle;
  const Held* const whole = HeldAs(left);
  if (whole == nullptr) return NoSuchPart(handle);
  const Held& held = *whole;
  const core::Json* at = &held.value;
  std::string path = "result";
  while (!left.empty()) {
    const bool index = left.front() == '[';
    const bool name = left.front() == '.';
    left.remove_prefix(1);
    if (index && at->is_array()) {
      const auto position = TakeNumber(left);
      if (!position || *position >= at->size() || !left.starts_with(']')) return NoSuchPart(handle);
      left.remove_prefix(1);
      at = &(*at)[*position];
      path += "." + std::to_string(*position + 1);  // rules count from 1
    } else if (name && at->is_object()) {
      const std::string member(left.substr(0, left.find_first_of(".[")));
      const auto found = at->find(member);
      if (found == at->end()) return NoSuchPart(handle);
      left.remove_prefix(member.size());
      at = &*found;
      path += "." + member;
    } else {
      return NoSuchPart(handle);
    }
  }
  return HandledValue{.value = *at, .label = LabelAt(held.tool, held.label, path)};
}

namespace {

// "a~1b" is the name "a/b" (RFC 6901 §4).
std::string Unescaped(std::string_view token) {
  std::string name;
  for (std::size_t i = 0; i < token.size(); ++i) {
    const bool escape = token[i] == '~' && i + 1 < token.size();
    if (escape) ++i;
    name += !escape ? token[i] : token[i] == '1' ? '/' : '~';
  }
  return name;
}

// Without the pointer: words of the model do not come back to it as ours (rule 16).
core::Status NothingThere() {
  return core::InvalidArgument(
      "there is nothing at that pointer; write a JSON pointer into the result: /items/0/email");
}

}  // namespace

core::StatusOr<HeldPart> Provenance::PartOf(std::string_view name, std::string_view pointer) const {
  std::string_view rest = name;
  const Held* const held = HeldAs(rest);
  if (held == nullptr || !rest.empty()) {
    return core::InvalidArgument("there is no result of that name; they are r1, r2 and so on");
  }
  const core::Json* at = &held->value;
  std::string path = "result";
  for (std::string_view left = pointer; !left.empty();) {
    if (!left.starts_with('/')) return NothingThere();
    left.remove_prefix(1);
    const std::string_view token = left.substr(0, left.find('/'));
    left.remove_prefix(token.size());
    if (at->is_array()) {
      std::string_view digits = token;
      const bool plain = !token.empty() && token.front() >= '0' && token.front() <= '9';
      const auto position = plain ? TakeNumber(digits) : std::nullopt;
      if (!position || !digits.empty() || *position >= at->size()) return NothingThere();
      at = &(*at)[*position];
      path += "." + std::to_string(*position + 1);  // rules count from 1
    } else {
      const std::string member = Unescaped(token);
      const auto found = at->is_object() ? at->find(member) : at->end();
      if (!at->is_object() || found == at->end()) return NothingThere();
      at = &*found;
      path += "." + member;
    }
  }
  return HeldPart{.value = at, .tool = held->tool, .label = LabelAt(held->tool, held->label, path)};
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
  return origin != nullptr ? *origin : ModelLabel();
}

policies::Label Provenance::ModelLabel() const {
  static const policies::Label kModel{
      .trusted = true, .sources = {"model"}, .tags = {}, .readers = {"*"}};
  return policies::Join(context_, kModel);
}

void Provenance::Walk(const core::Json& value, std::string& path, const HandleLabels& handles,
                      policies::LabelMap& labels) const {
  const auto handle = handles.find(path);
  const bool named = handle != handles.end();
  if (named || !value.is_structured() || value.empty()) {
    // A name with a dot in it may spell the path of another leaf.
    const auto there = labels.all().find(path);
    const policies::Label label = named ? handle->second : LabelOf(value);
    return labels.Set(path, there == labels.all().end() ? label : Join(there->second, label));
  }
  const std::size_t length = path.size();
  std::size_t position = 0;
  for (const auto& [name, member] : value.items()) {
    path.append(".").append(value.is_object() ? name : std::to_string(++position));
    Walk(member, path, handles, labels);
    path.resize(length);
  }
}

policies::LabelMap Provenance::LabelsOf(const core::Json& args, const HandleLabels& handles) const {
  policies::LabelMap labels;
  std::string path = "args";
  Walk(args, path, handles, labels);
  return labels;
}

}  // namespace interlock::runtime
