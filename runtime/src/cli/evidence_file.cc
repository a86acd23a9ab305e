// Parts of a bundle from the file of a closed log; only content needs a daemon, which has the keys.
#include <algorithm>
#include <filesystem>

#include "audit/rotate.h"
#include "cli/evidence_source.h"
#include "cli/log_file.h"
#include "engine/archives.h"
#include "engine/entry_pager.h"
#include "engine/erased_slots.h"
#include "engine/log_row.h"

namespace interlock::runtime::cli {
namespace {

namespace fs = std::filesystem;

constexpr int kCallsMax = 100'000;

EvidenceEntry EntryOf(const audit::Entry& entry) { return {entry.index, entry.kind, entry.bytes}; }

core::Status EachErasureOf(
    const audit::Log& log,
    const std::function<core::Status(const std::string&, const EvidenceEntry&)>& take) {
  INTERLOCK_ASSIGN_OR_RETURN(const std::string origin, OriginOf(log));
  EntryPager pager(log);
  for (;;) {
    INTERLOCK_ASSIGN_OR_RETURN(const std::vector<audit::Entry> entries, pager.Next());
    if (entries.empty()) return core::OkStatus();
    for (const audit::Entry& entry : entries) {
      if (entry.kind == "payload.erased") INTERLOCK_RETURN_IF_ERROR(take(origin, EntryOf(entry)));
    }
  }
}

class FileSource final : public EvidenceSource {
 public:
  FileSource(std::string file, std::unique_ptr<audit::Log> log, const Client* client)
      : file_(std::move(file)), log_(std::move(log)), client_(client) {}

  core::StatusOr<std::string> Tenant() override { return OfLogRow(*log_, LogColumn::kTenant); }

  core::StatusOr<EvidenceHead> NewestHead() override { return Signed(log_->CheckpointNow()); }
  core::StatusOr<EvidenceHead> CosignedHead() override {
    return Signed(log_->CosignedCheckpoint());
  }

  core::Status EachEntry(const EvidenceRange& range,
                         const std::function<core::Status(const EvidenceEntry&)>& take) override {
    const std::uint64_t end = std::min(range.end, log_->size());
    EntryPager pager =
        range.run.empty() ? EntryPager(*log_, range.first) : EntryPager(*log_, IdOf(range.run));
    for (;;) {
      INTERLOCK_ASSIGN_OR_RETURN(const std::vector<audit::Entry> entries, pager.Next());
      if (entries.empty()) return core::OkStatus();
      for (const audit::Entry& entry : entries) {
        if (entry.index >= end) return core::OkStatus();
        INTERLOCK_RETURN_IF_ERROR(take(EntryOf(entry)));
      }
    }
  }

  core::StatusOr<EvidenceEntry> EntryAt(std::uint64_t index) override {
    INTERLOCK_ASSIGN_OR_RETURN(const audit::Entry entry, log_->Read(index));
    return EntryOf(entry);
  }

  core::StatusOr<std::vector<int>> ErasedSlots(std::uint64_t index) override {
    return runtime::ErasedSlots(*log_, index);
  }

  core::Status EachCall(const std::string& filter,
                        const std::function<bool(const EvidenceCall&)>& take) override {
    bool more = true;
    const auto more_there =
        EachCallOf(file_, filter, kCallsMax, [&](const wire::AuditedCall& call) {
          more = more && take({IdOf(call.name()), call.run().empty() ? "" : IdOf(call.run()),
                               static_cast<std::uint64_t>(call.proposed_index())});
        });
    return more_there.status();
  }

  core::StatusOr<std::vector<core::Digest>> InclusionProof(std::uint64_t index,
                                                           std::uint64_t size) override {
    return log_->InclusionProof(index, size);
  }
  core::StatusOr<std::vector<core::Digest>> ConsistencyProof(std::uint64_t old_size,
                                                             std::uint64_t size) override {
    return log_->ConsistencyProof(old_size, size);
  }

  core::StatusOr<std::string> Blob(const std::string& digest_name) override {
    INTERLOCK_ASSIGN_OR_RETURN(const core::Digest digest,
                               core::DigestFromHex(digest_name.substr(digest_name.find(':') + 1)));
    return log_->ReadBlob(digest);
  }

  core::StatusOr<std::vector<audit::BundlePayload>> Disclose(std::uint64_t index,
                                                             const std::vector<std::string>& fields,
                                                             const std::string& reason) override {
    if (client_ == nullptr) {
      return core::FailedPrecondition(
          "content is opened by the daemon, which has the keys and records it; leave --disclose "
          "out");
    }
    INTERLOCK_ASSIGN_OR_RETURN(std::string origin, OriginOf(*log_));
    return DiscloseFrom(*client_, {index, fields, reason, std::move(origin)});
  }

  // The other logs of its folder. A copy that was taken elsewhere has none.
  core::StatusOr<bool> EachErasureElsewhere(
      const std::function<core::Status(const std::string&, const EvidenceEntry&)>& take) override {
    const fs::path own = fs::path(file_).lexically_normal();
    const fs::path folder = own.has_parent_path() ? own.parent_path() : fs::path(".");
    INTERLOCK_ASSIGN_OR_RETURN(std::vector<std::string> names,
                               audit::ListArchives(folder.string()));
    names.emplace_back("audit.db");
    bool any = false;
    for (const std::string& name : names) {
      std::error_code none;
      if (name == own.filename() || !fs::exists(folder / name, none)) continue;
      INTERLOCK_ASSIGN_OR_RETURN(const auto log, audit::OpenArchive((folder / name).string()));
      INTERLOCK_RETURN_IF_ERROR(EachErasureOf(*log, take));
      any = true;
    }
    return any;
  }

 private:
  core::StatusOr<EvidenceHead> Signed(core::StatusOr<audit::Checkpoint> head) const {
    if (!head.ok()) return head.status();
    return EvidenceHead{head->note, log_->verifier_key(), head->size};
  }

  const std::string file_;
  const std::unique_ptr<audit::Log> log_;
  const Client* client_;
};

}  // namespace

core::StatusOr<std::unique_ptr<EvidenceSource>> EvidenceFromFile(const std::string& file,
                                                                 const Client* client) {
  INTERLOCK_ASSIGN_OR_RETURN(auto log, audit::OpenArchive(file));
  return std::unique_ptr<EvidenceSource>(
      std::make_unique<FileSource>(file, std::move(log), client));
}

}  // namespace interlock::runtime::cli
