// Detectors as rules see them: pii, secrets, injection, has_…, redact. A value is a text or holds
// texts at any depth; names of fields and whole numbers are looked at too.
#include <algorithm>
#include <string>
#include <vector>

#include "env.h"
#include "lua_json.h"
#include "lua_wanted.h"

namespace interlock::policies {
namespace {

constexpr std::int64_t kBytesPerInstruction = 16;

void AddKind(lua_State* lua, const std::string& name, DetectWanted& wanted) {
  if (const core::Status added = wanted.Add(name); !added.ok()) {
    Raise(lua, std::string(core::Message(added)));
  }
}

void ReadKinds(lua_State* lua, int index, DetectWanted& wanted) {
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
DetectWanted ReadWanted(lua_State* lua, DetectGroup group) {
  if (!lua_isnoneornil(lua, 2)) return CheckWanted(lua, 2);
  DetectWanted wanted;
  wanted.Open(group);
  wanted.least = ReadConfidence(lua, 3);
  return wanted;
}

// What a text holds.
std::vector<Detection> LookAt(lua_State* lua, std::string_view text, std::string_view field,
                              const DetectWanted& wanted) {
  // Paid before the look, so that a rule without fuel does not get it for nothing.
  const auto paid = static_cast<std::int64_t>(text.size()) / kBytesPerInstruction + 1;
  Vm::Of(lua).Charge(paid);
  std::int64_t work = -paid;
  auto found = Look(text, field, wanted, work);
  Vm::Of(lua).Charge(work);
  if (!found.ok()) Raise(lua, std::string(core::Message(found.status())));
  return *std::move(found);
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
    WalkTexts(JsonFrom(lua, 1), "", "", visit);
  }
}

int Findings(lua_State* lua, DetectGroup group) {
  const DetectWanted wanted = ReadWanted(lua, group);
  lua_newtable(lua);
  lua_Integer count = 0;
  WalkArgument(
      lua, [&](const std::string& text, const std::string& path, const std::string& field, bool) {
        for (const Detection& one : LookAt(lua, text, field, wanted)) {
          if (count >= kListItemsMax) Raise(lua, "more findings than a list may have");
          PushFinding(lua, one, path);
          lua_rawseti(lua, -2, ++count);
        }
      });
  return 1;
}

int Has(lua_State* lua, DetectGroup group) {
  const DetectWanted wanted = ReadWanted(lua, group);
  bool found = false;
  WalkArgument(lua, [&](const std::string& text, const std::string&, const std::string& field,
                        bool) { found = found || !LookAt(lua, text, field, wanted).empty(); });
  lua_pushboolean(lua, found);
  return 1;
}

int Pii(lua_State* lua) { return Findings(lua, DetectGroup::kPii); }
int Secrets(lua_State* lua) { return Findings(lua, DetectGroup::kSecret); }
int Injection(lua_State* lua) { return Findings(lua, DetectGroup::kInjection); }
int HasPii(lua_State* lua) { return Has(lua, DetectGroup::kPii); }
int HasSecret(lua_State* lua) { return Has(lua, DetectGroup::kSecret); }
int HasInjection(lua_State* lua) { return Has(lua, DetectGroup::kInjection); }

// The text with what was found replaced by "[kind]". Texts only: a rule names each argument that it
// changes (modify { ["args.body"] = redact(c.args.body) }).
int Redact(lua_State* lua) {
  const std::string text(CheckText(lua, 1, "what redact changes"));
  DetectWanted wanted = ReadWanted(lua, DetectGroup::kPii);
  if (lua_isnoneornil(lua, 2)) wanted.Open(DetectGroup::kSecret);
  const std::string out = Masked(text, LookAt(lua, text, "", wanted));
  if (out.size() > std::max(kTextBytesMax, text.size()))
    Raise(lua, "redact would be longer than 64 KiB");
  Vm::Of(lua).Charge(static_cast<std::int64_t>(out.size()) / kBytesPerInstruction);
  lua_pushlstring(lua, out.data(), out.size());
  return 1;
}

}  // namespace

DetectWanted CheckWanted(lua_State* lua, int index) {
  DetectWanted wanted;
  ReadKinds(lua, index, wanted);
  wanted.least = ReadConfidence(lua, index + 1);
  return wanted;
}

void AddDetectFunctions(lua_State* lua) {
  WarmDetectors();
  constexpr luaL_Reg kFunctions[] = {
      {"pii", Pii},        {"secrets", Secrets},      {"injection", Injection},
      {"has_pii", HasPii}, {"has_secret", HasSecret}, {"has_injection", HasInjection},
      {"redact", Redact},  {nullptr, nullptr}};
  luaL_setfuncs(lua, kFunctions, 0);
}

}  // namespace interlock::policies
