#include <algorithm>
#include <charconv>

#include "text.h"
#include "tools/yaml.h"

namespace interlock::tools {
namespace {

std::string Quoted(std::string_view text) { return "`" + OneLine(text, 80) + "`"; }

std::optional<std::int64_t> ToInt(std::string_view text) {
  std::int64_t value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || stop != text.data() + text.size()) return std::nullopt;
  return value;
}

// "64KiB" -> 65536; nullopt for anything else or above `most`.
std::optional<std::int64_t> ToBytes(std::string_view text, std::int64_t most) {
  int shift = 0;
  constexpr std::pair<std::string_view, int> kUnits[] = {{"KiB", 10}, {"MiB", 20}, {"GiB", 30}};
  for (const auto& [unit, bits] : kUnits) {
    if (text.size() > unit.size() && text.substr(text.size() - unit.size()) == unit) {
      text.remove_suffix(unit.size());
      shift = bits;
      break;
    }
  }
  const std::optional<std::int64_t> count = ToInt(text);
  if (!count || *count < 1 || *count > (most >> shift)) return std::nullopt;
  return *count << shift;
}

}  // namespace

YamlFields::YamlFields(const YamlNode& node, std::string_view file, std::string_view what)
    : node_(node), file_(file), what_(what) {
  if (node.kind != YamlNode::Kind::kMap) Fail(node.line, std::string(what) + " must be a map");
}

bool YamlFields::Has(std::string_view key) { return Node(key) != nullptr; }

int YamlFields::LineOf(std::string_view key) const {
  const YamlNode* found = node_.Find(key);
  return found == nullptr ? node_.line : found->line;
}

const YamlNode* YamlFields::Node(std::string_view key) {
  known_.push_back(key);
  return node_.Find(key);
}

const YamlNode* YamlFields::Scalar(std::string_view key, std::string_view shape) {
  const YamlNode* found = Node(key);
  if (found == nullptr) return nullptr;
  if (found->kind != YamlNode::Kind::kScalar) {
    Fail(found->line, Quoted(key) + " must be " + std::string(shape));
    return nullptr;
  }
  return found;
}

std::string YamlFields::Text(std::string_view key) {
  const YamlNode* found = Scalar(key, "text");
  if (found == nullptr || found->text.empty()) {
    Fail(LineOf(key), std::string(what_) + " needs " + Quoted(key));
    return "";
  }
  return found->text;
}

std::string YamlFields::TextOr(std::string_view key, std::string_view fallback) {
  const YamlNode* found = Scalar(key, "text");
  return found == nullptr ? std::string(fallback) : found->text;
}

bool YamlFields::BoolOr(std::string_view key, bool fallback) {
  const YamlNode* found = Scalar(key, "true or false");
  if (found == nullptr) return fallback;
  if (found->quoted || (found->text != "true" && found->text != "false")) {
    Fail(found->line, Quoted(key) + " must be true or false");
  }
  return found->text == "true";
}

std::int64_t YamlFields::IntOr(std::string_view key, std::int64_t fallback, std::int64_t least,
                               std::int64_t most) {
  const YamlNode* found = Scalar(key, "an integer");
  if (found == nullptr) return fallback;
  const std::optional<std::int64_t> value = ToInt(found->text);
  if (!value || *value < least || *value > most) {
    Fail(found->line, Quoted(key) + " must be an integer from " + std::to_string(least) + " to " +
                          std::to_string(most));
    return fallback;
  }
  return *value;
}

std::int64_t YamlFields::BytesOr(std::string_view key, std::int64_t fallback, std::int64_t most) {
  const YamlNode* found = Scalar(key, "a number of bytes");
  if (found == nullptr) return fallback;
  const std::optional<std::int64_t> value = ToBytes(found->text, most);
  if (!value) {
    Fail(found->line, Quoted(key) +
                          " must be a number of bytes such as 65536 or 64KiB, from 1 to " +
                          std::to_string(most));
    return fallback;
  }
  return *value;
}

const std::vector<YamlNode>& YamlFields::ItemsOr(std::string_view key) {
  static const std::vector<YamlNode> kNone;
  const YamlNode* found = Node(key);
  if (found == nullptr) return kNone;
  if (found->kind != YamlNode::Kind::kList) {
    Fail(found->line, Quoted(key) + " must be a list");
    return kNone;
  }
  return found->items;
}

std::vector<std::string> YamlFields::TextsOr(std::string_view key) {
  std::vector<std::string> texts;
  for (const YamlNode& item : ItemsOr(key)) {
    if (item.kind != YamlNode::Kind::kScalar)
      Fail(item.line, Quoted(key) + " must be a list of text");
    texts.push_back(item.text);
  }
  return texts;
}

std::vector<std::pair<std::string, std::string>> YamlFields::PairsOr(std::string_view key) {
  std::vector<std::pair<std::string, std::string>> pairs;
  const YamlNode* found = Node(key);
  if (found == nullptr) return pairs;
  if (found->kind != YamlNode::Kind::kMap) {
    Fail(found->line, Quoted(key) + " must be a map of text");
    return pairs;
  }
  for (const auto& [name, value] : found->fields) {
    if (value.kind != YamlNode::Kind::kScalar) Fail(value.line, Quoted(name) + " must be text");
    pairs.emplace_back(name, value.text);
  }
  return pairs;
}

std::string YamlFields::OneOf(std::string_view key, std::initializer_list<std::string_view> names,
                              std::string_view fallback) {
  const YamlNode* found = Scalar(key, "text");
  if (found == nullptr) {
    if (fallback.empty()) Fail(LineOf(key), std::string(what_) + " needs " + Quoted(key));
    return std::string(fallback);
  }
  if (std::find(names.begin(), names.end(), found->text) != names.end()) return found->text;
  std::string choices;
  for (std::string_view name : names) choices += (choices.empty() ? "" : ", ") + std::string(name);
  Fail(found->line, Quoted(key) + " must be one of " + choices);
  return std::string(fallback);
}

void YamlFields::Fail(int line, std::string_view what) { Absorb(YamlError(file_, line, what)); }

void YamlFields::Absorb(core::Status status) {
  if (status_.ok()) status_ = std::move(status);
}

core::Status YamlFields::Finish() {
  for (const auto& [key, value] : node_.fields) {
    if (std::find(known_.begin(), known_.end(), key) == known_.end()) {
      Fail(value.line, "unknown key " + Quoted(key) + " in " + std::string(what_));
    }
  }
  return status_;
}

}  // namespace interlock::tools
