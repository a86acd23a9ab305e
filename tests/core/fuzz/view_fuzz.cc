// Any bytes must be safe to scan; on text that the strict parser takes, the scanner must agree with
// the tree.
#include <cstddef>
#include <cstdint>
#include <string>

#include "core/check.h"
#include "core/json.h"

namespace interlock::core {
namespace {

void CheckField(const JsonObjectView& view, const std::string& key, const Json& value) {
  const auto raw = view.Raw(key);
  INTERLOCK_CHECK(raw.has_value());
  INTERLOCK_CHECK(Json::parse(*raw, nullptr, false) == value);
  INTERLOCK_CHECK(view.Bool(key).has_value() == value.is_boolean());
  INTERLOCK_CHECK(view.Object(key).has_value() == value.is_object());
  INTERLOCK_CHECK(view.Int(key).has_value() == value.is_number_integer());
  const auto text = view.String(key);
  INTERLOCK_CHECK(text.has_value() == value.is_string());
  if (text) INTERLOCK_CHECK(*text == value.get_ref<const std::string&>());
  if (value.is_array()) {
    const auto elements = JsonArrayElements(*raw);
    INTERLOCK_CHECK(elements.ok());
    INTERLOCK_CHECK(elements->size() == value.size());
  }
}

}  // namespace
}  // namespace interlock::core

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace interlock::core;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto any = JsonObjectView::Of(text); any.ok()) {
    (void)any->Raw("kind");
    (void)any->String("kind");
    (void)any->Int("index");
    (void)any->Object("body");
  }
  (void)JsonArrayElements(text);

  const StatusOr<Json> value = ParseJson(text, kArgsLimits);
  if (!value.ok() || !value->is_object()) return 0;
  const std::string canonical = CanonicalJson(*value);
  const auto view = JsonObjectView::Of(canonical);
  INTERLOCK_CHECK(view.ok());
  for (const auto& [key, member] : value->items()) {
    // Keys of our entries need no escapes; others are outside the scanner's contract.
    std::string escaped;
    AppendJsonString(key, escaped);
    if (escaped.size() == key.size() + 2) CheckField(*view, key, member);
  }
  return 0;
}
