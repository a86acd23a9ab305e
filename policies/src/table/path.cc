#include "table/path.h"

#include <algorithm>
#include <map>

#include "core/json.h"
#include "selector.h"

namespace interlock::policies {
namespace {

constexpr std::size_t kShownBytesMax = 80;

struct RootRule {
  Root root;
  std::vector<std::string> members;  // what may follow; empty: names of the author's world
  enum { kNothing, kSomething, kAnything } follows;
};

const std::map<std::string, RootRule, std::less<>>& Roots() {
  static const std::map<std::string, RootRule, std::less<>> kRoots = {
      {"args", {Root::kArgs, {}, RootRule::kSomething}},
      {"facts", {Root::kFacts, {}, RootRule::kSomething}},
      {"session", {Root::kSession, {}, RootRule::kSomething}},
      {"user", {Root::kUser, {}, RootRule::kNothing}},
      {"tenant", {Root::kTenant, {}, RootRule::kNothing}},
      {"now", {Root::kNow, {}, RootRule::kNothing}},
      {"call",
       {Root::kCall,
        {"tool", "effect", "id", "run", "agent", "step", "compensates", "caller", "depth"},
        RootRule::kSomething}},
      {"principal", {Root::kPrincipal, {"id", "roles"}, RootRule::kSomething}},
      {"flow", {Root::kFlow, {"untrusted"}, RootRule::kSomething}},
      {"message", {Root::kContent, {}, RootRule::kAnything}},
      {"result", {Root::kContent, {}, RootRule::kAnything}},
      {"answer", {Root::kContent, {}, RootRule::kAnything}}};
  return kRoots;
}

std::vector<std::string> RootNames() {
  std::vector<std::string> names;
  for (const auto& [name, rule] : Roots()) names.push_back(name);
  return names;
}

std::vector<std::string> SplitAtDots(std::string_view text) {
  std::vector<std::string> names;
  for (std::size_t from = 0; from <= text.size();) {
    const std::size_t dot = std::min(text.find('.', from), text.size());
    names.emplace_back(text.substr(from, dot - from));
    from = dot + 1;
  }
  return names;
}

Operand TextOperand(std::string_view text) {
  if (text.empty()) return {};
  Operand out;
  out.kind = Operand::Kind::kText;
  out.text = text;
  return out;
}

Operand IntegerOperand(std::int64_t value) {
  Operand out;
  out.kind = Operand::Kind::kInteger;
  out.integer = value;
  return out;
}

const core::Json* Follow(const core::Json* value, const std::vector<std::string>& names,
                         std::size_t from) {
  for (std::size_t i = from; value != nullptr && i < names.size(); ++i) {
    if (!value->is_object()) return nullptr;
    const auto found = value->find(names[i]);
    value = found == value->end() ? nullptr : &*found;
  }
  return value;
}

const Fact* FindFact(const DecisionInput& input, std::string_view name) {
  if (input.facts == nullptr) return nullptr;
  for (const Fact& fact : *input.facts) {
    if (fact.name == name) return &fact;
  }
  return nullptr;
}

std::string_view CallField(const Call& call, std::string_view name) {
  if (name == "tool") return call.tool;
  if (name == "effect") return call.effect;
  if (name == "id") return call.id;
  if (name == "run") return call.run;
  if (name == "compensates") return call.compensates;
  if (name == "caller") return call.caller;
  return call.agent;
}

}  // namespace

core::StatusOr<ContextPath> ParsePath(std::string_view text) {
  if (text.empty() || text.size() > kPathBytesMax) {
    return core::InvalidArgument("a path such as `args.amount` has 1 to 256 bytes");
  }
  std::vector<std::string> names = SplitAtDots(text);
  const std::string shown = "`" + std::string(text) + "`";
  for (const std::string& name : names) {
    if (name.empty()) return core::InvalidArgument(shown + " has an empty name between its dots");
  }
  const auto found = Roots().find(names[0]);
  if (found == Roots().end()) {
    const std::vector<std::string> roots = RootNames();
    return core::InvalidArgument(shown +
                                 " does not start with args, facts, session, call, "
                                 "principal, flow, user, tenant, now, message, result or answer" +
                                 DidYouMean(names[0], roots));
  }
  const RootRule& rule = found->second;
  names.erase(names.begin());
  const bool fits = rule.follows == RootRule::kAnything ||
                    (rule.follows == RootRule::kSomething) == !names.empty();
  if (!fits) {
    return core::InvalidArgument(
        names.empty() ? shown + " needs a field behind it, such as `" + found->first + "." +
                            (rule.members.empty() ? "name" : rule.members[0]) + "`"
                      : "`" + found->first + "` has no fields");
  }
  if (!rule.members.empty()) {
    const auto& known = rule.members;
    if (names.size() > 1 || std::find(known.begin(), known.end(), names[0]) == known.end()) {
      return core::InvalidArgument("`" + found->first + "` has no field `" + names[0] + "`" +
                                   DidYouMean(names[0], known));
    }
  }
  ContextPath path{.text = std::string(text), .root = rule.root, .names = std::move(names)};
  for (const RulePhase phase : {RulePhase::kMessage, RulePhase::kResult, RulePhase::kAnswer}) {
    if (rule.root == Root::kContent && RulePhaseName(phase) == found->first) path.phase = phase;
  }
  return path;
}

Operand OperandOf(const core::Json& value) {
  Operand out;
  out.json = &value;
  switch (value.type()) {
    case core::Json::value_t::null:
    case core::Json::value_t::discarded:
    case core::Json::value_t::binary:
      out.kind = Operand::Kind::kAbsent;
      break;
    case core::Json::value_t::boolean:
      out.kind = Operand::Kind::kBoolean;
      out.boolean = value.get<bool>();
      break;
    case core::Json::value_t::number_integer:
    case core::Json::value_t::number_unsigned:
      out.kind = Operand::Kind::kInteger;
      out.integer = value.get<std::int64_t>();
      break;
    case core::Json::value_t::number_float:
      out.kind = Operand::Kind::kNumber;
      out.number = value.get<double>();
      break;
    case core::Json::value_t::string:
      out.kind = Operand::Kind::kText;
      out.text = value.get_ref<const std::string&>();
      break;
    case core::Json::value_t::array:
      out.kind = Operand::Kind::kList;
      break;
    case core::Json::value_t::object:
      out.kind = Operand::Kind::kObject;
      break;
  }
  return out;
}

core::Json JsonOf(const Operand& value) {
  if (value.json != nullptr) return *value.json;
  switch (value.kind) {
    case Operand::Kind::kText:
      return std::string(value.text);
    case Operand::Kind::kInteger:
      return value.integer;
    case Operand::Kind::kNumber:
      return value.number;
    case Operand::Kind::kBoolean:
      return value.boolean;
    default:
      return nullptr;
  }
}

std::string_view KindName(Operand::Kind kind) {
  switch (kind) {
    case Operand::Kind::kAbsent:
      return "absent";
    case Operand::Kind::kText:
      return "a text";
    case Operand::Kind::kInteger:
    case Operand::Kind::kNumber:
      return "a number";
    case Operand::Kind::kBoolean:
      return "a boolean";
    case Operand::Kind::kList:
      return "a list";
    case Operand::Kind::kObject:
      return "an object";
  }
  return "absent";
}

std::string ShowOperand(const Operand& value) {
  if (value.kind == Operand::Kind::kAbsent) return "absent";
  std::string text = core::CanonicalJson(JsonOf(value));
  if (text.size() > kShownBytesMax) text = text.substr(0, kShownBytesMax - 3) + "...";
  return text;
}

core::StatusOr<int> PathTable::Intern(std::string_view text) {
  const auto found = numbers_.find(std::string(text));
  if (found != numbers_.end()) return found->second;
  INTERLOCK_ASSIGN_OR_RETURN(ContextPath path, ParsePath(text));
  if (paths_.size() >= kPathsMax) return core::ResourceExhausted("more than 20000 paths");
  const int number = static_cast<int>(paths_.size());
  paths_.push_back(std::move(path));
  numbers_.emplace(text, number);
  return number;
}

void PathValues::Begin(const DecisionInput& input) {
  input_ = &input;
  ++round_;
  if (slots_.size() < table_.size()) slots_.resize(table_.size());
  roles_ = nullptr;
}

const Operand& PathValues::Get(int path) {
  Slot& slot = slots_[static_cast<std::size_t>(path)];
  if (slot.round != round_) {
    slot.value = Resolve(table_.at(path));
    slot.round = round_;
  }
  return slot.value;
}

Operand PathValues::Resolve(const ContextPath& path) {
  const auto json = [&](const core::Json* value, std::size_t from) {
    const core::Json* found = Follow(value, path.names, from);
    return found == nullptr ? Operand{} : OperandOf(*found);
  };
  switch (path.root) {
    case Root::kArgs:
      return json(input_->args, 0);
    case Root::kSession:
      return json(input_->session, 0);
    case Root::kFacts: {
      const Fact* fact = FindFact(*input_, path.names[0]);
      return fact == nullptr || !fact->present ? Operand{} : json(&fact->value, 1);
    }
    case Root::kUser:
      return TextOperand(input_->user);
    case Root::kTenant:
      return TextOperand(input_->tenant);
    case Root::kNow:
      return IntegerOperand(input_->now_us);
    case Root::kCall:
      if (path.names[0] == "step") return IntegerOperand(input_->call.step);
      if (path.names[0] == "depth") return IntegerOperand(input_->call.depth);
      return TextOperand(CallField(input_->call, path.names[0]));
    case Root::kPrincipal:
      if (path.names[0] == "id") return TextOperand(input_->principal);
      roles_ = core::Json::array();
      if (input_->principal_roles != nullptr) roles_ = *input_->principal_roles;
      return OperandOf(roles_);
    case Root::kContent:
      return path.phase == input_->phase ? json(input_->content, 0) : Operand{};
    case Root::kFlow: {
      Operand untrusted;
      untrusted.kind = Operand::Kind::kBoolean;
      untrusted.boolean = input_->flow_untrusted;
      return untrusted;
    }
  }
  return {};
}

bool PathValues::Declared(int number) const {
  const ContextPath& path = table_.at(number);
  if (path.root == Root::kContent) return path.phase == input_->phase;
  return path.root != Root::kFacts || FindFact(*input_, path.names[0]) != nullptr;
}

std::string PathValues::WhyAbsent(int number) const {
  const ContextPath& path = table_.at(number);
  if (path.root == Root::kFacts) {
    const Fact* fact = FindFact(*input_, path.names[0]);
    if (fact == nullptr) {
      return "no fact `" + path.names[0] + "` was declared for this tool; write fact \"" +
             path.names[0] + "\" { tool = …, args = … }";
    }
    if (!fact->present) {
      return "fact `" + path.names[0] + "` is absent: its look-up answered " +
             (fact->error_code.empty() ? "nothing" : fact->error_code);
    }
  }
  if (path.root == Root::kContent && path.phase != input_->phase) {
    return "there is no " + std::string(RulePhaseName(path.phase)) + " in a rule about " +
           std::string(RulePhaseName(input_->phase)) + "s";
  }
  return "`" + path.text + "` is absent; write optional(…) where it may be, or present()";
}

}  // namespace interlock::policies
