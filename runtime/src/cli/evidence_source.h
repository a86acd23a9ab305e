// Where the parts of an evidence bundle come from: a daemon, or the file of a closed log.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "audit/bundle.h"
#include "cli/client.h"
#include "core/digest.h"
#include "core/status.h"

namespace interlock::runtime::cli {

struct EvidenceHead {
  std::string note;
  std::string first_key;  // of the log; later ones follow from its entries
  std::uint64_t size = 0;
};

struct EvidenceEntry {
  std::uint64_t index = 0;
  std::string kind;
  std::string bytes;
};

// Which entries: those of a run, or of [first, end).
struct EvidenceRange {
  std::string run;
  std::uint64_t first = 0;
  std::uint64_t end = std::numeric_limits<std::int64_t>::max();
};

// Where to look for the entries of a call.
struct EvidenceCall {
  std::string call;
  std::string run;  // id; empty: none
  std::uint64_t proposed_index = 0;
};

// One per thread.
class EvidenceSource {
 public:
  virtual ~EvidenceSource() = default;
  virtual core::StatusOr<std::string> Tenant() = 0;
  virtual core::StatusOr<EvidenceHead> NewestHead() = 0;
  // The newest that a witness cosigned. Errors: kNotFound.
  virtual core::StatusOr<EvidenceHead> CosignedHead() = 0;
  // In order; an error of `take` ends it and is returned.
  virtual core::Status EachEntry(const EvidenceRange& range,
                                 const std::function<core::Status(const EvidenceEntry&)>& take) = 0;
  virtual core::StatusOr<EvidenceEntry> EntryAt(std::uint64_t index) = 0;
  // The calls that an AIP-160 filter keeps. `take` says whether to go on.
  virtual core::Status EachCall(const std::string& filter,
                                const std::function<bool(const EvidenceCall&)>& take) = 0;
  virtual core::StatusOr<std::vector<core::Digest>> InclusionProof(std::uint64_t index,
                                                                   std::uint64_t size) = 0;
  virtual core::StatusOr<std::vector<core::Digest>> ConsistencyProof(std::uint64_t old_size,
                                                                     std::uint64_t size) = 0;
  // Errors: kNotFound.
  virtual core::StatusOr<std::string> Blob(const std::string& digest_name) = 0;
  // Content of an entry, opened for the record: all of it, or the fields named. `erased_by` of what
  // is erased is left for the caller to find. Errors: kFailedPrecondition where none can be opened.
  virtual core::StatusOr<std::vector<audit::BundlePayload>> Disclose(
      std::uint64_t index, const std::vector<std::string>& fields, const std::string& reason) = 0;
  // The slots of an entry whose content is gone. That is no look at content.
  virtual core::StatusOr<std::vector<int>> ErasedSlots(std::uint64_t index) = 0;
  // Entries `payload.erased` of logs beside this one, with their origins: a closed log goes on
  // losing content. False: there is no other log, so nobody here could say what a closed one lost.
  virtual core::StatusOr<bool> EachErasureElsewhere(
      const std::function<core::Status(const std::string&, const EvidenceEntry&)>& take) = 0;
};

// `origin` of a closed log, of which only heads and proofs are to be had; empty: the open one.
std::unique_ptr<EvidenceSource> EvidenceFromDaemon(Client& client, std::string origin = "");
// `client`: of the daemon that opens content, and records it; null: none is opened. Errors:
// kNotFound.
core::StatusOr<std::unique_ptr<EvidenceSource>> EvidenceFromFile(const std::string& file,
                                                                 const Client* client);

// What a daemon discloses of an entry. `log`: origin of a closed log; empty: the open one.
struct DisclosureWish {
  std::uint64_t index = 0;
  std::vector<std::string> fields;  // empty: whole content
  std::string reason;
  std::string log;
};
core::StatusOr<std::vector<audit::BundlePayload>> DiscloseFrom(const Client& client,
                                                               const DisclosureWish& wish);

}  // namespace interlock::runtime::cli
