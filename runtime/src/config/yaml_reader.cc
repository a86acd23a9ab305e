#include "config/yaml_reader.h"

#include <algorithm>
#include <charconv>
#include <numeric>

#include "config/utf8.h"

namespace interlock::runtime {
namespace {

// Levenshtein distance; keys are short.
std::size_t Distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t above = row[j + 1];
      row[j + 1] = std::min({above + 1, row[j] + 1, diagonal + (a[i] == b[j] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row.back();
}

std::string Suggest(std::string_view key, const std::vector<std::string>& known) {
  const std::string_view shortened = key.substr(0, 64);
  std::string nearest;
  std::size_t best = 3;  // more than two edits away is another word
  for (const std::string& name : known) {
    if (const std::size_t distance = Distance(shortened, name); distance < best) {
      best = distance;
      nearest = name;
    }
  }
  if (!nearest.empty()) return "did you mean `" + nearest + "`?";
  std::string all = "known here: ";
  for (const std::string& name : known) all += (name == known.front() ? "" : ", ") + name;
  return all;
}

// Input in a message: one line, not too long.
std::string Quoted(std::string_view text) {
  std::string out = "`";
  for (const char c : text.substr(0, 64)) out += static_cast<unsigned char>(c) < 0x20 ? '?' : c;
  return out + (text.size() > 64 ? "…`" : "`");
}

// False: it is no plain text.
bool AddText(const YAML::Node& node, std::vector<std::string>& texts) {
  if (!node.IsScalar() || node.Scalar().empty()) return false;
  texts.push_back(node.Scalar());
  return true;
}

}  // namespace

void YamlFaults::Add(int line, const std::string& message) {
  if (!status_.ok()) return;
  const std::string place = line > 0 ? file_ + ":" + std::to_string(line) : file_;
  status_ = core::InvalidArgument(place + ": " + message);
}

int LineOf(const YAML::Node& node) {
  const YAML::Mark mark = node.Mark();
  return mark.is_null() ? 0 : mark.line + 1;
}

YAML::Node ParseYaml(std::string_view text, YamlFaults& faults) {
  if (!IsUtf8(text) || text.find('\0') != std::string_view::npos) {
    faults.Add(0, "not UTF-8 text; save the file as UTF-8");
    return {};
  }
  try {
    std::vector<YAML::Node> documents = YAML::LoadAll(std::string(text));
    if (documents.size() == 1 && documents[0].IsMap()) return documents[0];
    if (documents.size() > 1) {
      faults.Add(LineOf(documents[1]), "a second document; keep one document a file");
    } else {
      faults.Add(1, "expected a map of keys; write `key: value` lines");
    }
  } catch (const YAML::Exception& error) {
    faults.Add(error.mark.is_null() ? 0 : error.mark.line + 1, "not YAML: " + error.msg);
  }
  return {};
}

YamlMap::YamlMap(YAML::Node node, std::string what, YamlFaults& faults)
    : node_(std::move(node)), what_(std::move(what)), faults_(faults) {
  if (!node_.IsDefined() || node_.IsNull()) return;
  if (!node_.IsMap()) {
    faults_.Add(LineOf(node_), what_ + " must be a map of keys");
    return;
  }
  for (const auto& pair : node_) {
    const int line = LineOf(pair.first);
    if (!pair.first.IsScalar()) {
      faults_.Add(line, "a key of " + what_ + " is not plain text");
      return;
    }
    const std::string& key = pair.first.Scalar();
    if (const Item* first = Find(key)) {
      faults_.Add(line, "key " + Quoted(key) + " is given twice, first in line " +
                            std::to_string(first->line) + "; remove one");
      return;
    }
    items_.push_back({key, line, pair.second});
  }
}

const YamlMap::Item* YamlMap::Find(std::string_view key) const {
  for (const Item& item : items_) {
    if (item.key == key) return &item;
  }
  return nullptr;
}

const YamlMap::Item* YamlMap::Ask(std::string_view key) {
  known_.emplace_back(key);
  return Find(key);
}

const YamlMap::Item* YamlMap::AskScalar(std::string_view key) {
  const Item* item = Ask(key);
  if (item == nullptr || item->value.IsScalar()) return item;
  const char* found = item->value.IsNull() ? "nothing" : item->value.IsMap() ? "a map" : "a list";
  faults_.Add(item->line, "`" + std::string(key) + "` must be one value, found " + found);
  return nullptr;
}

int YamlMap::LineOfKey(std::string_view key) const {
  const Item* item = Find(key);
  return item == nullptr ? line() : item->line;
}

std::string YamlMap::Text(std::string_view key, std::string fallback) {
  const Item* item = AskScalar(key);
  return item == nullptr ? std::move(fallback) : item->value.Scalar();
}

std::string YamlMap::RequiredText(std::string_view key) {
  std::string text = Text(key, "");
  if (text.empty()) {
    faults_.Add(LineOfKey(key),
                what_ + " needs `" + std::string(key) + "`; add `" + std::string(key) + ": …`");
  }
  return text;
}

std::int64_t YamlMap::Int(std::string_view key, std::int64_t fallback, IntRange range) {
  const Item* item = AskScalar(key);
  if (item == nullptr) return fallback;
  const std::string& text = item->value.Scalar();
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  const bool quoted = item->value.Tag() == "!";  // yaml-cpp's tag of a quoted scalar
  if (whole && !quoted && value >= range.min && value <= range.max) return value;
  faults_.Add(item->line, "`" + std::string(key) + "` must be a whole number from " +
                              std::to_string(range.min) + " to " + std::to_string(range.max) +
                              ", found " + Quoted(text));
  return fallback;
}

bool YamlMap::Bool(std::string_view key, bool fallback) {
  const Item* item = AskScalar(key);
  if (item == nullptr) return fallback;
  const std::string& text = item->value.Scalar();
  if (text == "true" || text == "false") return text == "true";
  faults_.Add(item->line,
              "`" + std::string(key) + "` must be true or false, found " + Quoted(text));
  return fallback;
}

int YamlMap::Choice(std::string_view key, const std::vector<std::string>& choices, int fallback) {
  const Item* item = AskScalar(key);
  if (item == nullptr && fallback >= 0) return fallback;
  const std::string text = item == nullptr ? "" : item->value.Scalar();
  const auto found = std::find(choices.begin(), choices.end(), text);
  if (found != choices.end()) return static_cast<int>(found - choices.begin());
  std::string all;
  for (const std::string& choice : choices) all += (all.empty() ? "" : ", ") + choice;
  faults_.Add(LineOfKey(key), "`" + std::string(key) + "` must be one of " + all + ", found " +
                                  (item == nullptr ? "nothing" : Quoted(text)));
  return std::max(fallback, 0);
}

YamlMap YamlMap::Map(std::string_view key) {
  const Item* item = Ask(key);
  if (item != nullptr && !item->value.IsMap()) {
    faults_.Add(item->line, "`" + std::string(key) + "` must be a map of keys");
    item = nullptr;
  }
  return YamlMap(item == nullptr ? YAML::Node() : item->value, "`" + std::string(key) + "`",
                 faults_);
}

std::vector<YAML::Node> YamlMap::List(std::string_view key) {
  const Item* item = Ask(key);
  if (item == nullptr) return {};
  if (!item->value.IsSequence()) {
    faults_.Add(item->line, "`" + std::string(key) + "` must be a list");
    return {};
  }
  return {item->value.begin(), item->value.end()};
}

std::vector<std::string> YamlMap::TextList(std::string_view key) {
  std::vector<std::string> texts;
  for (const YAML::Node& node : List(key)) {
    if (!AddText(node, texts)) {
      faults_.Add(LineOf(node), "`" + std::string(key) + "` must hold plain texts only");
      return texts;
    }
  }
  return texts;
}

std::vector<std::vector<std::string>> YamlMap::TextLists(std::string_view key) {
  std::vector<std::vector<std::string>> lists;
  for (const YAML::Node& node : List(key)) {
    std::vector<std::string>& texts = lists.emplace_back();
    const bool plain = node.IsSequence() && std::all_of(node.begin(), node.end(), [&](auto one) {
                         return AddText(one, texts);
                       });
    if (!plain) {
      faults_.Add(LineOf(node), "`" + std::string(key) + "` must hold lists of plain texts");
      return lists;
    }
  }
  return lists;
}

std::vector<std::pair<std::string, std::string>> YamlMap::TextMap(std::string_view key) {
  std::vector<std::pair<std::string, std::string>> texts;
  const YamlMap map = Map(key);
  for (const Item& item : map.items_) {
    if (!item.value.IsScalar()) {
      faults_.Add(item.line, "`" + item.key + "` must be one value");
      return texts;
    }
    texts.emplace_back(item.key, item.value.Scalar());
  }
  std::sort(texts.begin(), texts.end());
  return texts;
}

void YamlMap::Close() {
  for (const Item& item : items_) {
    if (std::find(known_.begin(), known_.end(), item.key) != known_.end()) continue;
    faults_.Add(item.line, "unknown key " + Quoted(item.key) + " in " + what_ + "; " +
                               Suggest(item.key, known_));
    return;
  }
}

}  // namespace interlock::runtime
