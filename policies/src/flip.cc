#include "policies/flip.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "case_space.h"
#include "rule_engine.h"
#include "schema_values.h"

namespace interlock::policies {
namespace {

constexpr std::size_t kLeavesMax = 32;
constexpr int kBisectionsMax = 48;

// An input of its own, in which one value can be another.
class ChangedInput {
 public:
  explicit ChangedInput(const DecisionInput& input)
      : input_(input),
        args_(*input.args),
        session_(input.session != nullptr ? *input.session : core::Json::object()),
        user_(input.user) {
    if (input.facts != nullptr) facts_ = *input.facts;
  }

  // False where a call cannot differ in this, or where it is so already.
  bool Set(const std::string& path, const core::Json& value) {
    if (path == "user" && value.is_string()) {
      const bool other = user_ != value.get_ref<const std::string&>();
      user_ = value.get<std::string>();
      return other;
    }
    if (path == "flow.untrusted" && value.is_boolean()) {
      const bool other = input_.flow_untrusted != value.get<bool>();
      input_.flow_untrusted = value.get<bool>();
      return other;
    }
    const std::size_t dot = path.find('.');
    if (dot == std::string::npos) return false;
    const std::string root = path.substr(0, dot);
    const std::string rest = path.substr(dot + 1);
    if (root == "args") return SetIn(args_, rest, value);
    if (root == "session") return SetIn(session_, rest, value);
    if (root != "facts") return false;
    for (Fact& fact : facts_) {
      const bool inside = rest.size() > fact.name.size() && rest.starts_with(fact.name) &&
                          rest[fact.name.size()] == '.';
      if (fact.present && inside) {
        return SetIn(fact.value, rest.substr(fact.name.size() + 1), value);
      }
    }
    return false;
  }

  const core::Json& args() const { return args_; }
  const std::vector<Fact>& facts() const { return facts_; }

  DecisionInput Input() const {
    DecisionInput input = input_;
    input.args = &args_;
    input.args_text = {};
    input.session = &session_;
    input.facts = &facts_;
    input.user = user_;
    return input;
  }

 private:
  static bool SetIn(core::Json& root, std::string rest, const core::Json& value) {
    core::Json* at = &root;
    for (std::size_t dot = rest.find('.'); dot != std::string::npos; dot = rest.find('.')) {
      const std::string name = rest.substr(0, dot);
      if (!at->is_object() || !at->contains(name)) return false;
      at = &(*at)[name];
      rest = rest.substr(dot + 1);
    }
    if (!at->is_object()) return false;
    const auto found = at->find(rest);
    if (found == at->end() ? value.is_null() : *found == value) return false;
    if (value.is_null()) {
      at->erase(rest);
    } else {
      (*at)[rest] = value;
    }
    return true;
  }

  DecisionInput input_;
  core::Json args_, session_;
  std::vector<Fact> facts_;
  std::string user_;
};

std::string Said(const Decision& decision) {
  std::string text(VerdictName(decision.verdict));
  if (decision.verdict == Verdict::kDeny) text += " " + decision.code;
  return text;
}

double Distance(const core::Json& from, const core::Json& to) {
  if (from.is_number() && to.is_number()) return std::abs(from.get<double>() - to.get<double>());
  return 1e300;
}

class FlipSearch {
 public:
  FlipSearch(const std::shared_ptr<const Bundle>& bundle, const DecisionInput& input)
      : input_(input) {
    auto program = std::make_unique<Program>();
    std::vector<Finding> ignored;  // the bundle was loaded without errors before
    program->Load(bundle->files(), Program::What::kPolicies, ignored);
    engine_ = std::make_unique<RuleEngine>(bundle, std::move(program));
    const auto tool = [&](std::string_view name) -> const KnownTool* {
      for (const KnownTool& one : bundle->tools()) {
        if (one.name == name) return &one;
      }
      return nullptr;
    };
    if (const KnownTool* called = tool(input.call.tool)) schemas_["args"] = called->input_schema;
    for (const FactDecl& fact : bundle->FactsFor(input.call.tool)) {
      const KnownTool* look_up = tool(fact.tool);
      if (look_up != nullptr) schemas_["facts." + fact.name] = look_up->result_schema;
    }
  }

  std::vector<Flip> Run() {
    now_ = Said(engine_->Decide(input_));
    CaseSpace space;
    AddRules(engine_->program(), std::string(input_.call.tool), std::string(input_.call.effect),
             space);
    for (const auto& [path, values] : space.values) {
      for (const core::Json& value : values) Try(path, value);
    }
    if (input_.flow_untrusted) Try("flow.untrusted", false);
    Leaves("args", *input_.args, SchemaOf("args"));
    if (input_.facts != nullptr) {
      for (const Fact& fact : *input_.facts) {
        const std::string path = "facts." + fact.name;
        if (fact.present) Leaves(path, fact.value, SchemaOf(path));
      }
    }
    std::vector<Flip> flips;
    for (auto& [key, flip] : found_) flips.push_back(std::move(flip));
    return flips;
  }

 private:
  core::Json Before(const std::string& path) const {
    if (path == "user") return input_.user.empty() ? core::Json() : core::Json(input_.user);
    if (path == "flow.untrusted") return input_.flow_untrusted;
    core::Json all = {{"args", *input_.args}, {"facts", core::Json::object()}};
    if (input_.session != nullptr) all["session"] = *input_.session;
    if (input_.facts != nullptr) {
      for (const Fact& fact : *input_.facts) {
        if (fact.present) all["facts"][fact.name] = fact.value;
      }
    }
    const core::Json* value = StatedAt(all, path);
    return value == nullptr ? core::Json() : *value;
  }

  // What would be decided; empty where the change says nothing or no such call could be made.
  std::string Verdict(const std::string& path, const core::Json& value) {
    ChangedInput changed(input_);
    if (!changed.Set(path, value)) return "";
    if (!Fits(changed)) return "";
    return Said(engine_->Decide(changed.Input()));
  }

  bool Fits(const ChangedInput& changed) const {
    const auto args = schemas_.find("args");
    if (args != schemas_.end() && !FitsSchema(args->second, changed.args())) return false;
    return std::all_of(changed.facts().begin(), changed.facts().end(), [&](const Fact& fact) {
      const auto schema = schemas_.find("facts." + fact.name);
      return !fact.present || schema == schemas_.end() || FitsSchema(schema->second, fact.value);
    });
  }

  void Try(const std::string& path, const core::Json& value) {
    const std::string verdict = Verdict(path, value);
    if (verdict.empty() || verdict == now_ || verdict == "deny RULE_ERROR") return;
    const core::Json before = Before(path);
    Keep({.path = path,
          .from = before,
          .to = Nearest(path, before, value, verdict),
          .verdict = verdict});
  }

  void Keep(Flip flip) {
    const auto key = std::pair(flip.path, flip.verdict);
    const auto at = found_.find(key);
    if (at == found_.end()) {
      found_.emplace(key, std::move(flip));
    } else if (Distance(flip.from, flip.to) < Distance(at->second.from, at->second.to)) {
      at->second = std::move(flip);
    }
  }

  // Between a number that changes nothing and one that does, the first that does.
  core::Json Nearest(const std::string& path, const core::Json& from, const core::Json& to,
                     const std::string& verdict) {
    if (!from.is_number() || !to.is_number()) return to;
    const bool whole = from.is_number_integer() && to.is_number_integer();
    const double step = whole ? 1 : 0.01;
    double same = from.get<double>();
    double other = to.get<double>();
    for (int i = 0; i < kBisectionsMax && std::abs(other - same) > step * 1.001; ++i) {
      const double middle = std::round((same + other) / 2 / step) * step;
      if (middle == same || middle == other) break;
      (Verdict(path, Number(middle, whole)) == verdict ? other : same) = middle;
    }
    return Number(other, whole);
  }

  static core::Json Number(double value, bool whole) {
    if (whole) return static_cast<std::int64_t>(value);
    return std::round(value * 100) / 100;
  }

  const core::Json* SchemaOf(const std::string& root) const {
    const auto found = schemas_.find(root);
    return found == schemas_.end() ? nullptr : &found->second;
  }

  static const core::Json* Inner(const core::Json* schema, const std::string& name) {
    const bool has = schema != nullptr && schema->is_object() && schema->contains("properties") &&
                     (*schema)["properties"].is_object() && (*schema)["properties"].contains(name);
    return has ? &(*schema)["properties"][name] : nullptr;
  }

  // Numbers, truths and words of a list, wherever functions may look.
  void Leaves(const std::string& path, const core::Json& value, const core::Json* schema) {
    if (leaves_ >= kLeavesMax) return;
    if (value.is_object()) {
      for (const auto& [name, inner] : value.items()) {
        if (name.find('.') == std::string::npos) {
          Leaves(path + "." + name, inner, Inner(schema, name));
        }
      }
    } else if (value.is_string() && schema != nullptr && schema->contains("enum")) {
      ++leaves_;
      for (const core::Json& other : (*schema)["enum"]) Try(path, other);
    } else if (value.is_boolean()) {
      ++leaves_;
      Try(path, !value.get<bool>());
    } else if (value.is_number() && std::abs(value.get<double>()) < 1e12) {
      ++leaves_;
      const bool whole = value.is_number_integer();
      const double number = value.get<double>();
      for (const double to : {0.0, number / 2, number * 2, number * 10, number * 100, number + 1}) {
        Try(path, Number(whole ? std::trunc(to) : to, whole));
      }
    }
  }

  const DecisionInput& input_;
  std::unique_ptr<RuleEngine> engine_;
  std::map<std::string, core::Json> schemas_;  // of "args" and "facts.NAME"
  std::string now_;
  std::size_t leaves_ = 0;
  std::map<std::pair<std::string, std::string>, Flip> found_;
};

}  // namespace

std::vector<Flip> FindFlips(const std::shared_ptr<const Bundle>& bundle,
                            const DecisionInput& input) {
  if (input.args == nullptr || input.phase != RulePhase::kCall) return {};
  return FlipSearch(bundle, input).Run();
}

}  // namespace interlock::policies
