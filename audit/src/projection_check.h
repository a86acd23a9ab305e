// Projections folded again from entries into a scratch database, and compared row by row.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "audit/log.h"
#include "findings.h"
#include "run_index.h"
#include "sqlite.h"

namespace interlock::audit {

// One per thread.
class ProjectionCheck {
 public:
  // Errors: those of the file's watermark row and of the projectors' own schema.
  core::Status Start(sqlite3* file, const std::vector<Projector*>& projectors);

  // The file's projections were made by another set of projectors than the ones given: not
  // comparable.
  bool other_version() const { return other_version_; }
  std::uint64_t watermark() const { return watermark_; }
  bool has_watermark() const { return scratch_ != nullptr; }
  core::Status Fold(const EntryView& entry);
  core::Status Compare(Findings* findings);
  // The digest of what a log with these entries would be closed with (succession.h), from the fold
  // and not from the file; empty when the fold does not hold all `size` entries. Before Compare.
  core::StatusOr<std::string> Carried(std::uint64_t size);

 private:
  std::string SchemaSql() const;
  core::Status Make(const std::string& statement);
  core::Status TakeSchema();
  core::Status CompareSchema(Findings* findings);
  core::Status CheckIndexes(const std::string& table, Findings* findings);
  core::Status CompareTable(const std::string& table, Findings* findings);

  sqlite3* file_ = nullptr;
  Db scratch_;
  std::vector<std::string> schema_;  // as it should stand in the file
  RunIndex run_index_;
  std::vector<Projector*> projectors_;  // run_index_ first
  bool only_run_index_ = true;
  std::uint64_t watermark_ = 0;
  bool other_version_ = false;
};

}  // namespace interlock::audit
