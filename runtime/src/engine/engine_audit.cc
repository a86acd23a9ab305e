// What auditors may read of sealed content, and the record of it.
#include <algorithm>

#include "audit/fields.h"
#include "audit/payload_key.h"
#include "engine/answers.h"
#include "engine/engine.h"
#include "engine/entries.h"

namespace interlock::runtime {
namespace {

constexpr std::size_t kEntryReasonBytesMax = 200;  // stands in the entry itself

// {"fields":["…"],"first":n,"last":n,"log":"…","reason":"…","slots":[…],"target_run":"…"}; `fields`
// when only they were shown, `log` when it is a closed one.
std::string AccessBody(const DiscloseSpec& spec, const std::vector<int>& slots,
                       std::string_view run) {
  std::string list;
  for (const int slot : slots) list += (list.empty() ? "" : ",") + std::to_string(slot);
  std::string body;
  core::JsonObjectWriter writer(body);
  if (!spec.fields.empty()) writer.Raw("fields", JsonStrings(spec.fields));
  writer.Int("first", static_cast<std::int64_t>(spec.entry_index));
  writer.Int("last", static_cast<std::int64_t>(spec.entry_index));
  if (!spec.log.empty()) writer.String("log", spec.log);
  writer.String("reason", spec.reason);
  writer.Raw("slots", "[" + list + "]");
  writer.String("target_run", run);
  writer.Close();
  return body;
}

// Of the slots those that hold one of the named fields, and of the names those that are there.
void KeepWhatIsThere(const audit::Entry& entry, std::vector<int>& slots,
                     std::vector<std::string>& names) {
  std::vector<std::string> there;
  const auto shows = [&](int slot) {
    bool any = false;
    for (const std::string_view field : audit::CommittedFields(entry.bytes, slot)) {
      if (std::find(names.begin(), names.end(), field) == names.end()) continue;
      any = true;
      there.emplace_back(field);
    }
    return any;
  };
  std::erase_if(slots, [&](int slot) { return !shows(slot); });
  std::sort(there.begin(), there.end());
  there.erase(std::unique(there.begin(), there.end()), there.end());
  names = std::move(there);
}

core::Status CheckSpec(const audit::Log& log, const DiscloseSpec& spec) {
  if (spec.entry_index >= log.size()) {
    return WithReason(core::NotFound("there is no entry " + std::to_string(spec.entry_index)),
                      "ENTRY_NOT_FOUND");
  }
  if (spec.reason.size() > kEntryReasonBytesMax) {
    return core::InvalidArgument("`reason` is more than 200 bytes");
  }
  const bool slots_ok = std::all_of(spec.slots.begin(), spec.slots.end(),
                                    [](int slot) { return slot >= 0 && slot < audit::kSlotsMax; });
  if (!slots_ok || spec.slots.size() > audit::kSlotsMax) {
    return core::InvalidArgument("`slots` are numbers from 0 to 255");
  }
  return core::OkStatus();
}

// Fields are salted apart from each other, so that one can be shown without the rest. Content that
// was committed to as a whole has none that could be proven.
std::vector<DisclosedField> FieldsOf(const audit::OpenedPayload& opened,
                                     const std::vector<std::string_view>& committed,
                                     const std::vector<std::string>& names) {
  const auto in = [](const auto& all, const std::string& name) {
    return std::find(all.begin(), all.end(), name) != all.end();
  };
  std::vector<DisclosedField> fields;
  const auto tree = core::ParseJson(opened.plaintext, core::kPayloadLimits);
  if (!tree.ok() || !tree->is_object()) return fields;
  for (const auto& [name, value] : tree->items()) {
    if (!in(names, name) || !in(committed, name)) continue;
    const core::Digest salt =
        core::HmacSha256(opened.salt, std::string("interlock/field\0", 16) + name);
    fields.push_back({name, core::CanonicalJson(value), std::string(core::AsBytes(salt))});
  }
  return fields;
}

core::StatusOr<DisclosedPayload> Opened(audit::KeyStore& keys, const audit::Entry& entry,
                                        const audit::PayloadRow& row,
                                        const std::vector<std::string>& fields) {
  DisclosedPayload shown;
  shown.slot = row.slot;
  shown.erased = row.erased;
  if (row.erased) return shown;
  auto opened = keys.Open(row.payload);
  if (opened.status().code() == core::StatusCode::kNotFound) {
    shown.erased = true;
    return shown;
  }
  if (!opened.ok()) return opened.status();
  shown.media = opened->media;
  if (!fields.empty()) {
    shown.fields = FieldsOf(*opened, audit::CommittedFields(entry.bytes, row.slot), fields);
    return shown;
  }
  shown.content = std::move(opened->plaintext);
  shown.salt = std::move(opened->salt);
  return shown;
}

}  // namespace

bool EngineImpl::IsOutsider(const core::Principal& who, std::string_view principal) {
  return principal != who.id;
}

// To who may still say something of it. While the clock is in doubt no delegation counts.
bool EngineImpl::IsShownToDecide(const core::Principal& who,
                                 const policies::ApprovalState& state) const {
  std::vector<policies::Delegation> delegations;
  if (!hub_.parts.state->clock_in_doubt()) delegations = hub_.parts.state->Delegations();
  return policies::VetoOf(state, {.principal = &who, .on_behalf_of = ""}, delegations,
                          NowInLog(hub_.parts))
      .may.yes;
}

core::Status EngineImpl::RecordLook(const core::Principal& who, const Look& look) const {
  if (!IsOutsider(who, look.principal)) return core::OkStatus();
  Draft access;
  access.kind = "access.read";
  access.actor = "principal:" + who.id;
  BodyWriter(access)
      .Int("first", look.first)
      .Int("last", look.last)
      .Optional("log", look.log)
      .String("target_run", look.run)
      .Close();
  const audit::NewEntry entry{
      .kind = access.kind, .run = "", .actor = access.actor, .body = access.body, .cites = {}};
  return hub_.parts.log->Append(entry, {}).status();
}

core::StatusOr<const audit::Log*> EngineImpl::LogOf(std::string_view origin) {
  const audit::Log* const open_log = hub_.parts.log;
  if (origin.empty()) return open_log;
  INTERLOCK_ASSIGN_OR_RETURN(const std::string here, OriginOf(*open_log));
  if (origin == here) return open_log;
  return hub_.archives.OfOrigin(origin);
}

core::StatusOr<Disclosure> EngineImpl::DisclosePayloads(const core::Principal& who,
                                                        const DiscloseSpec& spec) {
  INTERLOCK_RETURN_IF_ERROR(Need(who, core::kRoleAuditor));
  audit::Log& open_log = *hub_.parts.log;
  DiscloseSpec shown = spec;
  INTERLOCK_ASSIGN_OR_RETURN(const audit::Log* const holder, LogOf(spec.log));
  const audit::Log& log = *holder;
  if (holder == &open_log) shown.log.clear();
  INTERLOCK_RETURN_IF_ERROR(CheckSpec(log, spec));
  INTERLOCK_ASSIGN_OR_RETURN(const audit::Entry entry, log.Read(spec.entry_index));
  std::vector<audit::PayloadRow> rows;
  std::vector<int> slots = spec.slots;
  std::sort(slots.begin(), slots.end());
  slots.erase(std::unique(slots.begin(), slots.end()), slots.end());
  const bool all = slots.empty();
  for (int i = 0; i < (all ? audit::kSlotsMax : static_cast<int>(slots.size())); ++i) {
    auto row = log.ReadPayload(spec.entry_index, all ? i : slots[static_cast<std::size_t>(i)]);
    if (all && row.status().code() == core::StatusCode::kNotFound) break;  // slots are dense
    if (!row.ok()) return row.status();
    rows.push_back(*std::move(row));
    if (all) slots.push_back(i);
  }
  if (!spec.fields.empty()) KeepWhatIsThere(entry, slots, shown.fields);
  Disclosure disclosure;
  if (!slots.empty()) {
    const std::string actor = "principal:" + who.id;
    const std::string body = AccessBody(shown, slots, entry.run);
    INTERLOCK_ASSIGN_OR_RETURN(
        const audit::EntryRef ref,
        open_log.Append(
            {.kind = "access.read", .run = "", .actor = actor, .body = body, .cites = {}}));
    disclosure.access_index = ref.index;
  }
  for (const audit::PayloadRow& row : rows) {
    INTERLOCK_ASSIGN_OR_RETURN(DisclosedPayload opened,
                               Opened(*hub_.parts.keys, entry, row, spec.fields));
    disclosure.payloads.push_back(std::move(opened));
  }
  return disclosure;
}

core::StatusOr<audit::EntryRef> EngineImpl::ConfirmClock(const core::Principal& who,
                                                         const std::string& reason) {
  if (!who.Has(core::kRoleOperator)) return Need(who, core::kRoleOperator);
  if (reason.empty() || reason.size() > kEntryReasonBytesMax) {
    return core::InvalidArgument("`reason` must have 1 to 200 bytes");
  }
  return hub_.ConfirmClock("principal:" + who.id, reason);
}

core::StatusOr<audit::EntryRef> EngineImpl::RotateSignerKey(const core::Principal& who) {
  if (!who.Has(core::kRoleOperator)) return Need(who, core::kRoleOperator);
  return hub_.parts.log->RotateSignerKey("principal:" + who.id);
}

}  // namespace interlock::runtime
