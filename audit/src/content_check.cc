#include "content_check.h"

#include "audit/content.h"
#include "audit/fields.h"
#include "audit/payload_key.h"
#include "core/digest.h"
#include "core/json.h"

namespace interlock::audit {
namespace {

bool IsSpace(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }

core::Status LookAtEntry(const Log& log, KeyStore& keys, const Entry& entry, ContentLook& look) {
  for (const NamedCommitment& named : CommitmentsIn(entry.bytes)) {
    const std::int64_t id = PayloadKey(entry.index, named.slot);
    const auto row = log.ReadPayload(entry.index, named.slot);
    if (row.status().code() == core::StatusCode::kNotFound ||
        row.status().code() == core::StatusCode::kDataLoss) {
      look.damaged.push_back(id);
      continue;
    }
    if (!row.ok()) return row.status();
    if (row->erased) continue;
    const core::Status status = CheckOpens(keys, row->payload, named);
    if (status.ok()) {
      ++look.opened;
    } else if (status.code() == core::StatusCode::kNotFound) {
      look.keyless.emplace_back(id, std::string(named.key));
    } else if (status.code() == core::StatusCode::kDataLoss) {
      look.damaged.push_back(id);
    } else {
      return status;
    }
  }
  return core::OkStatus();
}

}  // namespace

bool SplitHolds(const NamedCommitment& commitment, std::string_view content,
                std::string_view salt) {
  if (commitment.fields.empty()) return true;
  if (!core::ParseJson(content, core::kPayloadLimits).ok()) return false;
  const std::vector<PayloadField> fields = PlainFields(content);
  if (fields.size() != commitment.fields.size()) return false;
  for (std::size_t i = 0; i < fields.size(); ++i) {
    const auto& [name, hex] = commitment.fields[i];
    const PayloadField& field = fields[i];
    if (field.name != name || field.value.empty() || IsSpace(field.value.front()) ||
        IsSpace(field.value.back())) {
      return false;
    }
    const core::Digest field_salt = FieldSalt(salt, name);
    if (core::Hex(FieldCommitment(core::AsBytes(field_salt), field)) != hex) return false;
  }
  return true;
}

core::Status CheckOpens(KeyStore& keys, const SealedPayload& payload,
                        const NamedCommitment& named) {
  if (payload.key_id != named.key || core::Hex(payload.commitment) != named.hex) {
    return core::DataLoss("is not the one that the entry names");
  }
  const auto opened = keys.Open(payload);
  if (opened.status().code() == core::StatusCode::kDataLoss) {
    return core::DataLoss("does not open, or is not what the entry commits to");
  }
  if (!opened.ok()) return opened.status();
  if (opened->plaintext.size() != named.bytes) return core::DataLoss("has another length");
  if (!SplitHolds(named, opened->plaintext, opened->salt)) {
    return core::DataLoss("has other fields than the entry commits to");
  }
  return core::OkStatus();
}

core::StatusOr<ContentLook> LookAtContent(const Log& log, KeyStore& keys, std::uint64_t first,
                                          int entries_max) {
  ContentLook look;
  look.next_index = first;
  INTERLOCK_ASSIGN_OR_RETURN(const EntryPage page, log.ReadRange(first, entries_max));
  for (const Entry& entry : page.entries) {
    INTERLOCK_RETURN_IF_ERROR(LookAtEntry(log, keys, entry, look));
    look.next_index = entry.index + 1;
  }
  return look;
}

}  // namespace interlock::audit
