#include "shrink.h"

#include <cmath>
#include <string>
#include <vector>

#include "schema_values.h"

namespace interlock::policies {
namespace {

class Shrinker {
 public:
  Shrinker(core::Json stated, const core::Json& schema,
           const std::function<bool(const core::Json&)>& still)
      : best_(std::move(stated)), schema_(schema), still_(still) {}

  core::Json Run() {
    while (Pass() && tries_ < kShrinkTriesMax) {
    }
    return std::move(best_);
  }

 private:
  using Pointer = core::Json::json_pointer;

  bool Fits(const core::Json& stated) const {
    return !stated.contains("args") || FitsSchema(schema_, stated["args"]);
  }

  bool Accept(core::Json smaller) {
    if (tries_ >= kShrinkTriesMax || !Fits(smaller)) return false;
    ++tries_;
    if (!still_(smaller)) return false;
    best_ = std::move(smaller);
    return true;
  }

  // One walk over everything in the case; true if anything became smaller.
  bool Pass() {
    bool any = false;
    std::vector<Pointer> places;
    Collect(best_, Pointer(), places);
    for (const Pointer& place : places) {
      if (!best_.contains(place)) continue;  // its parent was taken away
      any = TakeAway(place) || (best_.contains(place) && MakeSmaller(place)) || any;
    }
    return any;
  }

  static void Collect(const core::Json& value, const Pointer& at, std::vector<Pointer>& places) {
    if (!value.is_structured()) return;
    // From the end, so that taking an element away moves none that is still to come.
    std::vector<Pointer> inner;
    if (value.is_object()) {
      for (const auto& item : value.items()) inner.push_back(at / item.key());
    } else {
      for (std::size_t i = value.size(); i > 0; --i) inner.push_back(at / (i - 1));
    }
    for (const Pointer& place : inner) {
      places.push_back(place);
      Collect(value.is_object() ? value.at(place.back()) : value.at(std::stoul(place.back())),
              place, places);
    }
  }

  bool TakeAway(const Pointer& place) {
    if (place == Pointer("/tool") || place == Pointer("/args")) return false;
    core::Json smaller = best_;
    core::Json& parent = smaller[place.parent_pointer()];
    if (parent.is_array()) {
      parent.erase(static_cast<std::size_t>(std::stoul(place.back())));
    } else {
      parent.erase(place.back());
    }
    return Accept(std::move(smaller));
  }

  bool MakeSmaller(const Pointer& place) {
    const core::Json value = best_[place];
    for (const core::Json& candidate : Smaller(value)) {
      core::Json smaller = best_;
      smaller[place] = candidate;
      if (Accept(std::move(smaller))) return true;
    }
    return false;
  }

  static std::vector<core::Json> Smaller(const core::Json& value) {
    std::vector<core::Json> candidates;
    if (value.is_number_integer()) {
      const auto number = value.get<std::int64_t>();
      for (const std::int64_t by :
           {number, number / 2, number / 8, number > 0 ? std::int64_t{1} : -1}) {
        if (by != 0) candidates.emplace_back(number - by);
      }
    } else if (value.is_number()) {
      const double number = value.get<double>();
      const double whole = std::trunc(number);
      for (const double to : {0.0, whole, std::trunc(number / 2), whole - (number > 0 ? 1 : -1)}) {
        if (std::abs(to) < std::abs(number)) candidates.emplace_back(to);
      }
    } else if (value.is_string() && !value.get_ref<const std::string&>().empty()) {
      candidates.emplace_back("");
      if (value != core::Json("a")) candidates.emplace_back("a");
    } else if (value.is_boolean() && value.get<bool>()) {
      candidates.emplace_back(false);
    }
    return candidates;
  }

  core::Json best_;
  const core::Json& schema_;
  const std::function<bool(const core::Json&)>& still_;
  int tries_ = 0;
};

}  // namespace

core::Json Shrink(core::Json stated, const core::Json& args_schema,
                  const std::function<bool(const core::Json&)>& still) {
  return Shrinker(std::move(stated), args_schema, still).Run();
}

}  // namespace interlock::policies
