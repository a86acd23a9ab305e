// Key templates such as `refund:{args.order_id}:{session.shop}` (effect keys, locks, look-up
// arguments).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "core/status.h"

namespace interlock::core {

// Immutable; thread-safe.
class Template {
 public:
  // `{root.path.to.leaf}` with roots from `roots` (for instance {"args", "session"}); `{{` and `}}`
  // are literal braces. Errors: kInvalidArgument naming the position, an unknown root, or an empty
  // path.
  static StatusOr<Template> Parse(std::string_view text, const std::vector<std::string>& roots);

  // `scope` is an object with one member per root. A placeholder's value must be a string, integer
  // or bool. Values are escaped (`%`, `:`, `/` and control bytes as %XX), so that two different
  // sets of values never make one key. Errors: kInvalidArgument naming a missing path or a value of
  // another type.
  StatusOr<std::string> Expand(const Json& scope) const;

  // The same without escaping: for arguments, never for keys.
  StatusOr<std::string> ExpandRaw(const Json& scope) const;
  // Set when the whole text is one placeholder.
  bool is_one_placeholder() const {
    return paths_.size() == 1 && literals_[0].empty() && literals_[1].empty();
  }

  const std::string& text() const { return text_; }
  // The placeholder paths, in order ("args.order_id").
  const std::vector<std::string>& paths() const { return paths_; }

 private:
  Template() = default;
  StatusOr<std::string> Fill(const Json& scope,
                             void (*append)(std::string_view, std::string&)) const;

  std::string text_;
  std::vector<std::string> literals_;  // one more than paths_
  std::vector<std::string> paths_;
};

// Arguments with templates in string values: "{path}" alone becomes that JSON value itself (any
// type); in a longer string a placeholder becomes the scalar's text, unescaped. Errors:
// kInvalidArgument naming what is missing. Precondition: every string parsed as a Template when the
// declaration was loaded.
StatusOr<Json> ExpandJson(const Json& value, const Json& scope);

// Checks every string inside `value` as a template with these roots; the first error.
Status CheckTemplates(const Json& value, const std::vector<std::string>& roots);

// The value at `path` ("args.items.0.id") in `scope`, or nullptr.
const Json* FindPath(const Json& scope, std::string_view path);

}  // namespace interlock::core
