// What the benchmarks of the whole gate share: everything that main() of the daemon would build,
// without network and sandbox, and the lines that run.py reads.
#pragma once

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "audit/keys.h"
#include "audit/log.h"
#include "core/clock.h"
#include "core/random.h"
#include "core/status.h"
#include "runtime/agent.h"
#include "runtime/make_engine.h"
#include "runtime/planners.h"
#include "tools/executor.h"
#include "tools/fetcher.h"

namespace interlock::bench {

using SteadyClock = std::chrono::steady_clock;

// Ends the program with status 2 and the error.
template <typename T>
T Must(core::StatusOr<T> value) {
  if (!value.ok()) {
    std::cerr << "bench: " << core::Message(value.status()) << "\n";
    std::exit(2);
  }
  return std::move(value).value();
}

double SecondsSince(SteadyClock::time_point start);
double CpuSeconds();        // of this process, all threads
double ThreadCpuSeconds();  // of the caller's
double Median(std::vector<double> values);
double AppendAndSyncMicros(const std::filesystem::path& path);  // 4 KiB to a new file and fdatasync

// A program's own: empty at first, and gone with this object. What stands there already goes too,
// so the last part of its path is a name that nobody else takes.
class OwnFolder {
 public:
  explicit OwnFolder(std::filesystem::path path) : path_(std::move(path)) {
    std::filesystem::remove_all(path_);
    std::filesystem::create_directories(path_);
  }
  ~OwnFolder() {
    std::error_code left_behind;
    std::filesystem::remove_all(path_, left_behind);
  }
  OwnFolder(const OwnFolder&) = delete;
  OwnFolder& operator=(const OwnFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  const std::filesystem::path path_;
};

// A whole number from 1 on; ends the program with status 2 and its usage for any other text.
int CountOf(const std::string& text, std::string_view usage);

struct StackOptions {
  std::filesystem::path folder;    // of the tenant; made
  std::string policy;              // Lua
  std::vector<std::string> tools;  // no-ops
  std::string schema = {};         // of their arguments; empty: {amount, order_id, reason}
  std::vector<runtime::AgentFile> agents = {};
  std::vector<runtime::PlannerConfig> planners = {};  // of models on loopback
  std::string ca_file = {};                           // that models are trusted by; empty: none
  bool search = false;                                // full text, as the daemon keeps it
  std::string money_tool = {};                        // of the tools, whose `amount` in cents moves
};

struct Stack {
  explicit Stack(const StackOptions& options);
  ~Stack();

  core::SystemClock clock;
  core::SystemRandom random;
  core::PermitMint mint;
  std::shared_ptr<const tools::Registry> registry;
  std::shared_ptr<const policies::Bundle> bundle;
  std::unique_ptr<audit::Signer> signer;
  std::unique_ptr<audit::KeyStore> keys;
  runtime::StatePtr state;
  std::unique_ptr<audit::Log> log;
  std::unique_ptr<tools::Executor> executor;
  std::unique_ptr<tools::Fetcher> fetcher;
  runtime::PlannerSet planners;
  std::unique_ptr<runtime::Engine> engine;
};

struct Row {
  std::string what;
  double figure;
  std::string unit;
  double floor = 0;  // 0: none
  std::string floor_name;
  std::string target;
  bool met = true;
};
void Print(const Row& row);

}  // namespace interlock::bench
