#include "policies/decision.h"

#include <algorithm>

#include "policies/labels.h"

namespace interlock::policies {
namespace {

using core::JsonObjectWriter;

void AppendOrNull(const core::Json* value, std::string& out, std::string_view otherwise) {
  if (value == nullptr) {
    out += otherwise;
  } else {
    core::AppendCanonicalJson(*value, out);
  }
}

void AppendStrings(const std::vector<std::string>& texts, std::string& out) {
  out += '[';
  for (const std::string& text : texts) {
    if (&text != &texts.front()) out += ',';
    core::AppendJsonString(text, out);
  }
  out += ']';
}

// `append(item, out)` for each, as an array.
template <typename T, typename F>
void AppendArray(const std::vector<T>& items, std::string& out, F append) {
  out += '[';
  for (const T& item : items) {
    if (&item != &items.front()) out += ',';
    append(item, out);
  }
  out += ']';
}

void AppendFacts(const std::vector<Fact>& facts, std::string& out) {
  std::vector<const Fact*> sorted;
  sorted.reserve(facts.size());
  for (const Fact& fact : facts) sorted.push_back(&fact);
  std::sort(sorted.begin(), sorted.end(),
            [](const Fact* a, const Fact* b) { return a->name < b->name; });
  AppendArray(sorted, out, [](const Fact* fact, std::string& text) {
    JsonObjectWriter writer(text);
    writer.String("error", fact->error_code);
    writer.String("name", fact->name);
    writer.Bool("present", fact->present);
    if (fact->present) {
      std::string value;
      core::AppendCanonicalJson(fact->value, value);
      writer.Raw("value", value);
    }
    writer.Close();
  });
}

void AppendRule(const FiredRule& rule, std::string& out) {
  JsonObjectWriter writer(out);
  if (!rule.because.empty()) writer.String("because", rule.because);
  if (!rule.code.empty()) writer.String("code", rule.code);
  if (!rule.exception.empty()) writer.String("exception", rule.exception);
  writer.String("id", rule.id);
  writer.Int("line", rule.line);
  if (!rule.say.empty()) writer.String("say", rule.say);
  writer.String("verdict", rule.verdict);
  writer.Close();
}

std::string LaterText(const std::vector<ApprovalStage>& stages) {
  std::string text = "[";
  for (const ApprovalStage& stage : stages) {
    if (text.size() > 1) text += ',';
    std::string approvers;
    AppendStrings(stage.approvers, approvers);
    JsonObjectWriter writer(text);
    writer.Raw("approvers", approvers);
    writer.Int("quorum", stage.quorum);
    writer.Close();
  }
  return text + "]";
}

void AppendDemand(const ApprovalDemand& demand, std::string& out) {
  std::string approvers;
  AppendStrings(demand.approvers, approvers);
  JsonObjectWriter writer(out);
  writer.Raw("approvers", approvers);
  if (demand.escalate_after_ms > 0) {
    std::string to;
    AppendStrings(demand.escalate_to, to);
    writer.Int("escalate_after_ms", demand.escalate_after_ms);
    writer.Raw("escalate_to", to);
  }
  writer.Int("expires_ms", demand.expires_ms);
  if (!demand.later.empty()) writer.Raw("later", LaterText(demand.later));
  writer.Int("quorum", demand.quorum);
  if (demand.remind_ms > 0) writer.Int("remind_ms", demand.remind_ms);
  writer.String("rule", demand.rule);
  if (!demand.say.empty()) writer.String("say", demand.say);
  writer.Raw("show", core::CanonicalJson(demand.show));
  writer.Close();
}

void AppendReservation(const Reservation& reservation, std::string& out) {
  JsonObjectWriter writer(out);
  writer.String("amount", std::to_string(reservation.amount));
  writer.String("budget", reservation.budget.name);
  writer.String("limit", std::to_string(reservation.budget.limit));
  writer.String("rule", reservation.rule);
  writer.String("scope", reservation.scope);
  writer.String("unit", reservation.budget.unit);
  writer.Int("window_ms", reservation.budget.window_ms);
  writer.Int("window_start_us", reservation.window_start_us);
  writer.Close();
}

void AppendLimit(const LimitUse& limit, std::string& out) {
  JsonObjectWriter writer(out);
  writer.String("key", limit.key);
  writer.Int("max", limit.max);
  writer.Int("per_ms", limit.per_ms);
  writer.String("rule", limit.rule);
  writer.Close();
}

void AppendTally(const Tally& tally, std::string& out) {
  JsonObjectWriter writer(out);
  if (tally.summed) writer.String("amount", std::to_string(tally.amount));
  writer.String("key", tally.key);
  writer.String("velocity", tally.velocity);
  writer.Int("within_ms", tally.within_ms);
  writer.Close();
}

void AppendLabel(const LabelChange& label, std::string& out) {
  std::string tags;
  AppendStrings(label.tags, tags);
  JsonObjectWriter writer(out);
  writer.String("path", label.path);
  writer.String("rule", label.rule);
  writer.Raw("tags", tags);
  writer.Bool("untrusted", label.untrusted);
  writer.Close();
}

void AppendRead(const VersionedRead& read, std::string& out) {
  JsonObjectWriter writer(out);
  if (!read.scope.empty()) writer.String("budget", read.asked);
  if (read.per_ms > 0 && !read.summed) writer.String("counter", read.asked);
  writer.String("key", read.key);
  if (read.per_ms > 0) writer.Int("per_ms", read.per_ms);
  if (!read.scope.empty()) writer.String("scope", read.scope);
  if (read.summed) writer.String("sum", read.asked);
  writer.String("value", std::to_string(read.value));
  writer.String("version", std::to_string(read.version));
  writer.Close();
}

}  // namespace

std::string_view VerdictName(Verdict verdict) {
  switch (verdict) {
    case Verdict::kAllow:
      return "allow";
    case Verdict::kDeny:
      return "deny";
    case Verdict::kAsk:
      return "ask";
    case Verdict::kModify:
      return "modify";
  }
  return "deny";
}

std::string_view RulePhaseName(RulePhase phase) {
  switch (phase) {
    case RulePhase::kCall:
      return "call";
    case RulePhase::kMessage:
      return "message";
    case RulePhase::kResult:
      return "result";
    case RulePhase::kAnswer:
      return "answer";
  }
  return "call";
}

// Names of ASCII stand in the map as RFC 8785 orders them.
std::string CanonicalLabels(const LabelMap& labels) {
  const auto is_ascii = [](const auto& entry) {
    return std::none_of(entry.first.begin(), entry.first.end(), [](char c) { return c & 0x80; });
  };
  if (!std::all_of(labels.all().begin(), labels.all().end(), is_ascii)) {
    return core::CanonicalJson(LabelsJson(labels));
  }
  std::string out = "{";
  for (const auto& [path, label] : labels.all()) {
    if (out.size() > 1) out += ',';
    core::AppendJsonString(path, out);
    out += R"(:{"readers":)";
    AppendStrings(label.readers, out);
    out += R"(,"sources":)";
    AppendStrings(label.sources, out);
    out += R"(,"tags":)";
    AppendStrings(label.tags, out);
    out += label.trusted ? R"(,"trusted":true})" : R"(,"trusted":false})";
  }
  return out + "}";
}

std::string CanonicalInput(const DecisionInput& input) {
  static const std::vector<Fact> kNoFacts;
  static const std::vector<std::string> kNoRoles;
  std::string out;
  out.reserve(512 + input.args_text.size());
  std::string part;
  JsonObjectWriter writer(out);
  const auto raw = [&](std::string_view key, auto append) {
    part.clear();
    append(part);
    writer.Raw(key, part);
  };
  writer.String("agent", input.call.agent);
  if (input.args_text.empty()) {
    raw("args", [&](std::string& text) { AppendOrNull(input.args, text, "null"); });
  } else {
    writer.Raw("args", input.args_text);
  }
  writer.String("call", input.call.id);
  if (!input.call.caller.empty()) writer.String("caller", input.call.caller);
  if (!input.call.compensates.empty()) writer.String("compensates", input.call.compensates);
  if (input.content != nullptr) writer.Raw("content", core::CanonicalJson(*input.content));
  if (input.call.depth > 0) writer.Int("depth", input.call.depth);
  writer.String("effect", input.call.effect);
  raw("facts", [&](std::string& text) {
    AppendFacts(input.facts == nullptr ? kNoFacts : *input.facts, text);
  });
  if (input.labels != nullptr) writer.Raw("labels", CanonicalLabels(*input.labels));
  writer.Int("now_us", input.now_us);
  writer.String("phase", RulePhaseName(input.phase));
  writer.String("principal", input.principal);
  raw("roles", [&](std::string& text) {
    AppendStrings(input.principal_roles == nullptr ? kNoRoles : *input.principal_roles, text);
  });
  writer.String("run", input.call.run);
  raw("session", [&](std::string& text) { AppendOrNull(input.session, text, "{}"); });
  writer.Int("step", input.call.step);
  writer.String("tenant", input.tenant);
  writer.String("tool", input.call.tool);
  writer.Bool("untrusted", input.flow_untrusted);
  writer.String("user", input.user);
  writer.Close();
  return out;
}

core::Digest InputDigest(const DecisionInput& input) { return core::Sha256(CanonicalInput(input)); }

std::string CanonicalDecision(const Decision& decision) {
  std::string out;
  out.reserve(1024);
  std::string part;
  JsonObjectWriter writer(out);
  const auto array = [&](std::string_view key, const auto& items, auto append) {
    part.clear();
    AppendArray(items, part, append);
    writer.Raw(key, part);
  };
  writer.String("bundle", core::DigestName(decision.bundle_id));
  writer.String("code", decision.code);
  array("demands", decision.demands, AppendDemand);
  if (!decision.fix.is_null()) writer.Raw("fix", core::CanonicalJson(decision.fix));
  writer.String("input", core::DigestName(decision.input_digest));
  if (!decision.labels.empty()) array("labels", decision.labels, AppendLabel);
  array("limits", decision.limits, AppendLimit);
  if (decision.modified_args) {
    writer.Raw("modified_args", core::CanonicalJson(*decision.modified_args));
  }
  if (decision.modified_content) {
    writer.Raw("modified_content", core::CanonicalJson(*decision.modified_content));
  }
  array("reads", decision.reads, AppendRead);
  array("reservations", decision.reservations, AppendReservation);
  array("rules", decision.rules, AppendRule);
  writer.String("say", decision.say);
  if (!decision.shadow.empty()) {
    array("shadow", decision.shadow, AppendRule);
    writer.String("shadow_verdict", VerdictName(decision.shadow_verdict));
  }
  if (!decision.tallies.empty()) array("tallies", decision.tallies, AppendTally);
  writer.String("verdict", VerdictName(decision.verdict));
  writer.Close();
  return out;
}

}  // namespace interlock::policies
