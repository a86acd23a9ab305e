// Labels in functions: trusted(c.args, "to"), from(c.args, "to", { "user" }), sources, tags,
// readers. At file level the first two, tagged and readable_by are words of table rules.
#include <algorithm>

#include "env.h"
#include "label_cover.h"
#include "program.h"
#include "table/lua_term.h"

namespace interlock::policies {
namespace {

using Op = Predicate::Op;

struct Asked {
  bool known = false;
  Label label{};
};

// Argument 1 is a part of the context, argument 2 a field of it or nothing.
Asked LabelOf(lua_State* lua) {
  const std::string path = Context::LabelPath(lua, 1, 2);
  const DecisionInput& input = ProgramOf(lua).context().input();
  Vm::Of(lua).Charge(8);
  if (input.labels == nullptr) return {};
  return {.known = input.labels->Knows(path), .label = LabelInFull(input, path)};
}

int PushTexts(lua_State* lua, const std::vector<std::string>& texts) {
  Vm::Of(lua).Charge(static_cast<std::int64_t>(texts.size()));
  lua_createtable(lua, static_cast<int>(texts.size()), 0);
  for (std::size_t i = 0; i < texts.size(); ++i) {
    lua_pushlstring(lua, texts[i].data(), texts[i].size());
    lua_rawseti(lua, -2, static_cast<lua_Integer>(i + 1));
  }
  return 1;
}

// Only what is known can be listed: an empty list would read as "none".
Asked KnownLabelOf(lua_State* lua) {
  CheckDeciding(lua, "sources, tags and readers");
  Asked asked = LabelOf(lua);
  if (!asked.known) Raise(lua, "`" + Context::LabelPath(lua, 1, 2) + "` has no label");
  return asked;
}

int Sources(lua_State* lua) { return PushTexts(lua, KnownLabelOf(lua).label.sources); }
int Tags(lua_State* lua) { return PushTexts(lua, KnownLabelOf(lua).label.tags); }
int Readers(lua_State* lua) { return PushTexts(lua, KnownLabelOf(lua).label.readers); }

int Trusted(lua_State* lua) {
  if (IsWordOfLabels(lua)) return LabelWord(lua, static_cast<int>(Op::kTrusted));
  lua_pushboolean(lua, LabelOf(lua).label.trusted);
  return 1;
}

// from(c.args, "to", { "user", "directory" }): known, and from nowhere else.
int From(lua_State* lua) {
  if (IsWordOfLabels(lua)) return LabelWord(lua, static_cast<int>(Op::kFrom));
  if (lua_gettop(lua) != 3) Raise(lua, "write from(c.args, \"field\", { \"user\", … })");
  const Asked asked = LabelOf(lua);
  std::vector<std::string> wanted;
  const std::int64_t count = ListLength(lua, 3);
  for (std::int64_t at = 1; at <= count; ++at) {
    PushElement(lua, 3, at);
    wanted.emplace_back(CheckText(lua, -1, "a source"));
    lua_pop(lua, 1);
  }
  const auto in = [&](const std::string& one) {
    return std::find(wanted.begin(), wanted.end(), one) != wanted.end();
  };
  const std::vector<std::string>& sources = asked.label.sources;
  lua_pushboolean(lua, !sources.empty() && std::all_of(sources.begin(), sources.end(), in));
  return 1;
}

int Tagged(lua_State* lua) {
  if (!IsWordOfLabels(lua))
    Raise(lua, "in a function write contains(tags(c.args, \"to\"), \"pii\")");
  return LabelWord(lua, static_cast<int>(Op::kTagged));
}

int ReadableBy(lua_State* lua) {
  if (!IsWordOfLabels(lua))
    Raise(lua, "in a function write contains(readers(c.args, \"body\"), who)");
  return LabelWord(lua, static_cast<int>(Op::kReadableBy));
}

}  // namespace

void AddLabelFunctions(lua_State* lua) {
  constexpr luaL_Reg kFunctions[] = {
      {"trusted", Trusted}, {"from", From}, {"tagged", Tagged},   {"readable_by", ReadableBy},
      {"sources", Sources}, {"tags", Tags}, {"readers", Readers}, {nullptr, nullptr}};
  luaL_setfuncs(lua, kFunctions, 0);
}

}  // namespace interlock::policies
