#include "check.h"

#include <algorithm>
#include <map>
#include <set>

#include "bytecode.h"
#include "core/glob.h"
#include "placeholder.h"
#include "table/check_table.h"

namespace interlock::policies {
namespace {

// What a schema says about a path of constant names.
struct PathAnswer {
  bool known = true;
  std::string missing;             // the first name that is not there
  std::vector<std::string> names;  // what is there instead
};

bool AllowsMore(const core::Json& schema) {
  if (schema.contains("patternProperties")) return true;
  const auto more = schema.find("additionalProperties");
  return more != schema.end() && !(more->is_boolean() && !more->get<bool>());
}

PathAnswer AskSchema(const core::Json* schema, const std::vector<std::string>& path,
                     std::size_t from) {
  for (std::size_t i = from; i < path.size(); ++i) {
    if (schema == nullptr || !schema->is_object() || !schema->contains("properties")) return {};
    const core::Json& properties = (*schema)["properties"];
    if (!properties.is_object()) return {};
    const auto found = properties.find(path[i]);
    if (found != properties.end()) {
      schema = &*found;
      continue;
    }
    if (AllowsMore(*schema)) return {};
    PathAnswer answer{.known = false, .missing = path[i], .names = {}};
    for (const auto& item : properties.items()) answer.names.push_back(item.key());
    return answer;
  }
  return {};
}

class Checker {
 public:
  Checker(Program& program, const std::vector<KnownTool>& tools, std::vector<Finding>& findings)
      : program_(program), tools_(tools), findings_(findings) {
    for (const KnownTool& tool : tools) names_.push_back(tool.name);
  }

  void Run() {
    CheckNames();
    CheckFactOrder();
    CheckExceptions();
    for (const Rule& rule : program_.rules()) {
      ScanRule(rule);
      if (rule.table != nullptr) CheckTable(program_, rule, tools_, findings_);
    }
    for (const Invariant& invariant : program_.invariants()) {
      ScanRule(invariant.rule);
      if (invariant.rule.table != nullptr) {
        CheckTable(program_, invariant.rule, tools_, findings_);
      }
    }
    for (const Velocity& velocity : program_.velocities()) ScanRule(velocity.rule);
    if (tools_.empty()) return;
    for (const Velocity& velocity : program_.velocities()) CheckRule(velocity.rule);
    for (const Invariant& invariant : program_.invariants()) CheckRule(invariant.rule);
    for (const PolicyDecl& policy : program_.policies()) {
      CheckSelectorTools(policy.tools, policy.place, "policy `" + policy.name + "`");
    }
    for (const FactRule& fact : program_.facts()) CheckFact(fact);
    for (const Rule& rule : program_.rules()) CheckRule(rule);
  }

 private:
  // A path and the longer one that goes on from it say the same: once is enough.
  void Report(const Place& place, std::string severity, std::string code, std::string message) {
    const bool said = std::any_of(findings_.begin(), findings_.end(), [&](const Finding& finding) {
      return finding.line == place.line && finding.file == place.file && finding.message == message;
    });
    if (said) return;
    findings_.push_back({.file = place.file,
                         .line = place.line,
                         .severity = std::move(severity),
                         .code = std::move(code),
                         .message = std::move(message)});
  }

  void CheckNames() {
    std::map<std::string, Place> policies;
    for (const PolicyDecl& policy : program_.policies()) {
      const auto [at, fresh] = policies.emplace(policy.name, policy.place);
      if (!fresh) {
        Report(policy.place, "error", "DUPLICATE_POLICY",
               "policy `" + policy.name + "` is also declared in " + at->second.file);
      }
    }
    std::set<std::string> invariants;
    for (const Invariant& invariant : program_.invariants()) {
      if (!invariants.insert(invariant.rule.id).second) {
        Report(invariant.rule.place, "error", "DUPLICATE_RULE",
               "invariant `" + invariant.rule.id + "` is declared twice");
      }
    }
    for (std::size_t i = 1; i < program_.rules().size(); ++i) {
      const Rule& rule = program_.rules()[i];
      if (rule.id == program_.rules()[i - 1].id) {
        Report(rule.place, "error", "DUPLICATE_RULE", "rule `" + rule.id + "` is declared twice");
      }
    }
  }

  const Rule* FindRule(const std::string& id) const {
    for (const Rule& rule : program_.rules()) {
      if (rule.id == id) return &rule;
    }
    return nullptr;
  }

  // A loosening names a rule that is there, of its own layer or below.
  void CheckExceptions() {
    std::vector<std::string> ids;
    for (const Rule& rule : program_.rules()) ids.push_back(rule.id);
    for (const ExceptionDecl& exception : program_.exceptions()) {
      const Rule* rule = FindRule(exception.rule);
      if (rule == nullptr) {
        Report(exception.place, "error", "UNKNOWN_RULE",
               "exception `" + exception.id + "`: there is no rule `" + exception.rule + "`" +
                   DidYouMean(exception.rule, ids));
        continue;
      }
      const PolicyDecl& of = program_.policies()[rule->policy];
      const PolicyDecl& by = program_.policies()[exception.policy];
      if (by.layer > of.layer) {
        Report(exception.place, "error", "LAYER",
               "exception `" + exception.id + "` stands in layer " +
                   std::string(LayerName(by.layer)) + " and cannot loosen layer " +
                   std::string(LayerName(of.layer)) + "; ask `" + of.owner + "`");
      }
    }
  }

  const KnownTool* FindTool(std::string_view name) const {
    for (const KnownTool& tool : tools_) {
      if (tool.name == name) return &tool;
    }
    return nullptr;
  }

  void CheckSelectorTools(const Selector& selector, const Place& place, const std::string& whose) {
    for (const std::string& tool : selector.tools) {
      if (Selector::IsGlob(tool)) {
        const bool any = std::any_of(names_.begin(), names_.end(), [&](const std::string& name) {
          return core::GlobMatches(tool, name);
        });
        if (!any) {
          Report(place, "warning", "UNKNOWN_TOOL", whose + ": no tool fits `" + tool + "`");
        }
      } else if (FindTool(tool) == nullptr) {
        Report(place, "error", "UNKNOWN_TOOL",
               whose + ": there is no tool `" + tool + "`" + DidYouMean(tool, names_));
      }
    }
  }

  // `after` names a fact that is declared for every tool that this one is declared for, without a
  // cycle.
  void CheckFactOrder() {
    std::map<std::string, const FactRule*> by_name;
    for (const FactRule& fact : program_.facts()) {
      const auto [at, fresh] = by_name.emplace(fact.decl.name, &fact);
      if (fresh) continue;
      if (at->second->decl.tool != fact.decl.tool || at->second->decl.args != fact.decl.args) {
        Report(fact.place, "error", "FACT_CONFLICT",
               "fact `" + fact.decl.name + "` is declared in another way in " +
                   at->second->place.file + ":" + std::to_string(at->second->place.line));
      }
    }
    for (const FactRule& fact : program_.facts()) {
      for (const std::string& name : fact.decl.after) {
        if (!by_name.contains(name)) {
          Report(fact.place, "error", "UNKNOWN_FACT",
                 "fact `" + fact.decl.name + "` needs `" + name + "`, which is not declared");
        }
      }
      std::set<std::string> seen;
      if (Reaches(by_name, fact.decl.name, fact.decl.name, seen)) {
        Report(fact.place, "error", "FACT_CYCLE", "fact `" + fact.decl.name + "` needs itself");
      }
    }
  }

  static bool Reaches(const std::map<std::string, const FactRule*>& by_name,
                      const std::string& from, const std::string& target,
                      std::set<std::string>& seen) {
    const auto at = by_name.find(from);
    if (at == by_name.end()) return false;
    for (const std::string& name : at->second->decl.after) {
      if (name == target) return true;
      if (seen.insert(name).second && Reaches(by_name, name, target, seen)) return true;
    }
    return false;
  }

  void CheckFact(const FactRule& fact) {
    const std::string whose = "fact `" + fact.decl.name + "`";
    const KnownTool* tool = FindTool(fact.decl.tool);
    if (tool == nullptr) {
      Report(fact.place, "error", "UNKNOWN_TOOL",
             whose + ": there is no tool `" + fact.decl.tool + "`" +
                 DidYouMean(fact.decl.tool, names_));
      return;
    }
    if (tool->effect != "read") {
      Report(
          fact.place, "error", "FACT_EFFECT",
          whose + ": look-ups use tools of effect read; `" + tool->name + "` is " + tool->effect);
    }
    for (const auto& item : fact.decl.args.items()) {
      const PathAnswer answer = AskSchema(&tool->input_schema, {item.key()}, 0);
      if (!answer.known) {
        Report(fact.place, "error", "UNKNOWN_FIELD",
               whose + ": `" + tool->name + "` takes no argument `" + answer.missing + "`" +
                   DidYouMean(answer.missing, answer.names));
      }
    }
    CheckSelectorTools(fact.on, fact.place, whose);
    CheckTemplates(fact, fact.decl.args);
  }

  void CheckTemplates(const FactRule& fact, const core::Json& args) {
    if (args.is_structured()) {
      for (const auto& item : args.items()) CheckTemplates(fact, item.value());
      return;
    }
    if (!args.is_string()) return;
    const auto parts = ParseTemplate(args.get_ref<const std::string&>());
    if (!parts.ok()) return;
    for (const TemplatePart& part : *parts) {
      if (!part.is_path || !part.text.starts_with("args.")) continue;
      std::vector<std::string> path;
      for (std::size_t from = 0; from <= part.text.size();) {
        const std::size_t dot = std::min(part.text.find('.', from), part.text.size());
        path.push_back(part.text.substr(from, dot - from));
        from = dot + 1;
      }
      const auto applies = [&](const KnownTool& tool) {
        return program_.Applies(fact, tool.name, tool.effect);
      };
      CheckArgs(applies, {.path = path, .line = fact.place.line}, fact.place,
                "fact `" + fact.decl.name + "`");
    }
  }

  // Which fields of the context the rule reads for certain.
  void ScanRule(const Rule& rule) {
    if (rule.table != nullptr) {
      fields_[&rule] = FieldsOf(*rule.table, program_.paths(), rule.place.line);
      return;
    }
    lua_State* lua = program_.vm().lua();
    BytecodeReport report;
    struct Scan {
      BytecodeReport* report;
      int function;
    } scan{&report, rule.function};
    lua_pushcfunction(lua, [](lua_State* inner) {
      const auto* what = static_cast<const Scan*>(lua_touserdata(inner, 1));
      lua_rawgeti(inner, LUA_REGISTRYINDEX, what->function);
      *what->report = ScanFunction(inner);
      return 0;
    });
    lua_pushlightuserdata(lua, &scan);
    const CallEnd end = program_.vm().Call(1, kLoadFuel);
    lua_settop(lua, 0);
    if (end != CallEnd::kOk || !report.understood) {
      Report(rule.place, "error", "BYTECODE", "the rule cannot be checked on this build of Lua");
    }
    fields_[&rule] = std::move(report.fields);
  }

  void CheckRule(const Rule& rule) {
    CheckOwned(rule);
    CheckSelectorTools(rule.selector, rule.place, "rule `" + rule.id + "`");
    for (const std::string& tool : rule.selector.tools) {
      const KnownTool* known = FindTool(tool);
      if (known != nullptr && !program_.Applies(rule, tool, known->effect)) {
        Report(rule.place, "error", "OUTSIDE_POLICY",
               "rule `" + rule.id + "` is about `" + tool + "`, which its policy does not list");
      }
    }
    for (const FieldAccess& access : fields_[&rule]) CheckAccess(rule, access);
  }

  // An allow that can never count.
  void CheckOwned(const Rule& rule) {
    const bool allows = rule.table != nullptr && rule.table->verdict == VerdictKind::kAllow &&
                        rule.selector.phase == RulePhase::kCall;
    if (!allows) return;
    const Layer layer = program_.policies()[rule.policy].layer;
    bool any = false;
    for (const KnownTool& tool : tools_) {
      if (!program_.Applies(rule, tool.name, tool.effect)) continue;
      if (program_.OwnerOf(tool.name, tool.effect) >= layer) return;
      any = true;
    }
    if (!any) return;
    Report(rule.place, "warning", "NOT_OWNED",
           "rule `" + rule.id + "` allows nothing: a policy of a layer above owns its tools");
  }

  void CheckAccess(const Rule& rule, const FieldAccess& access) {
    static const std::vector<std::string> kRoots = {"args",      "session", "facts",  "call",
                                                    "principal", "flow",    "now",    "tenant",
                                                    "user",      "message", "result", "answer"};
    static const std::map<std::string, std::vector<std::string>> kFixed = {
        {"call",
         {"tool", "effect", "id", "run", "agent", "step", "compensates", "caller", "depth"}},
        {"principal", {"id", "roles"}},
        {"flow", {"untrusted"}}};
    const Place place{.file = rule.place.file, .line = access.line};
    const std::string& root = access.path[0];
    const auto fixed = kFixed.find(root);
    if (std::find(kRoots.begin(), kRoots.end(), root) == kRoots.end()) {
      if (access.path.size() > 1) return;
      Report(place, "error", "UNKNOWN_FIELD",
             "the context has no field `" + root + "`" + DidYouMean(root, kRoots));
    } else if (root == "message" || root == "result" || root == "answer") {
      if (root == RulePhaseName(rule.selector.phase)) return;
      Report(place, "error", "WRONG_PHASE",
             "there is no `" + root + "` in a rule about " +
                 std::string(RulePhaseName(rule.selector.phase)) + "s; write on(" + root +
                 (root == "result" ? "(\"tool\"), …)" : "(), …)"));
    } else if (fixed != kFixed.end() && access.path.size() > 1) {
      const std::string& name = access.path[1];
      if (std::find(fixed->second.begin(), fixed->second.end(), name) == fixed->second.end()) {
        Report(place, "error", "UNKNOWN_FIELD",
               "c." + root + " has no field `" + name + "`" + DidYouMean(name, fixed->second));
      }
    } else if (root == "args" && access.path.size() > 1) {
      const auto applies = [&](const KnownTool& tool) {
        return program_.Applies(rule, tool.name, tool.effect);
      };
      CheckArgs(applies, access, place, "rule `" + rule.id + "`");
    } else if (root == "facts" && access.path.size() > 1) {
      CheckFactField(rule, access, place);
    }
  }

  // A field must be there for some tool that the rule is about; where it is missing for others, it
  // may not be read without asking, so that is a warning.
  template <typename F>
  void CheckArgs(F applies, const FieldAccess& access, const Place& place,
                 const std::string& whose) {
    std::vector<std::string> without;
    PathAnswer last;
    int with = 0;
    for (const KnownTool& tool : tools_) {
      if (!applies(tool)) continue;
      PathAnswer answer = AskSchema(&tool.input_schema, access.path, 1);
      if (answer.known) {
        ++with;
      } else {
        without.push_back(tool.name);
        last = std::move(answer);
      }
    }
    if (without.empty()) return;
    const std::string tail = DidYouMean(last.missing, last.names);
    Report(place, with == 0 ? "error" : "warning", "UNKNOWN_FIELD",
           whose + ": `" + last.missing + "` is no argument of `" + without[0] + "`" + tail);
  }

  void CheckFactField(const Rule& rule, const FieldAccess& access, const Place& place) {
    std::vector<std::string> declared;
    const FactRule* found = nullptr;
    for (const FactRule& fact : program_.facts()) {
      const bool overlaps = std::any_of(tools_.begin(), tools_.end(), [&](const KnownTool& tool) {
        return program_.Applies(rule, tool.name, tool.effect) &&
               program_.Applies(fact, tool.name, tool.effect);
      });
      if (!overlaps) continue;
      declared.push_back(fact.decl.name);
      if (fact.decl.name == access.path[1]) found = &fact;
    }
    if (found == nullptr) {
      Report(place, "error", "UNKNOWN_FACT",
             "no fact `" + access.path[1] + "` is declared for the tools of rule `" + rule.id +
                 "`" + DidYouMean(access.path[1], declared));
      return;
    }
    const KnownTool* tool = FindTool(found->decl.tool);
    if (tool == nullptr) return;
    const PathAnswer answer = AskSchema(&tool->result_schema, access.path, 2);
    if (answer.known) return;
    Report(place, "error", "UNKNOWN_FIELD",
           "fact `" + access.path[1] + "` has no field `" + answer.missing +
               "` by the result of `" + tool->name + "`" +
               DidYouMean(answer.missing, answer.names));
  }

  Program& program_;
  const std::vector<KnownTool>& tools_;
  std::vector<Finding>& findings_;
  std::vector<std::string> names_;
  std::map<const Rule*, std::vector<FieldAccess>> fields_;
};

}  // namespace

void CheckProgram(Program& program, const std::vector<KnownTool>& tools,
                  std::vector<Finding>& findings) {
  Checker(program, tools, findings).Run();
}

}  // namespace interlock::policies
