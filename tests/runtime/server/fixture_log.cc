// The log of the fake engine.
#include <algorithm>

#include "core/digest.h"
#include "fixture.h"

namespace interlock::runtime {

void FakeLog::Submit(std::unique_ptr<audit::Command> command, audit::Urgency) {
  command->Done(core::FailedPrecondition("a fake log takes nothing"));
}
core::StatusOr<audit::EntryRef> FakeLog::Append(const audit::NewEntry&,
                                                std::vector<audit::SealedPayload>) {
  return core::FailedPrecondition("a fake log takes nothing");
}
core::StatusOr<audit::Entry> FakeLog::Read(std::uint64_t index) const {
  if (index >= entries.size()) return core::NotFound("no such entry");
  return entries[index];
}
core::StatusOr<audit::EntryPage> FakeLog::ReadRange(std::uint64_t first, int max) const {
  audit::EntryPage page;
  for (std::uint64_t i = first;
       i < entries.size() && page.entries.size() < static_cast<std::size_t>(max); ++i) {
    page.entries.push_back(entries[i]);
  }
  page.more = first + page.entries.size() < entries.size();
  return page;
}
core::StatusOr<audit::EntryPage> FakeLog::ReadRun(std::string_view run, std::int64_t first_seq,
                                                  int max) const {
  audit::EntryPage page;
  for (const audit::Entry& entry : entries) {
    if (entry.run != run || entry.run_seq < first_seq) continue;
    page.more = page.entries.size() == static_cast<std::size_t>(max);
    if (page.more) break;
    page.entries.push_back(entry);
  }
  return page;
}
core::StatusOr<audit::PayloadRow> FakeLog::ReadPayload(std::uint64_t index, int slot) const {
  const auto found = erased.find(index);
  if (found == erased.end() || slot > found->second.back()) return core::NotFound("no payload");
  audit::PayloadRow row;
  row.erased = std::count(found->second.begin(), found->second.end(), slot) > 0;
  return row;
}
core::Status FakeLog::Query(const std::function<core::Status(sqlite3*)>&) const {
  return core::FailedPrecondition("a fake log has no database");
}
core::StatusOr<std::string> FakeLog::ReadBlob(const core::Digest& digest) const {
  if (digest == core::Sha256("a policy")) return std::string("a policy");
  return core::NotFound("no such blob");
}
core::StatusOr<audit::Checkpoint> FakeLog::CheckpointNow() {
  return audit::Checkpoint{.origin = "fake/main", .size = size(), .root = {}, .note = "note"};
}
void FakeLog::AwaitCheckpoint(std::uint64_t index, std::chrono::steady_clock::time_point deadline,
                              std::function<void(core::StatusOr<audit::Checkpoint>)> done) const {
  if (index < size()) {
    return done(
        audit::Checkpoint{.origin = "fake/main", .size = size(), .root = {}, .note = "waited\n"});
  }
  awaited.push_back(deadline - std::chrono::steady_clock::now());
  done(core::Error(core::StatusCode::kDeadlineExceeded, "no head"));
}
core::StatusOr<audit::Checkpoint> FakeLog::CosignedCheckpoint() const {
  if (cosigned) return *cosigned;
  return core::NotFound("no witness has cosigned");
}
core::StatusOr<std::vector<core::Digest>> FakeLog::InclusionProof(std::uint64_t,
                                                                  std::uint64_t) const {
  return std::vector<core::Digest>{core::Sha256("sibling")};
}
core::StatusOr<std::vector<core::Digest>> FakeLog::ConsistencyProof(std::uint64_t,
                                                                    std::uint64_t) const {
  return std::vector<core::Digest>{core::Sha256("subtree")};
}

}  // namespace interlock::runtime
