// The log's contract: durable, ordered, grouped, readable at once, and the same after a restart.
#include "audit/log.h"

#include <gmock/gmock.h>
#include <sqlite3.h>

#include <chrono>
#include <future>
#include <map>
#include <thread>

#include "audit/merkle.h"
#include "fixture.h"

namespace interlock::audit {
namespace {

using ::testing::HasSubstr;

class LogTest : public LogFixture {};

TEST_F(LogTest, AppendsAnEntryWithItsEnvelope) {
  auto log = MustOpen();
  const std::vector<std::string> cites = {"sha256:" + std::string(64, 'a')};
  NewEntry entry = EntryOf("run.started", kRunA, R"({"agent":"refund"})");
  entry.cites = cites;
  const auto ref = log->Append(entry);
  ASSERT_TRUE(ref.ok()) << ref.status();
  EXPECT_EQ(ref->index, 0u);
  EXPECT_EQ(log->size(), 1u);
  const auto read = log->Read(0);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->bytes, R"({"actor":"engine","body":{"agent":"refund"},"cites":["sha256:)" +
                             std::string(64, 'a') +
                             R"("],"index":0,"kind":"run.started","prev":"","run":")" + kRunA +
                             R"(","run_seq":0,"tenant":"main","time_us":1700000000000000,"v":1})");
  EXPECT_EQ(read->leaf_hash, LeafHash(read->bytes));
  EXPECT_EQ(read->leaf_hash, ref->leaf_hash);
  EXPECT_EQ(read->run_seq, 0);
}

TEST_F(LogTest, ChainsEachRunByItself) {
  auto log = MustOpen();
  const auto a0 = log->Append(EntryOf("run.started", kRunA));
  const auto b0 = log->Append(EntryOf("run.started", kRunB));
  ASSERT_TRUE(log->Append(EntryOf("call.proposed", kRunA)).ok());
  ASSERT_TRUE(log->Append(EntryOf("bundle.activated", "")).ok());
  ASSERT_TRUE(log->Append(EntryOf("call.proposed", kRunB)).ok());
  EXPECT_THAT(log->Read(2)->bytes, HasSubstr("\"prev\":\"" + core::Hex(a0->leaf_hash) + "\""));
  EXPECT_THAT(log->Read(4)->bytes, HasSubstr("\"prev\":\"" + core::Hex(b0->leaf_hash) + "\""));
  EXPECT_EQ(log->Read(2)->run_seq, 1);
  EXPECT_EQ(log->Read(3)->run_seq, -1);
  EXPECT_THAT(log->Read(3)->bytes, HasSubstr(R"("prev":"","run":"","run_seq":-1)"));
}

TEST_F(LogTest, GoesOnAfterARestartWhereItStopped) {
  EntryRef last;
  {
    auto log = MustOpen();
    for (int i = 0; i < 600; ++i) last = *log->Append(EntryOf("call.proposed", kRunA));
  }
  auto log = MustOpen();
  EXPECT_EQ(log->size(), 600u);
  EXPECT_EQ(log->newest_checkpoint()->size, 600u);
  const auto next = log->Append(EntryOf("call.decided", kRunA));
  ASSERT_TRUE(next.ok()) << next.status();
  EXPECT_EQ(next->index, 600u);
  EXPECT_EQ(log->Read(600)->run_seq, 600);
  EXPECT_THAT(log->Read(600)->bytes, HasSubstr("\"prev\":\"" + core::Hex(last.leaf_hash) + "\""));
}

TEST_F(LogTest, ReadsARunAtOnceAndInOrder) {
  auto log = MustOpen();
  for (int i = 0; i < 1500; ++i) {
    ASSERT_TRUE(log->Append(EntryOf("call.proposed", i % 3 == 0 ? kRunB : kRunA)).ok());
    const auto last = log->ReadRun(kRunA, i - i / 3 - 1, 10);
    ASSERT_TRUE(last.ok()) << last.status();
    if (i % 3 != 0) {
      ASSERT_FALSE(last->entries.empty());
      ASSERT_EQ(last->entries.back().index, static_cast<std::uint64_t>(i));
    }
  }
  std::int64_t expected = 0;
  bool more = true;
  while (more) {
    const auto page = log->ReadRun(kRunA, expected, 64);
    ASSERT_TRUE(page.ok());
    for (const Entry& entry : page->entries) {
      ASSERT_EQ(entry.run_seq, expected++);
      ASSERT_EQ(entry.run, kRunA);
    }
    more = page->more;
  }
  EXPECT_EQ(expected, 1000);
}

TEST_F(LogTest, PagesThroughARange) {
  auto log = MustOpen();
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(log->Append(EntryOf("call.proposed", kRunA)).ok());
  const auto page = log->ReadRange(3, 4);
  ASSERT_TRUE(page.ok());
  ASSERT_EQ(page->entries.size(), 4u);
  EXPECT_EQ(page->entries.front().index, 3u);
  EXPECT_TRUE(page->more);
  EXPECT_FALSE(log->ReadRange(6, 4)->more);
  EXPECT_TRUE(log->ReadRange(10, 4)->entries.empty());
  EXPECT_EQ(log->Read(10).status().code(), core::StatusCode::kNotFound);
}

TEST_F(LogTest, AnErrorTakesBackTheCommandsEntries) {
  auto log = MustOpen();
  std::promise<core::Status> failed;
  log->Submit(std::make_unique<TestCommand>(
                  [](Transaction& transaction) -> core::Status {
                    EXPECT_TRUE(transaction.Append(EntryOf("call.proposed", kRunA)).ok());
                    EXPECT_TRUE(transaction.Append(EntryOf("call.decided", kRunA)).ok());
                    EXPECT_EQ(transaction.next_index(), 2u);
                    return core::Internal("changed its mind");
                  },
                  [&](const core::Status& status) { failed.set_value(status); }),
              Urgency::kNormal);
  EXPECT_EQ(failed.get_future().get(), core::Internal("changed its mind"));
  const auto ref = log->Append(EntryOf("run.started", kRunA));
  ASSERT_TRUE(ref.ok());
  EXPECT_EQ(ref->index, 0u);
  EXPECT_EQ(log->Read(0)->run_seq, 0);
  EXPECT_EQ(log->size(), 1u);
}

TEST_F(LogTest, AListenerThatIsTakenAwayHasEnded) {
  auto log = MustOpen();
  std::promise<void> entered;
  std::promise<void> go_on;
  std::atomic<bool> gone = false;
  log->SetListener([&](std::uint64_t, std::uint64_t) {
    entered.set_value();
    go_on.get_future().wait();
  });
  ASSERT_TRUE(log->Append(EntryOf("run.started", kRunA)).ok());
  entered.get_future().wait();
  std::thread taker([&] {
    log->SetListener(nullptr);
    gone = true;
  });
  for (int i = 0; i < 10'000 && !gone; ++i) std::this_thread::yield();
  EXPECT_FALSE(gone);
  go_on.set_value();
  taker.join();
  ASSERT_TRUE(log->Append(EntryOf("run.completed", kRunA)).ok());
}

TEST_F(LogTest, GroupsCommandsIntoOneCommit) {
  auto log = MustOpen();
  std::vector<std::pair<std::uint64_t, std::uint64_t>> commits;  // writer thread, read after Append
  log->SetListener(
      [&](std::uint64_t first, std::uint64_t end) { commits.emplace_back(first, end); });
  // The first command holds the writer until all others are queued.
  std::promise<void> release;
  std::shared_future<void> released = release.get_future().share();
  std::atomic<int> done{0};
  log->Submit(std::make_unique<TestCommand>(
                  [released](Transaction& transaction) {
                    released.wait();
                    return transaction.Append(EntryOf("run.started", kRunA)).status();
                  },
                  [&](const core::Status&) { ++done; }),
              Urgency::kNormal);
  for (int i = 0; i < 300; ++i) {
    log->Submit(std::make_unique<TestCommand>(
                    [](Transaction& transaction) {
                      return transaction.Append(EntryOf("call.proposed", kRunA)).status();
                    },
                    [&](const core::Status& status) {
                      EXPECT_TRUE(status.ok());
                      ++done;
                    }),
                Urgency::kNormal);
  }
  release.set_value();
  ASSERT_TRUE(log->Append(EntryOf("run.completed", kRunA)).ok());
  EXPECT_EQ(done, 301);
  EXPECT_EQ(log->size(), 302u);
  log.reset();
  ASSERT_GE(commits.size(), 2u);
  EXPECT_LE(commits.size(), 4u);
  std::uint64_t next = 0;
  for (const auto& [first, end] : commits) {
    EXPECT_EQ(first, next);
    EXPECT_LE(end - first, kBatchMax);
    next = end;
  }
  EXPECT_EQ(next, 302u);
}

TEST_F(LogTest, ManyWritersLoseNothing) {
  auto log = MustOpen();
  constexpr int kThreads = 8;
  constexpr int kEach = 100;
  std::vector<std::thread> threads;
  std::vector<std::vector<EntryRef>> refs(kThreads);
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i) {
        const auto ref = log->Append(EntryOf("call.proposed", t % 2 == 0 ? kRunA : kRunB));
        ASSERT_TRUE(ref.ok());
        refs[static_cast<std::size_t>(t)].push_back(*ref);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::map<std::uint64_t, core::Digest> all;
  for (const auto& list : refs) {
    for (const EntryRef& ref : list) all[ref.index] = ref.leaf_hash;
  }
  ASSERT_EQ(all.size(), static_cast<std::size_t>(kThreads * kEach));
  for (const auto& [index, hash] : all) EXPECT_EQ(log->Read(index)->leaf_hash, hash);
}

TEST_F(LogTest, TimeNeverGoesBack) {
  std::vector<std::int64_t> steps;
  LogOptions options = Options();
  options.clock_stepped = [&](std::int64_t by_us) { steps.push_back(by_us); };
  {
    auto log = MustOpen(options);
    ASSERT_TRUE(log->Append(EntryOf("run.started", kRunA)).ok());
    clock_.wall_us -= 5'000'000;
    ASSERT_TRUE(log->Append(EntryOf("call.proposed", kRunA)).ok());
    EXPECT_EQ(log->Read(1)->time_us, log->Read(0)->time_us);
    clock_.Advance(7'000'000);
    ASSERT_TRUE(log->Append(EntryOf("call.proposed", kRunA)).ok());
    EXPECT_EQ(log->Read(2)->time_us, log->Read(0)->time_us + 2'000'000);
  }
  EXPECT_THAT(steps, ::testing::ElementsAre(-5'000'000));
  clock_.wall_us -= 7'200'000'000;
  auto log = MustOpen(options);
  EXPECT_GT(log->ahead_of_wall_us(), 3'600'000'000);
  ASSERT_TRUE(log->Append(EntryOf("call.proposed", kRunA)).ok());
  EXPECT_GE(log->Read(3)->time_us, log->Read(2)->time_us);
}

struct Refused {
  const char* name;
  NewEntry entry;
};

TEST_F(LogTest, RefusesEntriesThatAreNotCanonical) {
  auto log = MustOpen();
  const std::vector<std::string> unsorted = {"sha256:" + std::string(64, 'b'),
                                             "sha256:" + std::string(64, 'a')};
  NewEntry cites = EntryOf("run.started", kRunA);
  cites.cites = unsorted;
  NewEntry actor = EntryOf("run.started", kRunA);
  actor.actor = "";
  const std::vector<Refused> cases = {
      {"upper-case kind", EntryOf("Run.started", kRunA)},
      {"kind with a quote", EntryOf("a\"b", kRunA)},
      {"run is no UUID", EntryOf("run.started", "run-1")},
      {"no actor", actor},
      {"cites not sorted", cites},
      {"body is a list", EntryOf("run.started", kRunA, "[]")},
      {"body has a space", EntryOf("run.started", kRunA, R"({"a": 1})")},
      {"keys not sorted", EntryOf("run.started", kRunA, R"({"b":1,"a":1})")},
      {"key twice", EntryOf("run.started", kRunA, R"({"a":1,"a":1})")},
      {"float", EntryOf("run.started", kRunA, R"({"a":1.5})")},
      {"integer beyond 2^53", EntryOf("run.started", kRunA, R"({"a":9007199254740992})")},
      {"body goes on", EntryOf("run.started", kRunA, R"({"a":1},"index":9)")},
      {"body ends early", EntryOf("run.started", kRunA, R"({"a":)")},
      {"bad UTF-8", EntryOf("run.started", kRunA, "{\"a\":\"\xFF\"}")},
  };
  for (const Refused& refused : cases) {
    EXPECT_EQ(log->Append(refused.entry).status().code(), core::StatusCode::kInvalidArgument)
        << refused.name;
  }
  EXPECT_EQ(log->size(), 0u);
  EXPECT_TRUE(log->Append(EntryOf("run.started", kRunA, R"({"a":"é\n","b":[-1,true,null]})")).ok());
}

TEST_F(LogTest, RefusesAnEntryAbove64KiB) {
  auto log = MustOpen();
  const std::string long_body = R"({"a":")" + std::string(kEntryBytesMax, 'x') + R"("})";
  EXPECT_EQ(log->Append(EntryOf("call.proposed", kRunA, long_body)).status().code(),
            core::StatusCode::kResourceExhausted);
  const std::string body = R"({"a":")" + std::string(kEntryBytesMax - 400, 'x') + R"("})";
  EXPECT_TRUE(log->Append(EntryOf("call.proposed", kRunA, body)).ok());
}

TEST_F(LogTest, SecondDaemonIsRefusedWithTheFirstOnesPid) {
  auto log = MustOpen();
  const auto second = Log::Open(Options());
  EXPECT_EQ(second.status().code(), core::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(core::Message(second.status())),
              HasSubstr("process " + std::to_string(::getpid())));
  log.reset();
  EXPECT_TRUE(Log::Open(Options()).ok());
}

TEST_F(LogTest, RefusesALogOfAnotherTenantOrOrigin) {
  MustOpen()->Append(EntryOf("run.started", kRunA)).IgnoreError();
  LogOptions other = Options();
  other.tenant = "other";
  EXPECT_EQ(Log::Open(other).status().code(), core::StatusCode::kFailedPrecondition);
  other = Options();
  other.origin = "evil.example/main";
  EXPECT_EQ(Log::Open(other).status().code(), core::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(Log::Open(Options()).ok());
}

TEST_F(LogTest, ProvesInclusionAndConsistency) {
  auto log = MustOpen();
  constexpr std::uint64_t kSize = 700;  // two full tiles and a part
  for (std::uint64_t i = 0; i < kSize; ++i) {
    ASSERT_TRUE(log->Append(EntryOf("call.proposed", kRunA)).ok());
  }
  const auto checkpoint = log->CheckpointNow();
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  ASSERT_EQ(checkpoint->size, kSize);
  EXPECT_TRUE(OpenCheckpoint(checkpoint->note, signer_->verifier_key()).ok());
  for (const std::uint64_t index : {0ull, 255ull, 256ull, 511ull, 512ull, 699ull}) {
    const auto proof = log->InclusionProof(index, kSize);
    ASSERT_TRUE(proof.ok()) << proof.status();
    const InclusionClaim claim{log->Read(index)->leaf_hash, index, kSize, checkpoint->root};
    EXPECT_TRUE(InclusionHolds(claim, *proof)) << index;
  }
  Frontier old;
  for (std::uint64_t i = 0; i < 300; ++i) old.Add(log->Read(i)->leaf_hash);
  const auto proof = log->ConsistencyProof(300, kSize);
  ASSERT_TRUE(proof.ok());
  EXPECT_TRUE(ConsistencyHolds({300, old.Root(), kSize, checkpoint->root}, *proof));
  EXPECT_EQ(log->InclusionProof(0, kSize + 1).status().code(), core::StatusCode::kInvalidArgument);
}

TEST_F(LogTest, SignsWhenIdle) {
  LogOptions options = Options();
  options.checkpoint_interval_us = 20'000;
  auto log = MustOpen(options);
  ASSERT_TRUE(log->Append(EntryOf("run.started", kRunA)).ok());
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  // At least the entry: on a busy machine more intervals go by, and each leaves an entry of its
  // own.
  while (log->newest_checkpoint().value_or(Checkpoint{}).size < 1 &&
         std::chrono::steady_clock::now() < until) {
    std::this_thread::yield();
  }
  ASSERT_TRUE(log->newest_checkpoint().has_value());
  EXPECT_GE(log->newest_checkpoint()->size, 1u);
}

TEST_F(LogTest, StoresPayloadsBesideTheirEntry) {
  auto keys = KeyStore::Open(folder_.path() + "/keys", &random_);
  ASSERT_TRUE(keys.ok()) << keys.status();
  const auto key = (*keys)->KeyFor("customer-7");
  ASSERT_TRUE(key.ok()) << key.status();
  auto log = MustOpen();
  const std::string text = "please refund order 12";
  std::vector<SealedPayload> payloads = {(*keys)->Seal(**key, "text/plain", text)};
  const std::string body = R"({"text":)" + CommitmentText(payloads[0], 0) + "}";
  const auto ref = log->Append(EntryOf("message.received", kRunA, body), payloads);
  ASSERT_TRUE(ref.ok()) << ref.status();
  const auto row = log->ReadPayload(ref->index, 0);
  ASSERT_TRUE(row.ok()) << row.status();
  EXPECT_FALSE(row->erased);
  EXPECT_EQ(row->payload.plain_bytes, text.size());
  const auto opened = (*keys)->Open(row->payload);
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_EQ(opened->plaintext, text);
  EXPECT_EQ(log->ReadPayload(ref->index, 1).status().code(), core::StatusCode::kNotFound);
  // A commitment without its payload, or a payload that no one names, is refused.
  EXPECT_EQ(log->Append(EntryOf("message.received", kRunA, body)).status().code(),
            core::StatusCode::kInvalidArgument);
  EXPECT_EQ(log->Append(EntryOf("message.received", kRunA), payloads).status().code(),
            core::StatusCode::kInvalidArgument);
}

// Counts entries a kind, with a table of its own.
class KindCounter final : public Projector {
 public:
  std::string_view name() const override { return "kinds"; }
  std::vector<std::string> Schema() const override {
    return {"CREATE TABLE IF NOT EXISTS p_kind(kind TEXT PRIMARY KEY, n INTEGER NOT NULL) STRICT"};
  }
  core::Status Attach(sqlite3* db) override {
    db_ = db;
    ++attached;
    return core::OkStatus();
  }
  core::Status Apply(const EntryView& entry) override {
    ++dirty_[std::string(entry.kind)];
    return core::OkStatus();
  }
  core::Status Flush() override {
    for (const auto& [kind, n] : dirty_) {
      const std::string sql = "INSERT INTO p_kind VALUES('" + kind + "'," + std::to_string(n) +
                              ") ON CONFLICT(kind) DO UPDATE SET n = n + excluded.n";
      if (sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) {
        return core::Internal(sqlite3_errmsg(db_));
      }
    }
    dirty_.clear();
    return core::OkStatus();
  }
  void Reset() override { dirty_.clear(); }
  int attached = 0;

 private:
  sqlite3* db_ = nullptr;
  std::map<std::string, std::int64_t> dirty_;
};

std::int64_t CountOf(const Log& log, const std::string& kind) {
  std::int64_t n = -1;
  const core::Status status = log.Query([&](sqlite3* db) {
    sqlite3_stmt* statement = nullptr;
    const std::string sql = "SELECT n FROM p_kind WHERE kind = '" + kind + "'";
    if (sqlite3_prepare_v2(db, sql.c_str(), -1, &statement, nullptr) != SQLITE_OK) {
      return core::Internal(sqlite3_errmsg(db));
    }
    if (sqlite3_step(statement) == SQLITE_ROW) n = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return core::OkStatus();
  });
  EXPECT_TRUE(status.ok()) << status;
  return n;
}

TEST_F(LogTest, QueriesSeeEveryAcknowledgedEntry) {
  KindCounter counter;
  projectors_ = {&counter};
  auto log = MustOpen();
  for (int i = 1; i <= 20; ++i) {
    ASSERT_TRUE(log->Append(EntryOf("call.proposed", kRunA)).ok());
    ASSERT_EQ(CountOf(*log, "call.proposed"), i);
  }
}

TEST_F(LogTest, RebuildsProjectionsThatAreBehindOrOfAnotherSchema) {
  {
    auto log = MustOpen();  // without the projector
    for (int i = 0; i < 30; ++i) ASSERT_TRUE(log->Append(EntryOf("call.decided", kRunA)).ok());
  }
  KindCounter counter;
  projectors_ = {&counter};
  auto log = MustOpen();
  EXPECT_EQ(CountOf(*log, "call.decided"), 30);
  EXPECT_EQ(log->ReadRun(kRunA, 0, 100)->entries.size(), 30u);
  log.reset();
  log = MustOpen();
  EXPECT_EQ(CountOf(*log, "call.decided"), 30);
}

// Statements are kept by their text: more of them than are kept, and each of them again.
TEST_F(LogTest, SelectsSeeEveryAcknowledgedEntry) {
  KindCounter counter;
  projectors_ = {&counter};
  auto log = MustOpen();
  const auto counted = [&log](const std::string& kind, int limit) {
    std::vector<std::int64_t> rows;
    const core::Status status =
        log->Select("SELECT n FROM p_kind WHERE kind = ? LIMIT " + std::to_string(limit),
                    std::vector<std::string>{kind},
                    [&rows](sqlite3_stmt* row) { rows.push_back(sqlite3_column_int64(row, 0)); });
    EXPECT_TRUE(status.ok()) << status;
    return rows;
  };
  for (int i = 1; i <= 200; ++i) {
    ASSERT_TRUE(log->Append(EntryOf("call.decided", kRunA)).ok());
    ASSERT_EQ(counted("call.decided", 1 + i % 90), std::vector<std::int64_t>{i});
    ASSERT_TRUE(counted("call.intended", 1 + i % 90).empty());
  }
}

TEST_F(LogTest, SelectsCannotWriteAndSayWhatIsWrong) {
  auto log = MustOpen();
  ASSERT_TRUE(log->Append(EntryOf("run.started", kRunA)).ok());
  const auto nothing = [](sqlite3_stmt*) { ADD_FAILURE() << "a row"; };
  const std::vector<std::string> none;
  EXPECT_EQ(log->Select("DELETE FROM entry", none, nothing).code(),
            core::StatusCode::kPermissionDenied);
  const core::Status unknown = log->Select("SELECT x FROM nowhere", none, nothing);
  EXPECT_EQ(core::Message(unknown),
            "cannot prepare `SELECT x FROM nowhere`: no such table: nowhere (sqlite 1)");
  EXPECT_EQ(log->size(), 1u);
}

// Another program holds the write lock for longer than we wait for it: what is only planned is told
// so, and the outcome of what happened waits until it can be written.
TEST_F(LogTest, OutcomesWaitForALockThatAnotherProgramHolds) {
  auto log = MustOpen();
  ASSERT_TRUE(log->Append(EntryOf("call.intended", kRunA)).ok());
  ASSERT_TRUE(log->Query([](sqlite3*) { return core::OkStatus(); }).ok());  // all is flushed
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open(Database().c_str(), &other), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
  const auto submit = [&log](const char* kind, Urgency urgency) {
    auto done = std::make_shared<std::promise<core::Status>>();
    log->Submit(std::make_unique<TestCommand>(
                    [kind](Transaction& transaction) {
                      return transaction.Append(EntryOf(kind, kRunA)).status();
                    },
                    [done](const core::Status& status) { done->set_value(status); }),
                urgency);
    return done->get_future();
  };
  auto outcome = submit("call.outcome", Urgency::kOutcome);
  auto planned = submit("call.decided", Urgency::kNormal);
  EXPECT_EQ(planned.get().code(), core::StatusCode::kUnavailable);
  auto later = submit("call.decided", Urgency::kNormal);  // queued while the outcome waits
  EXPECT_EQ(later.get().code(), core::StatusCode::kUnavailable);
  EXPECT_EQ(outcome.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
  EXPECT_EQ(log->health(), Health::kOk);
  ASSERT_EQ(log->warnings().size(), 2u);
  EXPECT_THAT(log->warnings()[1], HasSubstr("outcomes of calls wait"));
  sqlite3_close(other);
  const core::Status written = outcome.get();
  ASSERT_TRUE(written.ok()) << written;
  EXPECT_EQ(log->Read(1)->kind, "call.outcome");
  EXPECT_EQ(log->warnings().size(), 1u);
  ASSERT_TRUE(log->Append(EntryOf("run.completed", kRunA)).ok());
  EXPECT_EQ(log->size(), 3u);
}

TEST_F(LogTest, QueriesCannotWrite) {
  auto log = MustOpen();
  ASSERT_TRUE(log->Append(EntryOf("run.started", kRunA)).ok());
  for (const char* sql :
       {"DELETE FROM entry", "INSERT INTO entry VALUES(1, x'', x'')", "DROP TABLE entry",
        "PRAGMA query_only = OFF", "ATTACH '/tmp/x.db' AS x", "CREATE TEMP TABLE t(a)"}) {
    const core::Status status = log->Query([&](sqlite3* db) {
      EXPECT_NE(sqlite3_exec(db, sql, nullptr, nullptr, nullptr), SQLITE_OK) << sql;
      return core::OkStatus();
    });
    EXPECT_TRUE(status.ok()) << status;
  }
  EXPECT_EQ(log->size(), 1u);
}

}  // namespace
}  // namespace interlock::audit
