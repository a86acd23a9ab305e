// Two decisions about one call, the recorded one and what replay made, told apart for people.
#include <algorithm>

#include "engine/replayer.h"

namespace interlock::runtime {
namespace {

using Decided = ReplayReport::Decided;

core::Json ObjectIn(std::string_view text) {
  auto json = core::ParseJson(text, core::kPayloadLimits);
  return json.ok() && json->is_object() ? *std::move(json) : core::Json::object();
}

// Rules that stand beside the verdict (a limit, a hold, a note) are not what it is by.
bool IsBy(const core::Json& rule, const std::string& effect) {
  const std::string verdict = rule.value("verdict", "");
  return verdict == effect || (effect == "deny" && verdict == "error");
}

Decided DecidedIn(const core::Json& body) {
  Decided decided{.effect = body.value("effect", ""), .code = body.value("code", ""), .rules = {}};
  for (const core::Json& rule : body.value("rules", core::Json::array())) {
    if (IsBy(rule, decided.effect)) decided.rules.push_back(rule.value("id", ""));
  }
  return decided;
}

std::vector<std::string> Differing(const core::Json& one, const core::Json& other) {
  std::vector<std::string> names;
  for (const auto& item : one.items()) {
    if (!other.contains(item.key()) || other[item.key()] != item.value()) {
      names.push_back(item.key());
    }
  }
  for (const auto& item : other.items()) {
    if (!one.contains(item.key())) names.push_back(item.key());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string Listed(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

std::string Told(const Decided& decided, const std::string& code) {
  std::string text = decided.effect;
  if (!code.empty()) text += " " + code;
  if (!decided.rules.empty()) text += " by " + Listed(decided.rules);
  return text;
}

}  // namespace

ReplayReport::Decisions Replayer::DecisionsOf(
    const RecordedEntry& recorded, std::string_view body,
    std::span<const audit::SealedPayload> payloads) const {
  const core::Json made = ObjectIn(body);
  ReplayReport::Decisions decisions{
      .recorded = DecidedIn(recorded.body), .rebuilt = DecidedIn(made), .differing = {}};
  const auto sealed = made.find("decision");
  const std::size_t slot =
      sealed == made.end() ? payloads.size() : sealed->value("slot", payloads.size());
  const core::Json then = recorded.JsonContent("decision");
  if (slot < payloads.size() && then.is_object()) {
    decisions.differing = Differing(then, ObjectIn(keys_.ContentOf(payloads[slot])));
  }
  if (decisions.differing.empty()) decisions.differing = Differing(recorded.body, made);
  return decisions;
}

std::string InWords(const ReplayReport::Decisions& decisions) {
  const auto& [recorded, rebuilt, differing] = decisions;
  const bool codes = recorded.code != rebuilt.code;
  const std::string then = Told(recorded, codes ? recorded.code : "");
  const std::string now = Told(rebuilt, codes ? rebuilt.code : "");
  if (then != now) return "recorded: " + then + "; now: " + now;
  return "recorded and now: " + then + "; what differs: " + Listed(differing);
}

}  // namespace interlock::runtime
