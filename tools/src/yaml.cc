#include "tools/yaml.h"

#include <yaml-cpp/depthguard.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>
#include <sstream>

#include "text.h"

namespace interlock::tools {
namespace {

constexpr std::int64_t kSafeIntegerMax = (std::int64_t{1} << 53) - 1;

// Builds our tree from parse events, so that no alias is ever expanded.
class TreeBuilder final : public YAML::EventHandler {
 public:
  TreeBuilder(std::string_view file, const YamlLimits& limits) : file_(file), limits_(limits) {}

  void OnDocumentStart(const YAML::Mark&) override { root_ = YamlNode(); }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    Add(YamlNode::Kind::kNull, mark, "", anchor);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    Fail(mark, "aliases are not supported; write the value again");
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    if (YamlNode* node = Add(YamlNode::Kind::kScalar, mark, tag, anchor); node != nullptr) {
      node->text = value;
      node->quoted = tag == "!";
      TakeAsKey(mark);
    }
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Open(Add(YamlNode::Kind::kList, mark, tag, anchor), mark);
  }
  void OnSequenceEnd() override { Close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    Open(Add(YamlNode::Kind::kMap, mark, tag, anchor), mark);
  }
  void OnMapEnd() override { Close(); }

  core::Status status_;
  YamlNode root_;

 private:
  struct Level {
    YamlNode* node;
    bool expects_value = false;  // of a map: the key is there, its value comes next
  };

  void Fail(const YAML::Mark& mark, std::string_view what) {
    if (status_.ok()) status_ = YamlError(file_, mark.line + 1, what);
  }

  // The place for the next node; nullptr after an error. For the key of a map it is `key_`.
  YamlNode* Add(YamlNode::Kind kind, const YAML::Mark& mark, const std::string& tag,
                YAML::anchor_t anchor) {
    if (!status_.ok()) return nullptr;
    if (anchor != 0) Fail(mark, "anchors are not supported; write the value again");
    if (!tag.empty() && tag != "?" && tag != "!") Fail(mark, "tags are not supported");
    if (++nodes_ > limits_.nodes_max) Fail(mark, "too many values in one file");
    if (!status_.ok()) return nullptr;
    YamlNode* place = Place(kind, mark);
    if (place == nullptr) return nullptr;
    place->kind = kind;
    place->line = mark.line + 1;
    return place;
  }

  YamlNode* Place(YamlNode::Kind kind, const YAML::Mark& mark) {
    if (levels_.empty()) return &root_;
    Level& level = levels_.back();
    if (level.node->kind == YamlNode::Kind::kList) {
      return &level.node->items.emplace_back();
    }
    if (level.expects_value) {
      level.expects_value = false;
      return &level.node->fields.back().value;
    }
    if (kind != YamlNode::Kind::kScalar) {
      Fail(mark, "a key must be plain text");
      return nullptr;
    }
    key_ = YamlNode();
    return &key_;
  }

  // A scalar that went to `key_` names the next field.
  void TakeAsKey(const YAML::Mark& mark) {
    if (levels_.empty() || levels_.back().node->kind != YamlNode::Kind::kMap) return;
    if (key_.line == 0) return;
    YamlNode& map = *levels_.back().node;
    if (map.Find(key_.text) != nullptr) {
      Fail(mark, "duplicate key `" + OneLine(key_.text, 80) + "`");
      return;
    }
    map.fields.push_back({.key = std::move(key_.text), .value = {}});
    map.fields.back().value.line = key_.line;
    key_ = YamlNode();
    levels_.back().expects_value = true;
  }

  void Open(YamlNode* node, const YAML::Mark& mark) {
    if (node == nullptr) return;
    if (static_cast<int>(levels_.size()) >= limits_.depth_max) {
      Fail(mark, "nested too deep");
      return;
    }
    levels_.push_back({node});
  }
  void Close() {
    if (status_.ok()) levels_.pop_back();
  }

  std::string_view file_;
  const YamlLimits& limits_;
  int nodes_ = 0;
  YamlNode key_;
  std::vector<Level> levels_;
};

bool IsJsonNumber(std::string_view text) {
  std::size_t at = 0;
  const auto digits = [&] {
    const std::size_t start = at;
    while (at < text.size() && text[at] >= '0' && text[at] <= '9') ++at;
    return at - start;
  };
  if (at < text.size() && text[at] == '-') ++at;
  const std::size_t first = at;
  const std::size_t whole = digits();
  if (whole == 0 || (whole > 1 && text[first] == '0')) return false;
  if (at < text.size() && text[at] == '.') {
    ++at;
    if (digits() == 0) return false;
  }
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    ++at;
    if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
    if (digits() == 0) return false;
  }
  return at == text.size();
}

core::StatusOr<core::Json> NumberToJson(const YamlNode& node, std::string_view file) {
  const std::string& text = node.text;
  const char* const end = text.data() + text.size();
  if (text.find_first_of(".eE") == std::string::npos) {
    std::int64_t value = 0;
    const auto [stop, error] = std::from_chars(text.data(), end, value);
    if (error != std::errc() || stop != end || std::abs(value) > kSafeIntegerMax) {
      return YamlError(file, node.line, "integer beyond ±(2^53-1); write it as text in quotes");
    }
    return core::Json(value);
  }
  double value = 0;
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end || !std::isfinite(value)) {
    return YamlError(file, node.line, "number out of range");
  }
  return core::Json(value);
}

core::StatusOr<core::Json> ScalarToJson(const YamlNode& node, std::string_view file) {
  if (node.quoted) return core::Json(node.text);
  if (node.text == "true") return core::Json(true);
  if (node.text == "false") return core::Json(false);
  if (node.text == "null" || node.text == "~" || node.text.empty()) return core::Json(nullptr);
  if (IsJsonNumber(node.text)) return NumberToJson(node, file);
  return core::Json(node.text);
}

}  // namespace

const YamlNode* YamlNode::Find(std::string_view key) const {
  const auto it = std::find_if(fields.begin(), fields.end(),
                               [&](const auto& field) { return field.key == key; });
  return it == fields.end() ? nullptr : &it->value;
}

core::Status YamlError(std::string_view file, int line, std::string_view what) {
  return core::InvalidArgument(std::string(file) + ":" + std::to_string(line) + ": " +
                               std::string(what));
}

core::StatusOr<std::vector<YamlNode>> ParseYaml(std::string_view text, std::string_view file,
                                                const YamlLimits& limits) {
  if (text.size() > limits.bytes_max) {
    return core::ResourceExhausted(std::string(file) + ": larger than " +
                                   std::to_string(limits.bytes_max) + " bytes");
  }
  // The one place where yaml-cpp, which reports by throwing, is called.
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    std::vector<YamlNode> documents;
    TreeBuilder builder(file, limits);
    while (parser.HandleNextDocument(builder)) {
      INTERLOCK_RETURN_IF_ERROR(builder.status_);
      documents.push_back(std::move(builder.root_));
    }
    return documents;
  } catch (const YAML::DeepRecursion& error) {
    return YamlError(file, error.mark.line + 1, "nested too deep");
  } catch (const YAML::Exception& error) {
    return YamlError(file, error.mark.line + 1, OneLine(error.msg, 200));
  } catch (const std::exception& error) {
    return YamlError(file, 1, "not readable as yaml: " + OneLine(error.what(), 200));
  }
}

core::StatusOr<std::vector<YamlNode>> LoadYaml(const std::string& path, const YamlLimits& limits) {
  std::ifstream stream(path, std::ios::binary);
  if (!stream) return core::NotFound("cannot read `" + path + "`");
  std::string text(limits.bytes_max + 1, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(stream.gcount()));
  if (stream.bad() || (text.empty() && !stream.eof())) {
    return core::NotFound("cannot read `" + path + "`");
  }
  return ParseYaml(text, path, limits);
}

core::StatusOr<core::Json> YamlToJson(const YamlNode& node, std::string_view file) {
  switch (node.kind) {
    case YamlNode::Kind::kNull:
      return core::Json(nullptr);
    case YamlNode::Kind::kScalar:
      return ScalarToJson(node, file);
    case YamlNode::Kind::kList: {
      core::Json list = core::Json::array();
      for (const YamlNode& item : node.items) {
        INTERLOCK_ASSIGN_OR_RETURN(core::Json value, YamlToJson(item, file));
        list.push_back(std::move(value));
      }
      return list;
    }
    case YamlNode::Kind::kMap: {
      core::Json object = core::Json::object();
      for (const auto& [key, item] : node.fields) {
        INTERLOCK_ASSIGN_OR_RETURN(core::Json value, YamlToJson(item, file));
        object.emplace(key, std::move(value));
      }
      return object;
    }
  }
  return core::Internal("unknown yaml node");
}

}  // namespace interlock::tools
