#include "program.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "bytecode.h"
#include "core/check.h"
#include "env.h"
#include "freeze.h"
#include "lua_money.h"
#include "lua_time.h"
#include "table/lua_term.h"

namespace interlock::policies {
namespace {

constexpr char kProgram = 0;

// Built once a state, inside a protected call. Argument 1 is the Program; returns the environment.
int CreateEnvironment(lua_State* lua) {
  auto* program = static_cast<Program*>(lua_touserdata(lua, 1));
  lua_rawsetp(lua, LUA_REGISTRYINDEX, &kProgram);
  program->context().Create(lua);
  lua_newtable(lua);
  AddBaseFunctions(lua);
  AddTextFunctions(lua);
  AddListFunctions(lua);
  AddPatternFunctions(lua);
  AddDetectFunctions(lua);
  AddMoneyFunctions(lua);
  AddTimeFunctions(lua);
  AddAuthoringFunctions(lua);
  AddVerdictFunctions(lua);
  AddTermFunctions(lua);
  AddLabelFunctions(lua);
  AddRuleForm(lua);
  AddInvariantForm(lua);
  constexpr luaL_Reg kContext[] = {{"present", &PresentWord},
                                   {"get", &Context::Get},
                                   {"fact_error", &Context::FactError},
                                   {nullptr, nullptr}};
  luaL_setfuncs(lua, kContext, 0);
  SealEnvironment(lua);
  return 1;
}

int FreezeArgument(lua_State* lua) {
  FreezeFunction(lua);
  return 0;
}

// Memory between decisions: a function that assigns what was declared outside of it.
void RefuseOuterWrites(lua_State* lua, const std::string& path) {
  const BytecodeReport report = ScanFunction(lua);
  if (!report.understood) Raise(lua, "functions cannot be checked on this build of Lua");
  if (report.writes.empty()) return;
  const OuterWrite& write = report.writes[0];
  const std::string what =
      write.global ? "global `" + write.name + "` cannot be assigned; write local " + write.name
                   : "`" + write.name +
                         "` belongs to the outside and cannot be assigned in a "
                         "function; rules keep nothing between decisions";
  const std::string message = path + ":" + std::to_string(write.line) + ": " + what;
  lua_pushlstring(lua, message.data(), message.size());
  lua_error(lua);
}

std::optional<std::string> BadSource(const BundleFile& file) {
  if (file.text.size() > kPolicyFileBytesMax) return "the file is larger than 256 KiB; split it";
  if (file.text.starts_with('\x1b')) return "byte code is not accepted, only source text";
  int line = 1;
  std::size_t start = 0;
  for (std::size_t i = 0; i <= file.text.size(); ++i) {
    if (i < file.text.size() && file.text[i] != '\n') continue;
    if (i - start > kLineBytesMax) {
      return file.path + ":" + std::to_string(line) + ": a line of more than 4 KiB";
    }
    start = i + 1;
    ++line;
  }
  return std::nullopt;
}

}  // namespace

Program& ProgramOf(lua_State* lua) {
  lua_rawgetp(lua, LUA_REGISTRYINDEX, &kProgram);
  auto* program = static_cast<Program*>(lua_touserdata(lua, -1));
  lua_pop(lua, 1);
  return *program;
}

Located SplitLocation(const std::string& error) {
  const std::size_t first = error.find(".lua:");
  if (first == std::string::npos) return {.line = 0, .message = error};
  const char* digits = error.data() + first + 5;
  int line = 0;
  const auto end = std::from_chars(digits, error.data() + error.size(), line);
  if (end.ec != std::errc() || !std::string_view(end.ptr).starts_with(": ")) {
    return {.line = 0, .message = error};
  }
  return {.line = line, .message = end.ptr + 2};
}

Program::Program() : context_(vm_) {
  const CLocale plain;
  lua_State* lua = vm_.lua();
  lua_pushcfunction(lua, &CreateEnvironment);
  lua_pushlightuserdata(lua, this);
  INTERLOCK_CHECK(vm_.Call(1, kLoadFuel) == CallEnd::kOk && vm_.results() == 1);
  environment_ = luaL_ref(lua, LUA_REGISTRYINDEX);
}

Program::~Program() = default;

void Program::AddPolicy(PolicyDecl policy) {
  policy_ = policies_.size();
  policies_.push_back(std::move(policy));
}

bool Program::AddRule(Rule rule) {
  if (rules_.size() >= kRulesMax) return false;
  rules_.push_back(std::move(rule));
  return true;
}

std::string_view LayerName(Layer layer) {
  return layer == Layer::kOrg ? "org" : layer == Layer::kTeam ? "team" : "agent";
}

Layer Program::OwnerOf(std::string_view tool, std::string_view effect) const {
  Layer owner = Layer::kAgent;
  for (const PolicyDecl& policy : policies_) {
    if (policy.layer < owner && policy.owns.Matches(tool, effect)) owner = policy.layer;
  }
  return owner;
}

std::size_t Program::AddBudget(BudgetDecl budget, Place place) {
  budgets_.push_back(std::move(budget));
  budget_places_.push_back(std::move(place));
  return budgets_.size() - 1;
}

void Program::Load(const std::vector<BundleFile>& files, What what,
                   std::vector<Finding>& findings) {
  const CLocale plain;
  what_ = what;
  std::vector<const BundleFile*> sorted;
  sorted.reserve(files.size());
  for (const BundleFile& file : files) sorted.push_back(&file);
  std::sort(sorted.begin(), sorted.end(),
            [](const BundleFile* a, const BundleFile* b) { return a->path < b->path; });
  vm_.set_phase(Phase::kLoading);
  for (const BundleFile* file : sorted) LoadFile(*file, findings);
  std::stable_sort(rules_.begin(), rules_.end(),
                   [](const Rule& a, const Rule& b) { return a.id < b.id; });
  std::stable_sort(velocities_.begin(), velocities_.end(),
                   [](const Velocity& a, const Velocity& b) { return a.rule.id < b.rule.id; });
  std::stable_sort(exceptions_.begin(), exceptions_.end(),
                   [](const ExceptionDecl& a, const ExceptionDecl& b) { return a.id < b.id; });
  for (std::size_t i = 0; i < exceptions_.size(); ++i) {
    const auto found =
        std::lower_bound(rules_.begin(), rules_.end(), exceptions_[i].rule,
                         [](const Rule& rule, const std::string& id) { return rule.id < id; });
    if (found != rules_.end() && found->id == exceptions_[i].rule) found->exceptions.push_back(i);
  }
  for (const Rule& rule : rules_) Freeze(rule, findings);
  for (const Invariant& invariant : invariants_) Freeze(invariant.rule, findings);
  lua_gc(vm_.lua(), LUA_GCCOLLECT);
  vm_.set_phase(Phase::kIdle);
  vm_.set_bytes_max(std::min(kLoadedBytesMax, vm_.bytes_used() + kLuaBytesMax));
}

void Program::Freeze(const Rule& rule, std::vector<Finding>& findings) {
  if (rule.table != nullptr) return;
  lua_pushcfunction(vm_.lua(), &FreezeArgument);
  lua_rawgeti(vm_.lua(), LUA_REGISTRYINDEX, rule.function);
  if (vm_.Call(1, kLoadFuel) != CallEnd::kOk) {
    findings.push_back({.file = rule.place.file,
                        .line = rule.place.line,
                        .severity = "error",
                        .code = "LOAD",
                        .message = vm_.error()});
  }
  lua_settop(vm_.lua(), 0);
}

void Program::LoadFile(const BundleFile& file, std::vector<Finding>& findings) {
  file_ = file.path;
  policy_.reset();
  if (const std::optional<std::string> bad = BadSource(file); bad) {
    const Located located = SplitLocation(*bad);
    findings.push_back({.file = file.path,
                        .line = located.line,
                        .severity = "error",
                        .code = "SOURCE",
                        .message = located.message});
    return;
  }
  vm_.set_bytes_max(std::min(kLoadedBytesMax, vm_.bytes_used() + kLuaBytesMax));
  RunFile(file, findings);
  lua_settop(vm_.lua(), 0);
}

// Reads and runs one file in a protected call, so that memory spent by the parser is an error, not
// an end.
void Program::RunFile(const BundleFile& file, std::vector<Finding>& findings) {
  lua_State* lua = vm_.lua();
  const auto fail = [&](const char* code) {
    const Located located = SplitLocation(vm_.error());
    findings.push_back({.file = file.path,
                        .line = located.line,
                        .severity = "error",
                        .code = code,
                        .message = located.message});
  };
  struct Source {
    const BundleFile* file;
    int environment;
  } source{&file, environment_};
  lua_pushcfunction(lua, [](lua_State* inner) {
    const auto* from = static_cast<const Source*>(lua_touserdata(inner, 1));
    const std::string name = "@" + from->file->path;
    if (luaL_loadbufferx(inner, from->file->text.data(), from->file->text.size(), name.c_str(),
                         "t") != LUA_OK) {
      return lua_error(inner);
    }
    RefuseOuterWrites(inner, from->file->path);
    lua_rawgeti(inner, LUA_REGISTRYINDEX, from->environment);
    lua_setupvalue(inner, -2, 1);
    return 1;
  });
  lua_pushlightuserdata(lua, &source);
  CallEnd end = vm_.Call(1, kLoadFuel);
  if (end != CallEnd::kOk) {
    fail(end == CallEnd::kMemory ? "MEMORY" : "SYNTAX");
    return;
  }
  end = vm_.Call(0, kLoadFuel);
  if (end != CallEnd::kOk) {
    fail(end == CallEnd::kMemory ? "MEMORY" : end == CallEnd::kFuel ? "FUEL" : "LOAD");
  } else if (what_ == What::kPolicies && !policy_) {
    findings.push_back({.file = file.path,
                        .line = 1,
                        .severity = "error",
                        .code = "NO_POLICY",
                        .message = "the file declares no policy \"name\" { … }"});
  }
}

}  // namespace interlock::policies
