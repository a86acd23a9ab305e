#include "engine/entries.h"

#include <algorithm>

#include "audit/commitment.h"
#include "audit/fields.h"
#include "config/utf8.h"
#include "core/digest.h"
#include "engine/lineage.h"
#include "engine/provenance.h"
#include "policies/labels.h"

namespace interlock::runtime {
namespace {

constexpr std::size_t kBodyReserved = 1024;  // bytes: most bodies fit without growing

void Cite(Draft& draft, std::string digest_name) {
  if (digest_name.empty()) return;
  draft.cites.push_back(std::move(digest_name));
  std::sort(draft.cites.begin(), draft.cites.end());
}

// [{"code":…,"id":…,"line":…,"verdict":…}]: names of rules, never their words (rule 20).
std::string RulesJson(const std::vector<policies::FiredRule>& rules) {
  // The whole list stands in the sealed decision; the entry names the first ones.
  constexpr std::size_t kNamedMax = 100;
  std::string text = "[";
  text.reserve(96 * std::min(rules.size(), kNamedMax) + 2);
  for (std::size_t i = 0; i < std::min(rules.size(), kNamedMax); ++i) {
    const policies::FiredRule& rule = rules[i];
    if (text.size() > 1) text += ',';
    core::JsonObjectWriter writer(text);
    if (!rule.code.empty()) writer.String("code", rule.code);
    writer.String("id", rule.id);
    writer.Int("line", rule.line);
    writer.String("verdict", rule.verdict);
    writer.Close();
  }
  return text + "]";
}

std::string ReadsJson(const std::vector<policies::VersionedRead>& reads,
                      const audit::KeyStore& keys) {
  std::string text = "[";
  for (const policies::VersionedRead& read : reads) {
    if (text.size() > 1) text += ',';
    core::JsonObjectWriter writer(text);
    writer.String("key", keys.Hmac("read", read.key));
    writer.String("version", std::to_string(read.version));
    writer.Close();
  }
  return text + "]";
}

}  // namespace

Draft MakeDraft(std::string_view kind, std::string run, std::string actor) {
  Draft draft;
  draft.kind = kind;
  draft.run = std::move(run);
  draft.actor = std::move(actor);
  draft.body.reserve(kBodyReserved);
  return draft;
}

std::string Sealer::Seal(Draft& draft, std::string_view media, std::string_view plaintext) const {
  return Name(draft, keys_->Seal(*key_, media, plaintext), "");
}

namespace {

bool Declares(const tools::Tool* tool, const std::vector<audit::PayloadField>& fields) {
  if (tool == nullptr) return false;
  const core::Json& schema = tool->manifest().input_schema;
  const auto names = schema.find("properties");
  if (names == schema.end() || !names->is_object()) return false;
  return std::all_of(fields.begin(), fields.end(), [&](const audit::PayloadField& field) {
    return names->contains(std::string(field.name));
  });
}

}  // namespace

std::string Sealer::Args(Draft& draft, std::string_view json, const tools::Tool* tool) const {
  std::vector<audit::PayloadField> fields = audit::PlainFields(json);
  if (!Declares(tool, fields)) fields.clear();
  std::vector<core::Digest> commitments;
  commitments.reserve(fields.size());
  audit::SealedPayload payload =
      keys_->SealFields(*key_, "application/json", json, fields, commitments);
  std::string text;
  if (!fields.empty()) {
    text.reserve(fields.size() * 96);
    core::JsonObjectWriter writer(text);
    for (std::size_t i = 0; i < fields.size(); ++i) {
      writer.String(fields[i].name, core::Hex(commitments[i]));
    }
    writer.Close();
  }
  return Name(draft, std::move(payload), text);
}

std::string Sealer::Name(Draft& draft, audit::SealedPayload payload, std::string_view fields) {
  std::string object =
      audit::CommitmentText(payload, static_cast<int>(draft.payloads.size()), fields);
  draft.payloads.push_back(std::move(payload));
  return object;
}

std::string JsonStrings(const std::vector<std::string>& texts) {
  std::string json = "[";
  if (!texts.empty()) json.reserve(texts.size() * (texts.front().size() + 3) + 2);
  for (const std::string& text : texts) {
    if (json.size() > 1) json += ',';
    core::AppendJsonString(text, json);
  }
  return json + "]";
}

Draft DraftProposed(const CallIdentity& id, const Sealer& sealer, const tools::Tool* tool,
                    std::string_view canonical_args) {
  Draft draft = MakeDraft("call.proposed", id.run, id.Actor());
  const std::string args = canonical_args == id.args_text ? sealer.Args(draft, id.args_text, tool)
                                                          : sealer.Text(draft, id.args_text);
  BodyWriter body(draft);
  body.Raw("args", args).String("call", id.call).Optional("compensates", id.compensates);
  if (id.run.empty()) {
    std::string who;
    core::JsonObjectWriter writer(who);
    writer.String("request_id", id.request_id);
    writer.Raw("roles", JsonStrings(id.roles));
    writer.Raw("session", core::CanonicalJson(*id.session));
    writer.String("subject", id.subject);
    writer.String("user", id.user);
    writer.Close();
    body.Raw("context", sealer.JsonText(draft, who));
  }
  // A planner may make up any name, and put anything into it.
  const bool known = tool != nullptr;
  constexpr std::size_t kNameShown = 1024;
  if (!known) body.Raw("name", sealer.Text(draft, id.tool.substr(0, kNameShown)));
  body.Int("position", id.position).String("principal", id.principal);
  body.Optional("request", id.request).Optional("request_digest", id.request_digest);
  body.Int("step", id.step);
  if (id.run.empty()) body.String("subject", sealer.keys().Hmac("subject", id.subject));
  body.String("tool", known ? std::string_view(id.tool) : "unknown");
  if (id.run.empty() && !id.user.empty()) body.String("user", sealer.keys().Hmac("user", id.user));
  body.Close();
  Cite(draft, known ? core::DigestName(tool->digest()) : "");
  return draft;
}

Draft DraftFacts(const CallIdentity& id, const Sealer& sealer,
                 const std::vector<policies::Fact>& facts, int round) {
  Draft draft = MakeDraft("facts.gathered", id.run, "engine");
  std::vector<std::string> names;
  names.reserve(facts.size());
  for (const policies::Fact& fact : facts) names.push_back(fact.name);
  const std::string sealed = sealer.JsonText(draft, core::CanonicalJson(FactsToJson(facts)));
  BodyWriter(draft)
      .String("call", id.call)
      .Raw("facts", sealed)
      .Raw("names", JsonStrings(names))
      .Int("round", round)
      .Close();
  return draft;
}

Draft DraftDecided(const CallIdentity& id, const Sealer& sealer, const DecidedFields& fields) {
  Draft draft = MakeDraft("call.decided", id.run, "engine");
  BodyWriter body(draft);
  if (!fields.args.empty()) body.Raw("args", sealer.Args(draft, fields.args, fields.tool));
  body.String("call", id.call).String("code", fields.code);
  const policies::Decision* decision = fields.decision;
  if (decision != nullptr) {
    body.Raw("decision", sealer.JsonText(draft, policies::CanonicalDecision(*decision)));
  }
  body.String("effect", fields.effect);
  if (fields.labels != nullptr) {
    body.Raw("labels", sealer.JsonText(draft, policies::CanonicalLabels(*fields.labels)));
  }
  if (decision != nullptr) body.Int("now_us", fields.now_us);
  // The digest of the input stands in the sealed decision: unsalted, it would let guesses at
  // content be tried after an erasure.
  if (decision != nullptr) body.Raw("reads", ReadsJson(decision->reads, sealer.keys()));
  body.Int("round", fields.round);
  if (decision != nullptr) body.Raw("rules", RulesJson(decision->rules));
  if (!fields.say.empty()) body.Raw("say", sealer.Text(draft, fields.say));
  if (decision != nullptr && fields.untrusted) body.Bool("untrusted", true);
  if (fields.window_ms > 0) body.Int("window_ms", fields.window_ms);
  body.Close();
  if (decision != nullptr) Cite(draft, core::DigestName(decision->bundle_id));
  return draft;
}

Draft DraftHeld(const CallIdentity& id, const HoldFields& hold) {
  Draft draft = MakeDraft("budget.held", id.run, "engine");
  BodyWriter(draft)
      .String("amount", std::to_string(hold.amount))
      .String("budget", hold.budget)
      .Optional("call", id.call)
      .String("hold", hold.hold)
      .String("limit", std::to_string(hold.limit))
      .String("scope", hold.scope)
      .String("unit", hold.unit)
      .String("window_us", std::to_string(hold.window_us))
      .Close();
  return draft;
}

Draft DraftSettled(const CallIdentity& id, const HoldFields& hold, std::int64_t amount,
                   bool flagged) {
  Draft draft = MakeDraft("budget.settled", id.run, "engine");
  BodyWriter(draft)
      .String("amount", std::to_string(amount))
      .String("budget", hold.budget)
      .Optional("call", id.call)
      .Bool("flagged", flagged)
      .String("hold", hold.hold)
      .String("scope", hold.scope)
      .String("unit", hold.unit)
      .String("window_us", std::to_string(hold.window_us))
      .Close();
  return draft;
}

Draft DraftReleased(const CallIdentity& id, const HoldFields& hold, std::string_view why) {
  Draft draft = MakeDraft("budget.released", id.run, "engine");
  BodyWriter(draft)
      .String("amount", std::to_string(hold.amount))
      .String("budget", hold.budget)
      .Optional("call", id.call)
      .String("hold", hold.hold)
      .String("scope", hold.scope)
      .String("unit", hold.unit)
      .String("why", why)
      .String("window_us", std::to_string(hold.window_us))
      .Close();
  return draft;
}

Draft DraftCredited(const CallIdentity& id, const HoldFields& hold) {
  Draft draft = MakeDraft("budget.credited", id.run, "engine");
  BodyWriter(draft)
      .String("amount", std::to_string(hold.amount))
      .String("budget", hold.budget)
      .String("call", id.call)
      .String("compensates", id.compensates)
      .String("hold", hold.hold)
      .String("scope", hold.scope)
      .String("unit", hold.unit)
      .String("window_us", std::to_string(hold.window_us))
      .Close();
  return draft;
}

Draft DraftCompensated(const CallIdentity& id) {
  Draft draft = MakeDraft("call.compensated", id.run, "engine");
  BodyWriter(draft).String("call", id.call).String("compensates", id.compensates).Close();
  return draft;
}

Draft DraftIntended(const CallIdentity& id, const IntentFields& intent) {
  Draft draft = MakeDraft("call.intended", id.run, "engine");
  BodyWriter body(draft);
  body.Int("attempt", intent.attempt).Bool("builtin", intent.builtin).String("call", id.call);
  if (intent.compensable) body.Bool("compensable", true);
  body.Raw("counters", JsonStrings(intent.counters))
      .String("effect", intent.effect)
      .String("effect_key", intent.effect_key)
      .String("idempotency_key", intent.idempotency_key)
      .Optional("level", intent.level)
      .Optional("level_min", intent.level_min)
      .String("limits", intent.limits)
      .Raw("locks", JsonStrings(intent.locks))
      .Optional("profile", intent.profile)
      .Optional("starts", intent.starts);
  if (intent.starts_tokens > 0) body.Int("starts_tokens", intent.starts_tokens);
  if (!intent.targets.empty()) body.Raw("targets", JsonStrings(intent.targets));
  body.String("tool", id.tool).String("tool_digest", intent.tool_digest);
  if (intent.wall_ms > 0) body.Int("wall_ms", intent.wall_ms);
  body.Close();
  Cite(draft, intent.tool_digest);
  return draft;
}

namespace {

// Each file is a payload of its own; which is which stands in a list, sealed like them, since a
// program chooses the names.
void AddArtifacts(Draft& draft, BodyWriter& body, const Sealer& sealer,
                  const sandbox::Artifacts& artifacts) {
  if (artifacts.taken.empty() && artifacts.skipped.empty()) return;
  std::string files = "[";
  core::Json list = core::Json::array();
  for (const sandbox::Artifact& artifact : artifacts.taken) {
    if (files.size() > 1) files += ',';
    list.push_back({{"bytes", artifact.bytes.size()},
                    {"digest", core::DigestName(artifact.digest)},
                    {"path", AsUtf8(artifact.path)},
                    {"slot", draft.payloads.size()}});
    files += sealer.Seal(draft, "application/octet-stream", artifact.bytes);
  }
  for (const sandbox::SkippedArtifact& skipped : artifacts.skipped) {
    list.push_back({{"path", AsUtf8(skipped.path)}, {"why", skipped.why}});
  }
  body.Raw("artifact_files", files + "]")
      .Raw("artifacts", sealer.JsonText(draft, core::CanonicalJson(list)));
}

}  // namespace

void AddBoxDigests(BodyWriter& body, const sandbox::BoxResult& box) {
  body.String("profile_digest", core::DigestName(box.profile_digest));
  if (box.program_digest == core::Digest{}) return;
  body.String("program_digest", core::DigestName(box.program_digest));
}

Draft DraftOutcome(const CallIdentity& id, const Sealer& sealer, const OutcomeFields& fields) {
  Draft draft = MakeDraft("call.outcome", id.run, "engine");
  BodyWriter body(draft);
  const tools::Outcome* outcome = fields.outcome;
  if (outcome != nullptr) {
    if (!outcome->advice.empty()) body.Raw("advice", sealer.Text(draft, outcome->advice));
    AddArtifacts(draft, body, sealer, outcome->artifacts);
  }
  body.Int("attempt", fields.attempt).String("call", id.call).Optional("code", fields.code);
  const bool boxed = outcome != nullptr && outcome->sandboxed;
  if (boxed) body.Int("cpu_us", outcome->box.cpu_us);
  if (!fields.detail.empty()) body.Raw("detail", sealer.Text(draft, fields.detail));
  if (fields.ended != nullptr) {
    body.Raw("ended", RunEndJson(*fields.ended));
    body.Raw("ended_label", sealer.JsonText(draft, RunEndBesideJson(*fields.ended)));
  }
  if (boxed) {
    std::string exit;
    core::JsonObjectWriter writer(exit);
    writer.String("kind", sandbox::EndKindName(outcome->box.kind));
    writer.Int("value", outcome->box.value);
    writer.Close();
    body.Raw("exit", exit);
    body.String("filter_digest", core::DigestName(outcome->box.filter_digest));
  }
  body.String("kind", fields.kind);
  body.Optional("level", boxed ? sandbox::LevelName(outcome->box.level) : fields.level);
  if (boxed) body.Int("memory_peak_bytes", outcome->box.memory_peak_bytes);
  if (outcome != nullptr && outcome->reported) {
    std::string money;
    core::JsonObjectWriter writer(money);
    writer.String("amount", std::to_string(outcome->reported->minor));
    writer.String("unit", outcome->reported->currency);
    writer.Close();
    body.Raw("money", money);
  }
  if (boxed) AddBoxDigests(body, outcome->box);
  if (outcome != nullptr && !outcome->result.is_null()) {
    body.Raw("result", sealer.JsonText(draft, core::CanonicalJson(outcome->result)));
  }
  if (boxed) body.Int("wall_us", outcome->box.wall_us);
  body.Close();
  return draft;
}

namespace {

// Whether the labels of the whole do not say all that rules said.
bool SpeaksOfParts(const Release& release) {
  return std::any_of(release.changes.begin(), release.changes.end(), [](const auto& change) {
    return change.path != "result" ||
           std::any_of(change.tags.begin(), change.tags.end(),
                       [](const std::string& tag) { return tag.starts_with(kReaderTag); });
  });
}

}  // namespace

Draft DraftResultReleased(const CallIdentity& id, const Sealer& sealer, const Release& release) {
  Draft draft = MakeDraft("result.released", id.run, "engine");
  BodyWriter body(draft);
  if (release.by_handle) body.Bool("by_handle", true);
  body.String("call", id.call).Optional("code", release.code);
  body.Raw("labels", JsonStrings(LabelWords(release.untrusted, release.tags)));
  if (release.preview) body.Bool("preview", true);
  if (release.changed) {
    body.Raw("result", sealer.JsonText(draft, core::CanonicalJson(*release.changed)));
  }
  if (!release.rules.empty()) body.Raw("rules", RulesJson(release.rules));
  if (!release.say.empty()) body.Raw("say", sealer.Text(draft, release.say));
  if (SpeaksOfParts(release)) {
    const core::Json parts = {{"changes", ChangesToJson(release.changes)},
                              {"trusted", release.trusted_tool}};
    body.Raw("spans", sealer.JsonText(draft, core::CanonicalJson(parts)));
  }
  body.Bool("withheld", release.withheld).Close();
  if (release.bundle_id != core::Digest{}) Cite(draft, core::DigestName(release.bundle_id));
  return draft;
}

namespace {

// Whose rules spoke; their silence is on record nowhere.
void CiteJudge(const JudgedText& judged, Draft& draft) {
  if (!judged.rules.empty()) Cite(draft, core::DigestName(judged.bundle_id));
}

}  // namespace

Draft DraftMessage(const std::string& run, const Sealer& sealer, const MessageFields& fields) {
  Draft draft;
  draft.kind = "message.received";
  draft.run = run;
  draft.actor = fields.actor;
  const JudgedText& judged = *fields.judged;
  std::vector<std::string> counters;
  for (const policies::LimitUse& limit : judged.limits) {
    counters.push_back(sealer.keys().Hmac("counter", limit.key));
  }
  BodyWriter body(draft);
  body.Optional("code", judged.code);
  if (!counters.empty()) body.Raw("counters", JsonStrings(counters));
  body.String("from", fields.from);
  bool untrusted = judged.untrusted;
  std::vector<std::string> tags = judged.tags;
  if (const policies::Label* label = fields.label; label != nullptr) {
    body.Raw("label", sealer.JsonText(draft, core::CanonicalJson(LabelToJson(*label))));
    untrusted = untrusted || !label->trusted;
    tags.insert(tags.end(), label->tags.begin(), label->tags.end());
  }
  if (IsTooManyTags(tags)) {  // of a text that is withheld for that
    untrusted = true;
    tags.clear();
  }
  if (untrusted || !tags.empty()) {
    body.Raw("labels", JsonStrings(LabelWords(untrusted, tags)));
  }
  if (judged.changed) body.Raw("read", sealer.Text(draft, *judged.changed));
  body.Optional("request", fields.request).Optional("request_digest", fields.request_digest);
  if (!judged.rules.empty()) body.Raw("rules", RulesJson(judged.rules));
  if (!judged.say.empty()) body.Raw("say", sealer.Text(draft, judged.say));
  body.Raw("text", sealer.Text(draft, fields.text));
  if (judged.window_ms > 0) body.Int("window_ms", judged.window_ms);
  if (judged.withheld) body.Bool("withheld", true);
  body.Close();
  CiteJudge(judged, draft);
  return draft;
}

Draft DraftAnswerChecked(const std::string& run, const Sealer& sealer, std::string_view what,
                         const JudgedText& judged) {
  Draft draft;
  draft.kind = "answer.checked";
  draft.run = run;
  draft.actor = "engine";
  BodyWriter body(draft);
  body.Optional("code", judged.code).Bool("passes", !judged.withheld);
  if (!judged.rules.empty()) body.Raw("rules", RulesJson(judged.rules));
  if (!judged.say.empty()) body.Raw("say", sealer.Text(draft, judged.say));
  if (judged.changed) body.Raw("text", sealer.Text(draft, *judged.changed));
  body.String("what", what).Close();
  CiteJudge(judged, draft);
  return draft;
}

}  // namespace interlock::runtime
