// Reads YAML strictly: every key is known, given once, of the right type and in its range. The
// first fault found is kept, so that a loader reads straight down and asks once at the end.
#pragma once

#include <yaml-cpp/yaml.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/status.h"

namespace interlock::runtime {

// Collects the first fault of one file. One per thread.
class YamlFaults {
 public:
  explicit YamlFaults(std::string_view file) : file_(file) {}
  // Keeps `file:line: message` unless there is one already. `line` counts from 1; 0: none known.
  void Add(int line, const std::string& message);
  bool none() const { return status_.ok(); }
  const core::Status& status() const { return status_; }

 private:
  std::string file_;
  core::Status status_;
};

// Parses one document. Errors go to `faults`: not UTF-8, not YAML, more than one document, not a
// map.
YAML::Node ParseYaml(std::string_view text, YamlFaults& faults);

int LineOf(const YAML::Node& node);  // from 1

struct IntRange {
  std::int64_t min;
  std::int64_t max;
};

// One map. Ask for every key that may be there, then call Close(). `what` is for messages
// ("`tenants` entry").
class YamlMap {
 public:
  YamlMap(YAML::Node node, std::string what, YamlFaults& faults);

  std::string Text(std::string_view key,
                   std::string fallback);          // a scalar; `key:` alone is a fault
  std::string RequiredText(std::string_view key);  // also not empty
  std::int64_t Int(std::string_view key, std::int64_t fallback, IntRange range);
  bool Bool(std::string_view key, bool fallback);
  // The one of `choices` that stands there; its position. Absent: `fallback`, a position; -1: a
  // fault.
  int Choice(std::string_view key, const std::vector<std::string>& choices, int fallback);
  YamlMap Map(std::string_view key);                   // empty when absent
  std::vector<YAML::Node> List(std::string_view key);  // empty when absent
  std::vector<std::string> TextList(std::string_view key);
  // A list of lists of texts.
  std::vector<std::vector<std::string>> TextLists(std::string_view key);
  std::vector<std::pair<std::string, std::string>> TextMap(std::string_view key);  // sorted

  // Of a key that somebody else reads.
  void Known(std::string_view key) { known_.emplace_back(key); }
  // Names the first key that nobody asked for, with the nearest known one.
  void Close();

  bool Has(std::string_view key) const { return Find(key) != nullptr; }
  int line() const { return LineOf(node_); }
  int LineOfKey(std::string_view key) const;  // that of the map when absent
  YamlFaults& faults() const { return faults_; }

 private:
  struct Item {
    std::string key;
    int line;
    YAML::Node value;
  };
  const Item* Find(std::string_view key) const;
  const Item* Ask(std::string_view key);
  const Item* AskScalar(std::string_view key);

  YAML::Node node_;
  std::string what_;
  YamlFaults& faults_;
  std::vector<Item> items_;
  std::vector<std::string> known_;
};

}  // namespace interlock::runtime
