// What entries and prompts say of results: labels, facts, and what the planner reads of a call.
#include "engine/entries.h"

namespace interlock::runtime {

std::vector<std::string> LabelWords(bool untrusted, const std::vector<std::string>& tags) {
  std::vector<std::string> labels{untrusted ? "untrusted" : "trusted"};
  for (const std::string& tag : tags) labels.push_back("tag:" + tag);
  return labels;
}

bool IsTooManyTags(const std::vector<std::string>& tags) {
  constexpr std::size_t kTagsBytesMax = 32 * 1024;
  return !tags.empty() && JsonStrings(LabelWords(true, tags)).size() > kTagsBytesMax;
}

std::string WithheldMessage(std::string_view code, std::string_view say) {
  return "[from the runtime, not from the user] A message was withheld (" + std::string(code) +
         "). " + std::string(say);
}

core::Json ChangesToJson(const std::vector<policies::LabelChange>& changes) {
  core::Json list = core::Json::array();
  for (const policies::LabelChange& change : changes) {
    list.push_back({{"path", change.path},
                    {"rule", change.rule},
                    {"tags", change.tags},
                    {"untrusted", change.untrusted}});
  }
  return list;
}

std::vector<policies::LabelChange> ChangesFromJson(const core::Json& json) {
  std::vector<policies::LabelChange> changes;
  if (!json.is_array()) return changes;
  for (const core::Json& change : json) {
    changes.push_back({.rule = change.value("rule", ""),
                       .path = change.value("path", ""),
                       .tags = change.value("tags", std::vector<std::string>{}),
                       .untrusted = change.value("untrusted", true)});
  }
  return changes;
}

core::Json FactsToJson(const std::vector<policies::Fact>& facts) {
  core::Json list = core::Json::array();
  for (const policies::Fact& fact : facts) {
    list.push_back({{"error_code", fact.error_code},
                    {"name", fact.name},
                    {"present", fact.present},
                    {"value", fact.value}});
  }
  return list;
}

std::vector<policies::Fact> FactsFromJson(const core::Json& json) {
  std::vector<policies::Fact> facts;
  if (!json.is_array()) return facts;
  for (const core::Json& fact : json) {
    facts.push_back({.name = fact.value("name", ""),
                     .present = fact.value("present", false),
                     .value = fact.value("value", core::Json()),
                     .error_code = fact.value("error_code", "")});
  }
  return facts;
}

std::string ObservationOk(const core::Json& result) {
  return R"({"ok":true,"result":)" + core::CanonicalJson(result) + "}";
}

std::string ObservationLeftOut(std::size_t bytes, std::string_view handle) {
  std::string text;
  core::JsonObjectWriter writer(text);
  writer.Int("bytes", static_cast<std::int64_t>(bytes));
  if (!handle.empty()) writer.String("handle", handle);
  writer.Raw("left_out", "true");
  writer.Close();
  return text;
}

std::string ObservationHandle(std::size_t number, std::string_view member,
                              const core::Json& value) {
  std::string text;
  core::JsonObjectWriter writer(text);
  writer.String("handle", "r" + std::to_string(number));
  writer.Raw("ok", "true");
  writer.Raw(member, core::CanonicalJson(value));
  writer.Close();
  return text;
}

core::Json WithheldJson(std::string_view code, std::string_view say) {
  return {{"withheld", {{"code", code}, {"say", say}}}};
}

std::string ObservationWithheld(std::string_view code, std::string_view say) {
  std::string inner;
  core::JsonObjectWriter writer(inner);
  writer.String("code", code);
  writer.String("say", say);
  writer.Close();
  return R"({"ok":true,"withheld":)" + inner + "}";
}

std::string ObservationDenied(std::string_view code, std::string_view say, const core::Json& fix) {
  std::string inner;
  core::JsonObjectWriter writer(inner);
  writer.String("code", code);
  if (!fix.is_null()) writer.Raw("fix", core::CanonicalJson(fix));
  writer.String("say", say);
  writer.Close();
  return R"({"denied":)" + inner + R"(,"ok":false})";
}

std::string_view SayOfEnded(std::string_view code) {
  return code == "APPROVAL_REJECTED" ? "The approval was refused."
                                     : "Nobody approved this in time.";
}

std::string ObservationFailed(std::string_view code, std::string_view message) {
  std::string inner;
  core::JsonObjectWriter writer(inner);
  writer.String("code", code);
  writer.String("message", message);
  writer.Close();
  return R"({"error":)" + inner + R"(,"ok":false})";
}

std::string ObservationPending(const std::vector<std::string>& approvals, std::string_view say) {
  std::string inner;
  core::JsonObjectWriter writer(inner);
  writer.Raw("approval", JsonStrings(approvals));
  writer.String("say", say);
  writer.Close();
  return R"({"ok":false,"pending":)" + inner + "}";
}

std::string ObservationUnknown() {
  return R"({"ok":false,"say":"Nobody knows yet whether this took effect. Do not repeat it.","unknown":true})";
}

}  // namespace interlock::runtime
