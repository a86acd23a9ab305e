#include "payload_check.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "audit/commitment.h"
#include "audit/payload_key.h"
#include "commitments.h"
#include "content_check.h"
#include "core/digest.h"
#include "core/json.h"

namespace interlock::audit {

core::Status PayloadCheck::Start(sqlite3* db, std::string origin, const ErasedElsewhere* later,
                                 KeyStore* keys) {
  keys_ = keys;
  origin_ = std::move(origin);
  later_ = later;
  INTERLOCK_ASSIGN_OR_RETURN(
      rows_,
      Statement::Prepare(db, keys_ == nullptr
                                 ? "SELECT id, commitment, key_id, sealed IS NULL, plain_bytes, "
                                   "length(sealed) FROM payload ORDER BY id"
                                 : "SELECT id, commitment, key_id, sealed IS NULL, plain_bytes, "
                                   "length(sealed), media, sealed FROM payload ORDER BY id"));
  INTERLOCK_ASSIGN_OR_RETURN(row_there_, rows_.Step());
  return core::OkStatus();
}

// The row is the one that the commitment names, as far as can be seen without the key.
bool PayloadCheck::RowIs(const NamedCommitment& named) const {
  const auto bytes = static_cast<std::int64_t>(named.bytes);
  return (rows_.Int(0) & 0xFF) == named.slot && core::Hex(rows_.Bytes(1)) == named.hex &&
         rows_.Bytes(2) == named.key && rows_.Int(4) == bytes &&
         (rows_.Int(3) != 0 || rows_.Int(5) == bytes + static_cast<std::int64_t>(kSealBytes));
}

// The row is the named one; what is under its seal must be what the entry commits to.
core::Status PayloadCheck::CheckContent(std::uint64_t index, const NamedCommitment& named) {
  SealedPayload payload;
  payload.key_id = std::string(rows_.Bytes(2));
  std::memcpy(payload.commitment.data(), rows_.Bytes(1).data(), payload.commitment.size());
  payload.plain_bytes = named.bytes;
  payload.media = std::string(rows_.Bytes(6));
  payload.sealed = std::string(rows_.Bytes(7));
  const core::Status status = CheckOpens(*keys_, payload, named);
  if (status.ok()) {
    ++opened_;
  } else if (status.code() == core::StatusCode::kNotFound) {
    keyless_.emplace_back(rows_.Int(0), payload.key_id);
  } else if (status.code() == core::StatusCode::kDataLoss) {
    findings_->Entry(index, "has a payload in slot " + std::to_string(named.slot) + " that " +
                                std::string(core::Message(status)));
  } else {
    return status;
  }
  return core::OkStatus();
}

core::Status PayloadCheck::Next(std::uint64_t index, std::string_view bytes) {
  const std::vector<NamedCommitment> named = CommitmentsIn(bytes);
  std::size_t next = 0;
  while (row_there_ && EntryOfPayload(rows_.Int(0)) <= static_cast<std::int64_t>(index)) {
    const int slot = static_cast<int>(rows_.Int(0) & 0xFF);
    if (next >= named.size() || !RowIs(named[next])) {
      findings_->Entry(index, "does not name the payload in slot " + std::to_string(slot) +
                                  " that is stored for it, or an earlier one is missing");
    } else if (keys_ != nullptr && rows_.Int(3) == 0) {
      INTERLOCK_RETURN_IF_ERROR(CheckContent(index, named[next]));
    }
    if (rows_.Int(3) != 0) erased_.emplace_back(rows_.Int(0), KeyOnce(rows_.Bytes(2)));
    while (next < named.size() && named[next].slot <= slot) ++next;
    INTERLOCK_ASSIGN_OR_RETURN(row_there_, rows_.Step());
  }
  if (next < named.size()) {
    findings_->Entry(index, "has lost the payload in slot " + std::to_string(named[next].slot));
  }
  return core::OkStatus();
}

// Erased content is a lot where it is kept for a year, and sealed under few keys.
const std::string* PayloadCheck::KeyOnce(std::string_view key) {
  const auto found = its_keys_.find(key);
  return found != its_keys_.end() ? &*found : &*its_keys_.emplace(key).first;
}

void PayloadCheck::NoteErasure(std::uint64_t index, const ParsedEntry& entry) {
  const auto body = core::JsonObjectView::Of(entry.body);
  if (!body.ok()) return;
  if (const auto key = body->String("key")) {
    named_keys_[*key] = index;
    elsewhere_.keys.insert(*key);
  }
  const auto other = body->String("log");
  const bool own = !other || *other == origin_;
  const auto list = core::JsonArrayElements(body->Raw("payloads").value_or("[]"));
  if (!list.ok()) return;
  for (const std::string_view text : *list) {
    std::int64_t id = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
    const bool number = error == std::errc() && end == text.data() + text.size();
    if (number && !own) elsewhere_.payloads[*other].insert(id);
    if (own && number && id >= 0 && EntryOfPayload(id) < static_cast<std::int64_t>(index)) {
      named_.push_back(id);
    }
  }
}

bool PayloadCheck::NamedLater(std::int64_t id, const std::string& key) const {
  if (later_ == nullptr) return false;
  if (later_->keys.contains(key)) return true;
  const auto found = later_->payloads.find(origin_);
  return found != later_->payloads.end() && found->second.contains(id);
}

bool PayloadCheck::IsNamed(std::int64_t id, const std::string& key) const {
  const auto by_key = named_keys_.find(key);
  const bool by_its_key = by_key != named_keys_.end() &&
                          by_key->second > static_cast<std::uint64_t>(EntryOfPayload(id));
  return by_its_key || std::binary_search(named_.begin(), named_.end(), id) || NamedLater(id, key);
}

std::string PayloadCheck::keyless_reason() const {
  if (keyless_.empty()) return {};
  return "keys.db lacks the keys of " + std::to_string(keyless_.size()) +
         " payloads, the first of entry " + std::to_string(EntryOfPayload(keyless_.front().first)) +
         ", and no entry says that they were erased";
}

std::size_t PayloadCheck::Explain(const std::set<std::string>& destroyed) {
  return std::erase_if(keyless_, [&](const auto& row) { return destroyed.contains(row.second); });
}

void PayloadCheck::End(Log log) {
  std::sort(named_.begin(), named_.end());
  std::erase_if(keyless_, [this](const auto& row) { return IsNamed(row.first, row.second); });
  for (const auto& [id, key] : erased_) {
    if (IsNamed(id, *key)) continue;
    if (later_ == nullptr && log == Log::kClosed) {
      unexplained_ = true;
      continue;
    }
    findings_->Entry(static_cast<std::uint64_t>(EntryOfPayload(id)),
                     "has lost a payload that no `payload.erased` entry names");
  }
}

}  // namespace interlock::audit
