// Where values came from (information flow): data beside the arguments, kept by the runtime. No
// clock, no lock; value types.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"

namespace interlock::policies {

// The label of one value. The lists are sorted and hold nothing twice.
struct Label {
  bool trusted = false;                // integrity: no untrusted content had a part in it
  std::vector<std::string> sources{};  // "user", "session", "directory", "tool:mail.read", "model"
  std::vector<std::string> tags{};     // "pii", "secret", "tenant:acme"
  std::vector<std::string> readers{};  // who may see it: principals, or "*" for everybody

  friend bool operator==(const Label&, const Label&) = default;
};

// A value made from both: trusted if both are, all sources and tags, readers of both only.
Label Join(const Label& a, const Label& b);

// What stands for a value that nobody labelled: untrusted, from nowhere known, readable by nobody.
const Label& NoLabel();

// Labels by path into a document, as "args.body" or "result.items". The longest path that is a
// prefix of the one asked for decides.
class LabelMap {
 public:
  void Set(std::string path, Label label) { labels_[std::move(path)] = std::move(label); }
  const Label& At(std::string_view path) const;
  // Whether anything is known about the value at `path`, or about a part of it.
  bool Knows(std::string_view path) const;
  // Of the value at `path` and everything inside it: the join of what At says and of all labels
  // below.
  Label Under(std::string_view path) const;
  const std::map<std::string, Label, std::less<>>& all() const { return labels_; }

 private:
  std::map<std::string, Label, std::less<>> labels_;
};

// Canonical: {"args.body":{"readers":[…],"sources":[…],"tags":[…],"trusted":false}}.
core::Json LabelsJson(const LabelMap& labels);
// Its text, without its tree: it is made twice for every call of a run.
std::string CanonicalLabels(const LabelMap& labels);

}  // namespace interlock::policies
