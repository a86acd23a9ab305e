#include "stated_case.h"

#include <algorithm>
#include <set>

#include "core/money.h"
#include "lua_json.h"
#include "lua_time.h"
#include "policies/model_budget.h"
#include "policies/recorded.h"

namespace interlock::policies {
namespace {

constexpr std::int64_t kDefaultNowUs = 1'767'225'600'000'000;  // 2026-01-01T00:00:00Z

// Balances and counters as the case states them; what it does not state is unused.
class StatedReader final : public StateReader {
 public:
  core::Json used = core::Json::object();
  core::Json counts = core::Json::object();
  core::Json sums = core::Json::object();

  VersionedRead BudgetUsed(const BudgetDecl& budget, std::string_view scope) const override {
    return {.key = "budget/" + budget.name + "/" + std::string(scope),
            .version = used.contains(budget.name) ? kStatedVersion : 0,
            .value = Value(used, budget.name, std::string(scope), MicrosAMinor(budget.unit))};
  }
  VersionedRead Count(std::string_view key, std::int64_t per_ms, std::int64_t) const override {
    return {.key = "counter/" + std::string(key),
            .version = counts.contains(std::string(key)) ? kStatedVersion : 0,
            .value = Value(counts, std::string(key), std::to_string(per_ms), 1)};
  }
  VersionedRead Sum(std::string_view key, std::int64_t per_ms, std::int64_t) const override {
    return {.key = "counter/" + std::string(key),
            .version = sums.contains(std::string(key)) ? kStatedVersion : 0,
            .value = Value(sums, std::string(key), std::to_string(per_ms), 1)};
  }

 private:
  // Of a currency that is kept in millionths; 1 of all else.
  static std::int64_t MicrosAMinor(std::string_view unit) {
    if (!unit.starts_with(kMicroUnit)) return 1;
    const auto digits = core::MinorDigits(unit.substr(kMicroUnit.size()));
    std::int64_t micros = 1'000'000;
    for (int i = 0; digits.ok() && i < *digits; ++i) micros /= 10;
    return micros;
  }
  // A number for every share and period, or an object of numbers by `part`; money is told apart.
  static std::int64_t Value(const core::Json& stated, const std::string& name,
                            const std::string& part, std::int64_t a_minor) {
    const core::Json* value = Find(stated, name);
    const bool by_part = value != nullptr && value->is_object() && !value->contains(kToldMinor);
    if (by_part) value = Find(*value, part);
    if (value != nullptr && value->is_object()) {
      const std::int64_t minor = value->value(kToldMinor, std::int64_t{0});
      std::int64_t all = 0;
      return __builtin_mul_overflow(minor, a_minor, &all) ? INT64_MAX : all;
    }
    return value == nullptr || !value->is_number_integer() ? 0 : value->get<std::int64_t>();
  }
  static const core::Json* Find(const core::Json& object, const std::string& name) {
    const auto found = object.find(name);
    return found == object.end() ? nullptr : &*found;
  }
};

// An empty Lua table is a list to JSON; here it was meant as an object.
core::Json ObjectMember(const core::Json& object, const char* name) {
  core::Json value = MemberOf(object, name);
  return value.is_object() ? value : core::Json::object();
}

}  // namespace

core::Json MemberOf(const core::Json& object, const char* name) {
  const auto found = object.find(name);
  return found == object.end() ? core::Json(nullptr) : *found;
}

std::string TextMemberOf(const core::Json& object, const char* name, std::string_view otherwise) {
  const core::Json value = MemberOf(object, name);
  return value.is_string() ? value.get<std::string>() : std::string(otherwise);
}

struct StatedCase::Parts {
  std::string problem;
  std::string tool, effect, user, principal, agent, args_text, call, compensates, caller, run,
      tenant;
  std::int64_t step = 1;
  std::int64_t depth = 0;
  core::Json args, session;
  std::vector<std::string> roles;
  std::vector<Fact> facts;
  core::Json content;
  LabelMap labels;
  StatedReader state;
  DecisionInput input;

  void Read(const Bundle& bundle, const core::Json& stated, const std::string& tool_otherwise) {
    tool = TextMemberOf(stated, "tool", tool_otherwise);
    effect = TextMemberOf(stated, "effect", EffectOf(bundle));
    args = ObjectMember(stated, "args");
    session = ObjectMember(stated, "session");
    state.used = ObjectMember(stated, "used");
    state.counts = ObjectMember(stated, "counts");
    state.sums = ObjectMember(stated, "sums");
    user = TextMemberOf(stated, "user", "");
    principal = TextMemberOf(stated, "principal", "tester");
    agent = TextMemberOf(stated, "agent", "tester");
    call = TextMemberOf(stated, "call", "00000000-0000-7000-8000-000000000001");
    compensates = TextMemberOf(stated, "compensates", "");
    caller = TextMemberOf(stated, "caller", "");
    const core::Json at_depth = MemberOf(stated, "depth");
    depth = at_depth.is_number_integer() ? at_depth.get<std::int64_t>() : caller.empty() ? 0 : 1;
    run = TextMemberOf(stated, "run", "00000000-0000-7000-8000-000000000002");
    tenant = TextMemberOf(stated, "tenant", "main");
    const core::Json at_step = MemberOf(stated, "step");
    if (at_step.is_number_integer()) step = at_step.get<std::int64_t>();
    const core::Json untrusted = MemberOf(stated, "untrusted");
    input.flow_untrusted = untrusted.is_boolean() && untrusted.get<bool>();
    ReadRoles(MemberOf(stated, "roles"));
    ReadContent(stated);
    ReadLabels(ObjectMember(stated, "labels"));
    ReadNow(MemberOf(stated, "now"));
    ReadFacts(bundle, ObjectMember(stated, "facts"));
    Point();
  }

  std::string EffectOf(const Bundle& bundle) const {
    for (const KnownTool& known : bundle.tools()) {
      if (known.name == tool) return known.effect;
    }
    return "write";
  }

  // A case with a message, a result or an answer is about that.
  void ReadContent(const core::Json& stated) {
    for (const RulePhase phase : {RulePhase::kMessage, RulePhase::kResult, RulePhase::kAnswer}) {
      const core::Json value = MemberOf(stated, std::string(RulePhaseName(phase)).c_str());
      if (value.is_null()) continue;
      if (input.phase != RulePhase::kCall) problem = "message, result or answer, not two of them";
      input.phase = phase;
      const bool text = phase != RulePhase::kResult && value.is_string();
      content = text ? core::Json{{"text", value}} : value;
    }
    if (input.phase != RulePhase::kCall) input.content = &content;
  }

  static std::vector<std::string> SortedTexts(const core::Json& value) {
    std::vector<std::string> texts;
    for (const core::Json& text : value) {
      if (text.is_string()) texts.push_back(text.get<std::string>());
    }
    std::sort(texts.begin(), texts.end());
    return texts;
  }

  void ReadLabels(const core::Json& stated) {
    for (const auto& [path, one] : stated.items()) {
      const bool fine = one.is_object() &&
                        std::all_of(one.items().begin(), one.items().end(), [](const auto& item) {
                          return item.key() == "trusted" || item.key() == "from" ||
                                 item.key() == "tags" || item.key() == "readers";
                        });
      if (!fine) {
        problem = "a label is { trusted = …, from = { … }, tags = { … }, readers = { … } }";
        return;
      }
      labels.Set(path, {.trusted = one.value("trusted", false),
                        .sources = SortedTexts(MemberOf(one, "from")),
                        .tags = SortedTexts(MemberOf(one, "tags")),
                        .readers = SortedTexts(MemberOf(one, "readers"))});
    }
    if (!stated.empty()) input.labels = &labels;
  }

  void ReadRoles(const core::Json& stated) {
    if (!stated.is_array()) return;
    for (const core::Json& role : stated) {
      if (!role.is_string()) {
        problem = "roles wants a list of texts";
        return;
      }
      roles.push_back(role.get<std::string>());
    }
  }

  void ReadNow(const core::Json& stated) {
    input.now_us = kDefaultNowUs;
    if (stated.is_number_integer()) input.now_us = stated.get<std::int64_t>();  // of a record
    if (!stated.is_string()) return;
    const auto time = ParseTime(stated.get_ref<const std::string&>());
    if (!time) problem = "now is no time; write 2026-05-01T10:00:00Z";
    input.now_us = time.value_or(kDefaultNowUs);
  }

  // Every declared fact is there: as stated, or absent.
  void ReadFacts(const Bundle& bundle, const core::Json& stated) {
    std::set<std::string> declared;
    for (const FactDecl& decl : bundle.FactsFor(tool)) {
      declared.insert(decl.name);
      Fact fact{.name = decl.name,
                .present = false,
                .value = nullptr,
                .error_code = std::string(kNotStated)};
      const auto found = stated.find(decl.name);
      if (found != stated.end() && found->is_object() && found->contains("$failed")) {
        fact.error_code = TextMemberOf(*found, "$failed", "");
      } else if (found != stated.end()) {
        fact.present = true;
        fact.value = *found;
        fact.error_code.clear();
      }
      facts.push_back(std::move(fact));
    }
    for (const auto& item : stated.items()) {
      if (!declared.contains(item.key())) {
        problem = "no fact `" + item.key() + "` is declared for `" + tool + "`";
      }
    }
  }

  void Point() {
    args_text = core::CanonicalJson(args);
    input.call = {.id = call,
                  .run = run,
                  .tool = tool,
                  .effect = effect,
                  .agent = agent,
                  .step = step,
                  .compensates = compensates,
                  .caller = caller,
                  .depth = depth};
    input.tenant = tenant;
    input.principal = principal;
    input.principal_roles = &roles;
    input.user = user;
    input.args = &args;
    input.args_text = args_text;
    input.session = &session;
    input.facts = &facts;
    input.state = &state;
  }
};

StatedCase::StatedCase(const Bundle& bundle, const core::Json& stated,
                       const std::string& tool_otherwise)
    : parts_(std::make_unique<Parts>()) {
  parts_->Read(bundle, stated, tool_otherwise);
}

StatedCase::~StatedCase() = default;

const std::string& StatedCase::problem() const { return parts_->problem; }
const DecisionInput& StatedCase::input() const { return parts_->input; }

}  // namespace interlock::policies
