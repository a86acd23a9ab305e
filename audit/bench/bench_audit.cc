// Figures of the log, each beside its floor in the same run (tests/bench/run.py makes the table).
#include <stdlib.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iostream>

#include "audit/checkpoint.h"
#include "bench.h"
#include "core/clock.h"
#include "core/json.h"

namespace interlock::audit::bench {
namespace {

constexpr double kShareOfFloor = 0.85;
constexpr int kPairs = 7;
constexpr double kSliceSeconds = 0.8;

void AppendRate(const std::string& folder, int writers) {
  const SealedPayload payload = SealOne(folder);
  std::vector<double> rates;
  std::vector<double> shares;
  std::vector<double> cpu_micros;
  for (int pair = 0; pair < kPairs; ++pair) {
    const std::string slice = folder + "/" + std::to_string(writers) + "-" + std::to_string(pair);
    std::filesystem::create_directories(slice);
    LoadFigures load;
    std::string database;
    {
      Bed bed(slice);
      database = bed.database;
      load = RunLoad(*bed.log, payload, writers, kSliceSeconds);
      cpu_micros.push_back(load.cpu_seconds * 1e6 / load.entries);
    }
    const double bare = BareSeconds(database, slice, load.commits);
    rates.push_back(load.entries / load.seconds);
    shares.push_back(bare / load.seconds);
    std::filesystem::remove_all(slice);
  }
  const std::string at = std::to_string(writers) + (writers == 1 ? " writer" : " writers");
  const double share = MedianOf(shares);
  const double rate = MedianOf(rates);
  // The table takes its ratio from figure and floor: the floor that the median share stands for.
  Print({.what = "durable entries, " + at,
         .figure = rate,
         .unit = "1/s",
         .floor = rate / share,
         .floor_name = "bare SQLite loop",
         .target = ">= 85 % of the floor",
         .met = share >= kShareOfFloor});
  Print({.what = "processor per entry, " + at,
         .figure = MedianOf(cpu_micros),
         .unit = "us",
         .floor_name = "",
         .target = "",
         .met = {}});
}

}  // namespace

void Print(const Row& row) {
  std::string line = R"({"what":)";
  core::AppendJsonString(row.what, line);
  line += R"(,"p50":)" + std::to_string(row.figure) + R"(,"unit":)";
  core::AppendJsonString(row.unit, line);
  line += R"(,"floor":)" + (row.floor > 0 ? std::to_string(row.floor) : "null");
  line += R"(,"floor_name":)";
  core::AppendJsonString(row.floor_name, line);
  line += R"(,"target":)";
  core::AppendJsonString(row.target, line);
  line += std::string(R"(,"target_met":)") +
          (!row.met   ? "null"
           : *row.met ? "true"
                      : "false") +
          "}";
  std::cout << "BENCH " << line << std::endl;
}

double Seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double CpuSeconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double MedianOf(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

WorkFolder::WorkFolder() {
  const auto program = std::filesystem::read_symlink("/proc/self/exe");
  std::string pattern = (program.parent_path() / "bench-audit-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) std::abort();
  path_ = pattern;
}

WorkFolder::~WorkFolder() {
  std::error_code error;
  std::filesystem::remove_all(path_, error);
}

Bed::Bed(const std::string& folder, std::vector<Projector*> projectors) {
  auto opened = OpenFileSigner(folder + "/signer", "bench.example/main");
  if (!opened.ok()) std::abort();
  signer = *std::move(opened);
  LogOptions options;
  options.folder = folder + "/tenants/main";
  options.tenant = "main";
  options.origin = "bench.example/main";
  options.clock = &clock;
  options.signer = signer.get();
  options.projectors = std::move(projectors);
  options.ballast_bytes = 0;
  auto made = Log::Open(options);
  if (!made.ok()) {
    std::cerr << made.status() << "\n";
    std::abort();
  }
  log = *std::move(made);
  database = options.folder + "/audit.db";
}

void AppendRates(const std::string& folder, const std::vector<int>& writers) {
  for (const int count : writers) AppendRate(folder, count);
}

}  // namespace interlock::audit::bench

int main(int argc, char** argv) {
  using namespace interlock::audit::bench;  // NOLINT(google-build-using-namespace)
  const WorkFolder folder;
  std::vector<int> writers;
  for (int i = 1; i < argc; ++i) writers.push_back(std::atoi(argv[i]));
  AppendRates(folder.path(), writers.empty() ? std::vector<int>{1, 8, 64, 256} : writers);
  return 0;
}
