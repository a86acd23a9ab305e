// What the tests of the log share: a temporary folder, a clock of their own, a signer, an open log.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "audit/checkpoint.h"
#include "audit/commitment.h"
#include "audit/keys.h"
#include "audit/log.h"
#include "core/random.h"
#include "harness/temp_folder.h"

namespace interlock::audit {

using test::TempFolder;

// Wall and monotonic time move only when told. Thread-safe.
class ManualClock final : public core::Clock {
 public:
  std::int64_t WallMicros() const override { return wall_us.load(); }
  std::int64_t MonotonicMicros() const override { return monotonic_us.load(); }
  void Advance(std::int64_t by_us) {
    wall_us += by_us;
    monotonic_us += by_us;
  }
  std::atomic<std::int64_t> wall_us{1'700'000'000'000'000};
  std::atomic<std::int64_t> monotonic_us{1'000'000};
};

inline const std::string kRunA = "0190c2a4-7d2e-7c3a-8b1f-0123456789ab";
inline const std::string kRunB = "0190c2a4-7d2e-7c3a-8b1f-0123456789ac";

inline NewEntry EntryOf(std::string_view kind, std::string_view run,
                        std::string_view body = R"({"n":1})") {
  return {.kind = kind, .run = run, .actor = "engine", .body = body, .cites = {}};
}

// Calls functions instead of being a class of its own in every test.
class TestCommand final : public Command {
 public:
  TestCommand(std::function<core::Status(Transaction&)> apply,
              std::function<void(const core::Status&)> done)
      : apply_(std::move(apply)), done_(std::move(done)) {}
  core::Status Apply(Transaction& transaction) override { return apply_(transaction); }
  void Done(const core::Status& status) override { done_(status); }

 private:
  std::function<core::Status(Transaction&)> apply_;
  std::function<void(const core::Status&)> done_;
};

class LogFixture : public ::testing::Test {
 protected:
  LogFixture() {
    auto signer = OpenFileSigner(folder_.path() + "/signer", "interlock.example/main");
    EXPECT_TRUE(signer.ok()) << signer.status();
    if (signer.ok()) signer_ = *std::move(signer);
  }

  LogOptions Options() {
    LogOptions options;
    options.folder = folder_.path() + "/tenants/main";
    options.tenant = "main";
    options.origin = "interlock.example/main";
    options.clock = &clock_;
    options.signer = signer_.get();
    options.projectors = projectors_;
    options.ballast_bytes = 1 << 20;
    return options;
  }
  std::string Database() { return Options().folder + "/audit.db"; }

  std::unique_ptr<Log> MustOpen() { return MustOpen(Options()); }
  static std::unique_ptr<Log> MustOpen(const LogOptions& options) {
    auto log = Log::Open(options);
    EXPECT_TRUE(log.ok()) << log.status();
    if (!log.ok()) std::abort();
    return *std::move(log);
  }

  TempFolder folder_;
  ManualClock clock_;
  core::SystemRandom random_;
  std::unique_ptr<Signer> signer_;
  std::vector<Projector*> projectors_;
};

}  // namespace interlock::audit
