#include "policies/labels.h"

#include <algorithm>
#include <iterator>

namespace interlock::policies {
namespace {

using Texts = std::vector<std::string>;

Texts Union(const Texts& a, const Texts& b) {
  Texts out;
  std::set_union(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(out));
  return out;
}

Texts ReadersOfBoth(const Texts& a, const Texts& b) {
  const Texts everybody = {"*"};
  if (a == everybody) return b;
  if (b == everybody) return a;
  Texts out;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(out));
  return out;
}

}  // namespace

Label Join(const Label& a, const Label& b) {
  return {.trusted = a.trusted && b.trusted,
          .sources = Union(a.sources, b.sources),
          .tags = Union(a.tags, b.tags),
          .readers = ReadersOfBoth(a.readers, b.readers)};
}

const Label& NoLabel() {
  static const Label kNone;
  return kNone;
}

const Label& LabelMap::At(std::string_view path) const {
  while (true) {
    const auto found = labels_.find(path);
    if (found != labels_.end()) return found->second;
    const std::size_t dot = path.rfind('.');
    if (dot == std::string_view::npos) return NoLabel();
    path = path.substr(0, dot);
  }
}

bool LabelMap::Knows(std::string_view path) const {
  if (&At(path) != &NoLabel()) return true;
  const std::string below = std::string(path) + ".";
  const auto first = labels_.lower_bound(below);
  return first != labels_.end() && first->first.starts_with(below);
}

Label LabelMap::Under(std::string_view path) const {
  const std::string below = std::string(path) + ".";
  const auto first = labels_.lower_bound(below);
  const bool any = first != labels_.end() && first->first.starts_with(below);
  const bool own = labels_.contains(path);
  // A container without a label of its own is what its parts are; a part that has none of its own
  // is covered only by one that stands above it.
  Label out = own || !any ? At(path) : first->second;
  for (auto at = first; at != labels_.end() && at->first.starts_with(below); ++at) {
    out = Join(out, at->second);
  }
  return out;
}

core::Json LabelsJson(const LabelMap& labels) {
  core::Json out = core::Json::object();
  for (const auto& [path, label] : labels.all()) {
    out[path] = {{"readers", label.readers},
                 {"sources", label.sources},
                 {"tags", label.tags},
                 {"trusted", label.trusted}};
  }
  return out;
}

}  // namespace interlock::policies
