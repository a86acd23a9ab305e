// Approvals in the log: what was asked, how it ended, and arguments that people changed.
#include "engine/entries.h"

namespace interlock::runtime {
namespace {

std::string ApproversJson(const std::vector<std::string>& approvers, const audit::KeyStore& keys) {
  std::vector<std::string> shown;
  for (const std::string& approver : approvers) {
    const bool person = approver.starts_with("user:");
    shown.push_back(person ? "user:" + keys.Hmac("user", approver.substr(5)) : approver);
  }
  return JsonStrings(shown);
}

std::string StagesJson(const policies::ApprovalDemand& demand, const audit::KeyStore& keys) {
  std::string text = "[";
  for (std::size_t i = 0; i < policies::StageCount(demand); ++i) {
    if (i > 0) text += ',';
    const policies::ApprovalStage stage = policies::StageAt(demand, i);
    core::JsonObjectWriter writer(text);
    writer.Raw("approvers", ApproversJson(stage.approvers, keys));
    writer.Int("quorum", stage.quorum);
    writer.Close();
  }
  return text + "]";
}

}  // namespace

Draft DraftApprovalRequested(const CallIdentity& id, const Sealer& sealer,
                             const ApprovalFields& fields) {
  Draft draft = MakeDraft("approval.requested", id.run, "engine");
  const policies::ApprovalDemand& demand = *fields.demand;
  const std::string sealed = sealer.JsonText(draft, core::CanonicalJson(DemandToJson(demand)));
  BodyWriter body(draft);
  body.String("approval", fields.approval)
      .Raw("approvers", ApproversJson(demand.approvers, sealer.keys()))
      .String("binding", fields.binding)
      .String("call", id.call)
      .Raw("demand", sealed);
  if (!fields.editors.empty()) body.Raw("editors", JsonStrings(fields.editors));
  if (demand.escalate_after_ms > 0) {
    body.Int("escalate_ms", demand.escalate_after_ms)
        .Raw("escalate_to", ApproversJson(demand.escalate_to, sealer.keys()));
  }
  body.Int("expires_us", fields.expires_us).Int("quorum", demand.quorum);
  if (demand.remind_ms > 0) body.Int("remind_ms", demand.remind_ms);
  body.String("rule", demand.rule);
  if (!demand.later.empty()) body.Raw("stages", StagesJson(demand, sealer.keys()));
  if (!fields.told_by.empty()) body.Raw("told_by", JsonStrings(fields.told_by));
  body.String("tool", id.tool).Close();
  return draft;
}

Draft DraftEscalated(const std::string& run, const std::string& call, const std::string& approval,
                     const std::vector<std::string>& to) {
  Draft draft = MakeDraft("approval.escalated", run, "engine");
  BodyWriter(draft)
      .String("approval", approval)
      .String("call", call)
      .Raw("to", JsonStrings(to))
      .Close();
  return draft;
}

Draft DraftReminded(const std::string& run, const std::string& call, const std::string& approval,
                    std::int64_t count) {
  Draft draft = MakeDraft("approval.reminded", run, "engine");
  BodyWriter(draft).String("approval", approval).String("call", call).Int("count", count).Close();
  return draft;
}

Draft DraftApprovalEnded(std::string_view kind, const std::string& run, const std::string& call,
                         const std::string& approval) {
  Draft draft = MakeDraft(kind, run, "engine");
  BodyWriter(draft).String("approval", approval).String("call", call).Close();
  return draft;
}

Draft DraftApprovalVoided(const std::string& run, const std::string& call,
                          const std::string& approval, std::string_view why, bool ends_call) {
  Draft draft = MakeDraft("approval.voided", run, "engine");
  BodyWriter(draft)
      .String("approval", approval)
      .String("call", call)
      .Bool("ends_call", ends_call)
      .String("why", why)
      .Close();
  return draft;
}

Draft DraftEdited(const Sealer& sealer, const EditFields& edit) {
  Draft draft = MakeDraft("call.edited", edit.run, edit.actor);
  const std::string args = sealer.Args(draft, edit.args, edit.tool.get());
  BodyWriter body(draft);
  body.String("approval", edit.approval).Raw("args", args).String("by", edit.by);
  body.String("call", edit.call).Raw("editors", JsonStrings(edit.editors));
  if (!edit.reason.empty()) body.Raw("reason", sealer.Text(draft, edit.reason));
  body.Optional("request", edit.request).Optional("request_digest", edit.request_digest);
  body.Int("until_us", edit.until_us).Close();
  return draft;
}

Draft DraftEditRefused(const Sealer& sealer, const EditFields& edit, std::string_view code,
                       std::string_view say) {
  Draft draft = MakeDraft("call.edit_refused", edit.run, edit.actor);
  const std::string args = sealer.Args(draft, edit.args, edit.tool.get());
  BodyWriter body(draft);
  body.String("approval", edit.approval).Raw("args", args).String("by", edit.by);
  body.String("call", edit.call).String("code", code);
  if (!edit.reason.empty()) body.Raw("reason", sealer.Text(draft, edit.reason));
  if (!say.empty()) body.Raw("say", sealer.Text(draft, say));
  body.Close();
  return draft;
}

core::Json DemandToJson(const policies::ApprovalDemand& demand) {
  core::Json json = {{"approvers", demand.approvers},
                     {"expires_ms", demand.expires_ms},
                     {"quorum", demand.quorum},
                     {"rule", demand.rule},
                     {"say", demand.say},
                     {"show", demand.show}};
  if (demand.escalate_after_ms > 0) {
    json["escalate_after_ms"] = demand.escalate_after_ms;
    json["escalate_to"] = demand.escalate_to;
  }
  if (demand.remind_ms > 0) json["remind_ms"] = demand.remind_ms;
  for (const policies::ApprovalStage& stage : demand.later) {
    json["later"].push_back({{"approvers", stage.approvers}, {"quorum", stage.quorum}});
  }
  return json;
}

policies::ApprovalDemand DemandFromJson(const core::Json& json) {
  policies::ApprovalDemand demand;
  demand.rule = json.value("rule", "");
  demand.approvers = json.value("approvers", std::vector<std::string>{});
  demand.quorum = json.value("quorum", 1);
  demand.expires_ms = json.value("expires_ms", std::int64_t{0});
  demand.say = json.value("say", "");
  demand.show = json.value("show", core::Json());
  demand.escalate_after_ms = json.value("escalate_after_ms", std::int64_t{0});
  demand.escalate_to = json.value("escalate_to", std::vector<std::string>{});
  demand.remind_ms = json.value("remind_ms", std::int64_t{0});
  for (const core::Json& stage : json.value("later", core::Json::array())) {
    demand.later.push_back({.approvers = stage.value("approvers", std::vector<std::string>{}),
                            .quorum = stage.value("quorum", 1)});
  }
  return demand;
}

}  // namespace interlock::runtime
