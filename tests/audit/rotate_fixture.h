// A fold with state that must survive a rotation, and a folder of several logs.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "audit/rotate.h"
#include "audit/verify.h"
#include "fixture.h"
#include "sqlite.h"

namespace interlock::audit {

// Entries `mark.set` {"k":…,"v":…} keep the newest value of a key; key "open" forbids to close.
class MarkProjector final : public Projector {
 public:
  std::string_view name() const override { return "marks"; }
  std::vector<std::string> Schema() const override {
    return {
        "CREATE TABLE IF NOT EXISTS p_mark(k TEXT NOT NULL PRIMARY KEY, v TEXT NOT NULL) "
        "STRICT, WITHOUT ROWID"};
  }
  core::Status Attach(sqlite3* db) override {
    db_ = db;
    return core::OkStatus();
  }
  core::Status Apply(const EntryView& entry) override {
    if (entry.kind != "mark.set" && entry.kind != "state.carried") return core::OkStatus();
    changed_[entry.body.String("k").value_or("")] = entry.body.String("v").value_or("");
    return core::OkStatus();
  }
  core::Status Flush() override {
    for (const auto& [key, value] : changed_) {
      INTERLOCK_ASSIGN_OR_RETURN(
          Statement write,
          Statement::Prepare(db_, "INSERT OR REPLACE INTO p_mark(k, v) VALUES(?, ?)"));
      INTERLOCK_RETURN_IF_ERROR(write.Text(1, key).Text(2, value).Run());
    }
    changed_.clear();
    return core::OkStatus();
  }
  void Reset() override { changed_.clear(); }
  core::Status MayClose(sqlite3* db) override {
    INTERLOCK_ASSIGN_OR_RETURN(const std::int64_t open,
                               QueryInt(db, "SELECT count(*) FROM p_mark WHERE k = 'open'"));
    return open == 0 ? core::OkStatus() : core::FailedPrecondition("1 mark is open: unset it");
  }
  core::StatusOr<std::vector<std::string>> Carried(sqlite3* db) override {
    std::vector<std::string> bodies;
    INTERLOCK_ASSIGN_OR_RETURN(Statement rows,
                               Statement::Prepare(db, "SELECT k, v FROM p_mark ORDER BY k"));
    for (;;) {
      INTERLOCK_ASSIGN_OR_RETURN(const bool row, rows.Step());
      if (!row) return bodies;
      bodies.push_back(Body(std::string(rows.Bytes(0)), std::string(rows.Bytes(1))));
    }
  }
  static std::string Body(const std::string& key, const std::string& value) {
    return R"({"k":")" + key + R"(","v":")" + value + R"("})";
  }

 private:
  sqlite3* db_ = nullptr;
  std::map<std::string, std::string> changed_;
};

class RotateFixture : public LogFixture {
 protected:
  RotateFixture() { projectors_ = {&marks_}; }

  RotateOptions Rotation() {
    RotateOptions options;
    options.log = Options();
    options.actor = "local:uid-0";
    options.reason = "a year is over";
    return options;
  }
  core::StatusOr<RotateReport> RotateNow() {
    clock_.Advance(1'000'000);
    return Rotate(Rotation());
  }
  void MustRotate() {
    const auto report = RotateNow();
    ASSERT_TRUE(report.ok()) << report.status();
  }
  static void Set(Log& log, const std::string& key, const std::string& value) {
    const std::string body = MarkProjector::Body(key, value);
    ASSERT_TRUE(log.Append(EntryOf("mark.set", "", body)).ok());
  }
  // Appends `entries` marks to the log that is open now, and closes the daemon.
  void Fill(int entries, const std::string& value) {
    const auto log = MustOpen();
    for (int i = 0; i < entries; ++i) {
      clock_.Advance(1000);
      Set(*log, "k" + std::to_string(i % 7), value + std::to_string(i));
    }
  }
  static std::map<std::string, std::string> Marks(Log& log) {
    std::map<std::string, std::string> marks;
    const core::Status read = log.Query([&](sqlite3* db) -> core::Status {
      INTERLOCK_ASSIGN_OR_RETURN(Statement rows, Statement::Prepare(db, "SELECT k, v FROM p_mark"));
      for (;;) {
        INTERLOCK_ASSIGN_OR_RETURN(const bool row, rows.Step());
        if (!row) return core::OkStatus();
        marks[std::string(rows.Bytes(0))] = std::string(rows.Bytes(1));
      }
    });
    EXPECT_TRUE(read.ok()) << read;
    return marks;
  }
  std::string At(const std::string& file) { return Options().folder + "/" + file; }
  FolderReport Check(const std::string& key = "", std::vector<std::string> notes = {}) {
    return CheckIn(Options().folder, key, std::move(notes));
  }
  static FolderReport CheckIn(const std::string& folder, const std::string& key = "",
                              std::vector<std::string> notes = {}) {
    VerifyOptions options;
    options.verifier_key = key;
    options.outside_checkpoints = std::move(notes);
    return VerifyFolder(folder, options, [] {
      std::vector<std::unique_ptr<Projector>> projectors;
      projectors.push_back(std::make_unique<MarkProjector>());
      return projectors;
    });
  }

  MarkProjector marks_;
};

}  // namespace interlock::audit
