// Payload rows beside the entries that commit to them, and by whose word content was erased.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "audit/keys.h"
#include "audit/verify.h"
#include "commitments.h"
#include "core/status.h"
#include "entry_text.h"
#include "findings.h"
#include "sqlite.h"

namespace interlock::audit {

// Entries come in index order. One per thread.
class PayloadCheck {
 public:
  explicit PayloadCheck(Findings* findings) : findings_(findings) {}

  // `later`: see VerifyOptions; `origin`: of the log.
  // `keys`: null, or what the payloads open with.
  core::Status Start(sqlite3* db, std::string origin, const ErasedElsewhere* later, KeyStore* keys);
  // Each commitment of the entry has its row and each row its commitment.
  core::Status Next(std::uint64_t index, std::string_view bytes);
  // An entry `payload.erased`: `key` (every payload of that key in earlier entries) or `payloads`.
  void NoteErasure(std::uint64_t index, const ParsedEntry& entry);
  // Rows of entries that do not exist are left, and content that is gone without a word. Of a
  // closed log, the word may stand in a later one: `unexplained` when that is not at hand.
  enum class Log { kOpen, kClosed };
  void End(Log log);
  bool unexplained() const { return unexplained_; }
  std::uint64_t opened() const { return opened_; }
  // Whether content could not be opened for want of a key.
  bool keyless() const { return !keyless_.empty(); }
  // Holds nothing against what could not be opened for want of these keys; how much that was.
  std::size_t Explain(const std::set<std::string>& destroyed);
  // Empty, or what of the content could not be opened for want of a key.
  std::string keyless_reason() const;
  const ErasedElsewhere& elsewhere() const { return elsewhere_; }
  bool rows_left() const { return row_there_; }

 private:
  bool RowIs(const NamedCommitment& named) const;
  bool NamedLater(std::int64_t id, const std::string& key) const;
  bool IsNamed(std::int64_t id, const std::string& key) const;
  const std::string* KeyOnce(std::string_view key);
  core::Status CheckContent(std::uint64_t index, const NamedCommitment& named);

  Findings* const findings_;
  KeyStore* keys_ = nullptr;
  std::uint64_t opened_ = 0;
  std::vector<std::pair<std::int64_t, std::string>> keyless_;  // row id, key id
  std::string origin_;
  const ErasedElsewhere* later_ = nullptr;
  ErasedElsewhere elsewhere_;
  bool unexplained_ = false;
  Statement rows_;
  bool row_there_ = false;
  std::vector<std::pair<std::int64_t, const std::string*>> erased_;  // row id, one of `its_keys_`
  std::set<std::string, std::less<>> its_keys_;                      // of what was erased
  std::vector<std::int64_t> named_;                                  // sorted at the end
  std::map<std::string, std::uint64_t, std::less<>> named_keys_;  // key id, the entry that says so
};

inline constexpr std::string_view kPayloadErasedKind = "payload.erased";

}  // namespace interlock::audit
