// Detectors as rules see them: pii, secrets, injection, has_…, redact. A value is a text or holds
// texts at any depth; names of fields and whole numbers are looked at too.
#include <algorithm>
#include <string>
#include <vector>

#include "env.h"
#include "lua_json.h"
#include "policies/detect.h"
#include "selector.h"

namespace interlock::policies {
namespace {

constexpr std::int64_t kBytesPerInstruction = 16;
constexpr std::int64_t kWorkPerInstruction = 4;
constexpr std::int64_t kPhoneDigitsMin = 1'000'000;  // shorter whole numbers are nobody's

// What a rule asks for: the groups to look through, and which of their findings count.
struct Wanted {
  DetectOptions options{};
  std::vector<std::string> kinds{};  // sorted; empty: all of the groups
  Confidence least = Confidence::kMedium;

  bool Takes(const Detection& one) const {
    if (one.confidence < least) return false;
    return kinds.empty() || std::binary_search(kinds.begin(), kinds.end(), one.kind);
  }
};

void Open(DetectOptions& options, DetectGroup group) {
  options.pii = options.pii || group == DetectGroup::kPii;
  options.secrets = options.secrets || group == DetectGroup::kSecret;
  options.injection = options.injection || group == DetectGroup::kInjection;
}

const DetectKind* FindKind(std::string_view name) {
  for (const DetectKind& kind : DetectKinds()) {
    if (kind.name == name) return &kind;
  }
  return nullptr;
}

std::vector<std::string> KindNames() {
  std::vector<std::string> names = {"pii", "secret", "injection"};
  for (const DetectKind& kind : DetectKinds()) names.emplace_back(kind.name);
  return names;
}

// A kind, or a group for all of its kinds.
void AddKind(lua_State* lua, const std::string& name, Wanted& wanted) {
  for (const auto& [group_name, group] :
       {std::pair<std::string_view, DetectGroup>{"pii", DetectGroup::kPii},
        {"secret", DetectGroup::kSecret},
        {"injection", DetectGroup::kInjection}}) {
    if (name != group_name) continue;
    Open(wanted.options, group);
    for (const DetectKind& kind : DetectKinds()) {
      if (kind.group == group) wanted.kinds.emplace_back(kind.name);
    }
    return;
  }
  const DetectKind* const kind = FindKind(name);
  if (kind == nullptr) {
    Raise(lua, "no detector finds `" + name + "`" + DidYouMean(name, KindNames()));
  }
  Open(wanted.options, kind->group);
  wanted.kinds.emplace_back(kind->name);
}

void ReadKinds(lua_State* lua, int index, Wanted& wanted) {
  if (lua_type(lua, index) == LUA_TSTRING) {
    AddKind(lua, std::string(CheckText(lua, index, "a kind")), wanted);
  } else {
    const std::int64_t count = ListLength(lua, index);
    if (count == 0) Raise(lua, "name at least one kind");
    for (std::int64_t at = 1; at <= count; ++at) {
      PushElement(lua, index, at);
      AddKind(lua, std::string(CheckText(lua, -1, "a kind")), wanted);
      lua_pop(lua, 1);
    }
  }
  std::sort(wanted.kinds.begin(), wanted.kinds.end());
}

Confidence ReadConfidence(lua_State* lua, int index) {
  if (lua_isnoneornil(lua, index)) return Confidence::kMedium;
  const std::string_view name = CheckText(lua, index, "a confidence");
  if (name == "low") return Confidence::kLow;
  if (name == "medium") return Confidence::kMedium;
  if (name == "high") return Confidence::kHigh;
  Raise(lua, "a confidence is \"low\", \"medium\" or \"high\", not `" + std::string(name) + "`");
}

// Arguments 2 and 3: kinds (all of `group` when left out) and the least confidence.
Wanted ReadWanted(lua_State* lua, DetectGroup group) {
  Wanted wanted;
  if (lua_isnoneornil(lua, 2)) {
    Open(wanted.options, group);
  } else {
    ReadKinds(lua, 2, wanted);
  }
  wanted.least = ReadConfidence(lua, 3);
  return wanted;
}

// What a text holds. A text that cannot be looked through to its end must not pass as clean.
std::vector<Detection> Look(lua_State* lua, std::string_view text, std::string_view field,
                            const Wanted& wanted) {
  Vm::Of(lua).Charge(static_cast<std::int64_t>(text.size()) / kBytesPerInstruction + 1);
  DetectOptions options = wanted.options;
  options.field = field;
  Detections detections = Detect(text, options);
  Vm::Of(lua).Charge(detections.work / kWorkPerInstruction);
  if (detections.truncated) Raise(lua, "a text with more in it than detectors report");
  std::erase_if(detections.found, [&](const Detection& one) { return !wanted.Takes(one); });
  return std::move(detections.found);
}

// Calls visit(text, path, field, is_name) for every text, whole number and name of a field.
template <typename Visit>
void Walk(const core::Json& value, const std::string& path, const std::string& field,
          const Visit& visit) {
  if (value.is_string()) {
    visit(value.get_ref<const std::string&>(), path, field, false);
  } else if (value.is_number_integer()) {
    const auto number = value.get<std::int64_t>();
    if (number >= kPhoneDigitsMin) visit(std::to_string(number), path, field, false);
  } else if (value.is_array()) {
    std::size_t at = 0;
    for (const core::Json& element : value)
      Walk(element, path + "[" + std::to_string(++at) + "]", field, visit);
  } else if (value.is_object()) {
    for (const auto& item : value.items()) {
      visit(item.key(), path, "", true);
      Walk(item.value(), path.empty() ? item.key() : path + "." + item.key(), item.key(), visit);
    }
  }
}

void SetText(lua_State* lua, const char* name, std::string_view text) {
  lua_pushlstring(lua, text.data(), text.size());
  lua_setfield(lua, -2, name);
}

void SetInteger(lua_State* lua, const char* name, std::size_t value) {
  lua_pushinteger(lua, static_cast<lua_Integer>(value));
  lua_setfield(lua, -2, name);
}

void PushFinding(lua_State* lua, const Detection& one, const std::string& path) {
  constexpr const char* kGroups[] = {"pii", "secret", "injection"};
  constexpr const char* kConfidences[] = {"low", "medium", "high"};
  Vm::Of(lua).Charge(8);
  lua_createtable(lua, 0, 6);
  SetText(lua, "kind", one.kind);
  SetText(lua, "group", kGroups[static_cast<std::size_t>(one.group)]);
  SetText(lua, "confidence", kConfidences[static_cast<std::size_t>(one.confidence)]);
  SetText(lua, "path", path);
  SetInteger(lua, "first", one.begin + 1);
  SetInteger(lua, "last", one.end);
}

// A text of a rule keeps its bytes, UTF-8 or not.
template <typename Visit>
void WalkArgument(lua_State* lua, const Visit& visit) {
  luaL_checkany(lua, 1);
  if (lua_type(lua, 1) == LUA_TSTRING) {
    visit(std::string(CheckText(lua, 1, "a text")), std::string(), std::string(), false);
  } else {
    Walk(JsonFrom(lua, 1), "", "", visit);
  }
}

int Findings(lua_State* lua, DetectGroup group) {
  const Wanted wanted = ReadWanted(lua, group);
  lua_newtable(lua);
  lua_Integer count = 0;
  WalkArgument(
      lua, [&](const std::string& text, const std::string& path, const std::string& field, bool) {
        for (const Detection& one : Look(lua, text, field, wanted)) {
          if (count >= kListItemsMax) Raise(lua, "more findings than a list may have");
          PushFinding(lua, one, path);
          lua_rawseti(lua, -2, ++count);
        }
      });
  return 1;
}

int Has(lua_State* lua, DetectGroup group) {
  const Wanted wanted = ReadWanted(lua, group);
  bool found = false;
  WalkArgument(lua, [&](const std::string& text, const std::string&, const std::string& field,
                        bool) { found = found || !Look(lua, text, field, wanted).empty(); });
  lua_pushboolean(lua, found);
  return 1;
}

int Pii(lua_State* lua) { return Findings(lua, DetectGroup::kPii); }
int Secrets(lua_State* lua) { return Findings(lua, DetectGroup::kSecret); }
int Injection(lua_State* lua) { return Findings(lua, DetectGroup::kInjection); }
int HasPii(lua_State* lua) { return Has(lua, DetectGroup::kPii); }
int HasSecret(lua_State* lua) { return Has(lua, DetectGroup::kSecret); }
int HasInjection(lua_State* lua) { return Has(lua, DetectGroup::kInjection); }

// Findings that overlap are masked together, by the name of the first.
std::string Masked(const std::string& text, const std::vector<Detection>& found) {
  std::string out;
  std::size_t done = 0;
  for (const Detection& one : found) {
    if (one.begin >= done || done == 0) {
      out += text.substr(done, one.begin - done);
      out += "[" + std::string(one.kind) + "]";
    }
    done = std::max(done, one.end);
  }
  return out + text.substr(done);
}

// The text with what was found replaced by "[kind]". Texts only: a rule names each argument that it
// changes (modify { ["args.body"] = redact(c.args.body) }).
int Redact(lua_State* lua) {
  const std::string text(CheckText(lua, 1, "what redact changes"));
  Wanted wanted = ReadWanted(lua, DetectGroup::kPii);
  if (lua_isnoneornil(lua, 2)) Open(wanted.options, DetectGroup::kSecret);
  const std::string out = Masked(text, Look(lua, text, "", wanted));
  if (out.size() > std::max(kTextBytesMax, text.size()))
    Raise(lua, "redact would be longer than 64 KiB");
  Vm::Of(lua).Charge(static_cast<std::int64_t>(out.size()) / kBytesPerInstruction);
  lua_pushlstring(lua, out.data(), out.size());
  return 1;
}

}  // namespace

void AddDetectFunctions(lua_State* lua) {
  WarmDetectors();
  constexpr luaL_Reg kFunctions[] = {
      {"pii", Pii},        {"secrets", Secrets},      {"injection", Injection},
      {"has_pii", HasPii}, {"has_secret", HasSecret}, {"has_injection", HasInjection},
      {"redact", Redact},  {nullptr, nullptr}};
  luaL_setfuncs(lua, kFunctions, 0);
}

}  // namespace interlock::policies
