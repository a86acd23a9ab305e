#include "policies/recorded.h"

#include <algorithm>
#include <utility>

#include "case_space.h"
#include "stated_case.h"

namespace interlock::policies {
namespace {

std::int64_t IntMember(const core::Json& line, const char* name) {
  const core::Json value = MemberOf(line, name);
  return value.is_number_integer() ? value.get<std::int64_t>() : 0;
}

bool FlagMember(const core::Json& line, const char* name) {
  const core::Json value = MemberOf(line, name);
  return value.is_boolean() && value.get<bool>();
}

bool AnyUndeclared(const core::Json& facts, const std::vector<FactDecl>& declared) {
  return std::any_of(facts.items().begin(), facts.items().end(), [&](const auto& fact) {
    return std::none_of(declared.begin(), declared.end(),
                        [&](const FactDecl& decl) { return decl.name == fact.key(); });
  });
}

core::Json DeclaredOnly(const core::Json& facts, const std::vector<FactDecl>& declared) {
  core::Json kept = core::Json::object();
  for (const FactDecl& decl : declared) {
    if (facts.contains(decl.name)) kept[decl.name] = facts[decl.name];
  }
  return kept;
}

class StatedCallImpl final : public StatedCall {
 public:
  StatedCallImpl(const Bundle& bundle, const core::Json& stated) : case_(bundle, stated, "") {
    if (!case_.problem().empty()) return;
    for (const Fact& fact : *case_.input().facts) {
      if (fact.error_code == kNotStated) missing_.push_back(fact.name);
    }
  }
  const StatedCase& stated() const { return case_; }
  const DecisionInput& input() const override { return case_.input(); }
  const std::vector<std::string>& missing_facts() const override { return missing_; }

 private:
  StatedCase case_;
  std::vector<std::string> missing_;
};

// Takes `input` out of the line: it is most of it.
core::StatusOr<RecordedDecision> TakeRecorded(core::Json line) {
  if (!line.is_object()) return core::InvalidArgument("a recorded decision is a JSON object");
  RecordedDecision out;
  out.call = TextMemberOf(line, "call", "");
  out.run = TextMemberOf(line, "run", "");
  out.time_us = IntMember(line, "time_us");
  out.effect = TextMemberOf(line, "effect", "");
  out.verdict = TextMemberOf(line, "verdict", "");
  out.code = TextMemberOf(line, "code", "");
  out.gate = TextMemberOf(line, "gate", "");
  out.bundle = TextMemberOf(line, "bundle", "");
  out.digest = TextMemberOf(line, "digest", "");
  out.granted = FlagMember(line, "granted");
  out.rejected = FlagMember(line, "rejected");
  out.currency = TextMemberOf(line, "currency", "");
  out.amount = IntMember(line, "amount");
  out.undecidable = TextMemberOf(line, "undecidable", "");
  for (const core::Json& rule : MemberOf(line, "asked_by")) {
    if (rule.is_string()) out.asked_by.push_back(rule.get<std::string>());
  }
  const auto input = line.find("input");
  if (input != line.end()) out.input = std::move(*input);
  const std::string stated = out.input.is_object() ? TextMemberOf(out.input, "tool", "") : "";
  out.tool = TextMemberOf(line, "tool", stated);
  if (out.call.empty()) return core::InvalidArgument("it names no `call`");
  if (out.verdict.empty()) return core::InvalidArgument("it has no `verdict`");
  if (out.tool.empty()) return core::InvalidArgument("it names no `tool`");
  if (!out.input.is_object() && out.undecidable.empty()) {
    return core::InvalidArgument("it has no `input`");
  }
  return out;
}

}  // namespace

core::StatusOr<RecordedDecision> RecordedFromJson(const core::Json& line) {
  return TakeRecorded(line);
}

core::Json RecordedJson(const RecordedDecision& recorded) {
  core::Json line = {{"call", recorded.call},
                     {"time_us", recorded.time_us},
                     {"tool", recorded.tool},
                     {"verdict", recorded.verdict},
                     {"code", recorded.code}};
  if (!recorded.run.empty()) line["run"] = recorded.run;
  for (const auto& [name, text] : {std::pair("effect", &recorded.effect),
                                   {"gate", &recorded.gate},
                                   {"bundle", &recorded.bundle},
                                   {"digest", &recorded.digest}}) {
    if (!text->empty()) line[name] = *text;
  }
  if (!recorded.asked_by.empty()) line["asked_by"] = recorded.asked_by;
  if (recorded.granted) line["granted"] = true;
  if (recorded.rejected) line["rejected"] = true;
  if (!recorded.currency.empty()) {
    line["currency"] = recorded.currency;
    line["amount"] = recorded.amount;
  }
  if (!recorded.undecidable.empty()) line["undecidable"] = recorded.undecidable;
  if (recorded.input.is_object()) line["input"] = recorded.input;
  return line;
}

core::StatusOr<std::vector<RecordedDecision>> ReadRecorded(std::istream& in) {
  std::vector<RecordedDecision> out;
  std::string text;
  for (std::size_t number = 1; std::getline(in, text); ++number) {
    if (text.find_first_not_of(" \t\r") == std::string::npos) continue;
    if (out.size() >= kRecordedMax) {
      return core::ResourceExhausted("more than " + std::to_string(kRecordedMax) +
                                     " recorded decisions; cut the file");
    }
    const auto json = core::ParseJson(text, core::kPayloadLimits);
    auto one = json.ok() ? TakeRecorded(*std::move(json))
                         : core::StatusOr<RecordedDecision>(json.status());
    if (!one.ok()) {
      return core::InvalidArgument("line " + std::to_string(number) + ": " +
                                   std::string(core::Message(one.status())));
    }
    out.push_back(*std::move(one));
  }
  return out;
}

std::string WhyUndecidable(const Bundle& bundle, const RecordedDecision& recorded) {
  if (!recorded.undecidable.empty()) return recorded.undecidable;
  if (!recorded.input.is_object()) return "it has no `input`";
  const auto& tools = bundle.tools();
  const bool known = std::any_of(tools.begin(), tools.end(),
                                 [&](const KnownTool& tool) { return tool.name == recorded.tool; });
  if (known || MemberOf(recorded.input, "effect").is_string()) return "";
  return "no manifest of `" + recorded.tool + "`: give --tools";
}

core::StatusOr<std::unique_ptr<StatedCall>> StatedCall::Make(const Bundle& bundle,
                                                             const core::Json& stated) {
  const std::vector<FactDecl> declared = bundle.FactsFor(TextMemberOf(stated, "tool", ""));
  const auto facts = stated.find("facts");
  const bool stranger =
      facts != stated.end() && facts->is_object() && AnyUndeclared(*facts, declared);
  core::Json known;
  if (stranger) {
    known = stated;
    known["facts"] = DeclaredOnly(*facts, declared);
  }
  auto call = std::make_unique<StatedCallImpl>(bundle, stranger ? known : stated);
  if (!call->stated().problem().empty()) return core::InvalidArgument(call->stated().problem());
  return std::unique_ptr<StatedCall>(std::move(call));
}

core::StatusOr<DecidedCall> DecideInRounds(
    const Bundle& bundle, const core::Json& stated,
    const std::function<Decision(const DecisionInput&)>& decide) {
  DecidedCall out;
  INTERLOCK_ASSIGN_OR_RETURN(out.call, StatedCall::Make(bundle, stated));
  out.decision = decide(out.call->input());
  core::Json changed;
  for (; out.decision.verdict == Verdict::kModify; ++out.rounds) {
    if (out.rounds >= kModifyRoundsMax) {
      out.decision.verdict = Verdict::kDeny;
      out.decision.code = "MODIFY_LOOP";
      out.decision.say = "The policy changes this call again and again.";
      return out;
    }
    if (changed.is_null()) changed = stated;
    changed["args"] = out.decision.modified_args.value_or(core::Json());
    INTERLOCK_ASSIGN_OR_RETURN(out.call, StatedCall::Make(bundle, changed));
    out.decision = decide(out.call->input());
  }
  return out;
}

bool SetStatedPath(core::Json& stated, const std::string& path, const core::Json& value) {
  return SetStated(stated, path, value);
}

}  // namespace interlock::policies
