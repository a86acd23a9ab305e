// What the parts of bench_audit share.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "audit/keys.h"
#include "audit/log.h"

namespace interlock::audit::bench {

// One line of the table of tests/bench/run.py. `met` is empty for a row without a target.
struct Row {
  std::string what;
  double figure = 0;
  std::string unit;
  double floor = 0;  // 0: none
  std::string floor_name;
  std::string target;
  std::optional<bool> met;
};
void Print(const Row& row);

double Seconds();     // monotonic
double CpuSeconds();  // of all threads of this process
double MedianOf(std::vector<double> values);

// A folder beside the program, not in a memory file system: a sync must be one. Removed at the end.
class WorkFolder {
 public:
  WorkFolder();
  ~WorkFolder();
  WorkFolder(const WorkFolder&) = delete;
  WorkFolder& operator=(const WorkFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// A log of its own in a folder, with the options that the daemon uses.
struct Bed {
  explicit Bed(const std::string& folder, std::vector<Projector*> projectors = {});
  core::SystemClock clock;
  std::unique_ptr<Signer> signer;
  std::unique_ptr<Log> log;
  std::string database;
};

// A command of four entries and one sealed payload, about one of the two commits of a governed
// call. Keeps `writers` of them in flight until `seconds` have passed; each Done submits the next.
inline constexpr int kEntriesACommand = 4;
struct LoadFigures {
  double entries = 0;
  double seconds = 0;
  double cpu_seconds = 0;
  // End of each commit, as entry indexes.
  std::vector<std::uint64_t> commits;
};
LoadFigures RunLoad(Log& log, const SealedPayload& payload, int writers, double seconds);
SealedPayload SealOne(const std::string& folder);

// Reads what a log wrote and writes it again through bare SQLite: the same tables and indexes
// without checks and triggers, the same rows in the same commits. Returns the seconds that it took.
double BareSeconds(const std::string& database, const std::string& folder,
                   const std::vector<std::uint64_t>& commits);

// Rows of the table.
void AppendRates(const std::string& folder, const std::vector<int>& writers);

}  // namespace interlock::audit::bench
