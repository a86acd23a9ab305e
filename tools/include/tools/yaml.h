// Strict YAML for files that people write (manifests, scripts, configuration): a small tree of our
// own, and a reader that names file and line for everything that it does not know.
//
// Not taken: anchors and aliases (they hide what a file says and grow without bound), tags, keys
// that are not plain text, duplicate keys. Plain scalars follow JSON: `true`, `false`, `null`, `~`,
// numbers as JSON writes them; all else is text (`yes`, `0123`, `1_000` are text).
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/json.h"
#include "core/status.h"

namespace interlock::tools {

struct YamlLimits {
  std::size_t bytes_max = 1 << 20;
  int depth_max = 32;
  int nodes_max = 100'000;
};

struct YamlField;

// A value type.
struct YamlNode {
  enum class Kind { kNull, kScalar, kList, kMap };
  Kind kind = Kind::kNull;
  int line = 0;                   // from 1
  bool quoted = false;            // of a scalar: it is text whatever it looks like
  std::string text;               // of a scalar
  std::vector<YamlNode> items;    // of a list
  std::vector<YamlField> fields;  // of a map, in file order

  const YamlNode* Find(std::string_view key) const;  // nullptr when absent
};

struct YamlField {
  std::string key;
  YamlNode value;
};

// All documents of a text; an empty document is a null node. `file` is for messages only.
// Errors: kInvalidArgument as `file:line: what`; kResourceExhausted above a limit.
core::StatusOr<std::vector<YamlNode>> ParseYaml(std::string_view text, std::string_view file,
                                                const YamlLimits& limits = {});
// Reads a file and parses it. Errors also: kNotFound.
core::StatusOr<std::vector<YamlNode>> LoadYaml(const std::string& path,
                                               const YamlLimits& limits = {});

// The node as JSON. Errors: kInvalidArgument for integers beyond ±(2^53-1) and numbers that
// overflow.
core::StatusOr<core::Json> YamlToJson(const YamlNode& node, std::string_view file);

// `file:line: what`
core::Status YamlError(std::string_view file, int line, std::string_view what);

// Reads the fields of one map. The first error sticks; every getter then answers its default, so
// that a caller reads all fields in a row and checks once: Finish() also refuses the keys that
// nobody asked for. Borrows `node` and `file`. One per thread.
class YamlFields {
 public:
  YamlFields(const YamlNode& node, std::string_view file, std::string_view what);

  bool Has(std::string_view key);
  int LineOf(std::string_view key) const;      // of the map when the key is absent
  const YamlNode* Node(std::string_view key);  // nullptr when absent; marks the key as known
  std::string Text(std::string_view key);      // required, not empty
  std::string TextOr(std::string_view key, std::string_view fallback);
  bool BoolOr(std::string_view key, bool fallback);
  std::int64_t IntOr(std::string_view key, std::int64_t fallback, std::int64_t least,
                     std::int64_t most);
  // Bytes: an integer, or one with `KiB`, `MiB`, `GiB`.
  std::int64_t BytesOr(std::string_view key, std::int64_t fallback, std::int64_t most);
  std::vector<std::string> TextsOr(std::string_view key);  // list of text; empty when absent
  std::vector<std::pair<std::string, std::string>> PairsOr(std::string_view key);  // map of text
  const std::vector<YamlNode>& ItemsOr(std::string_view key);  // list of anything
  // The chosen one of `names`; `fallback` when absent (required if it is empty).
  std::string OneOf(std::string_view key, std::initializer_list<std::string_view> names,
                    std::string_view fallback);

  void Fail(int line, std::string_view what);
  void Absorb(core::Status status);  // an error that already names its place
  core::Status Finish();

 private:
  const YamlNode* Scalar(std::string_view key, std::string_view shape);
  const YamlNode& node_;
  std::string_view file_;
  std::string_view what_;
  std::vector<std::string_view> known_;
  core::Status status_;
};

}  // namespace interlock::tools
