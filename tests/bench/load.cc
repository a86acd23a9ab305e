#include "load.h"

#include <algorithm>
#include <sstream>
#include <thread>

namespace interlock::bench {
namespace {

constexpr const char* kArgs =
    R"({"amount":1250,"order_id":"o-1001","reason":"the mug arrived broken, the customer sent a photo"})";

double Micros(const SyncSpan& span) {
  return std::chrono::duration<double, std::micro>(span.end - span.start).count();
}

// Those since `before`.
std::vector<SyncSpan> Since(const std::vector<SyncSpan>& all, std::size_t before) {
  return {all.begin() + static_cast<std::ptrdiff_t>(before), all.end()};
}

double SecondsOf(const std::vector<SyncSpan>& spans) {
  double us = 0;
  for (const SyncSpan& span : spans) us += Micros(span);
  return us * 1e-6;
}

double LongestMillis(const std::vector<SyncSpan>& spans) {
  double us = 0;
  for (const SyncSpan& span : spans) us = std::max(us, Micros(span));
  return us / 1e3;
}

// Whether any of `spans`, which follow one another, and is as long as `micros`, falls into `call`.
bool Overlaps(const SyncSpan& call, const std::vector<SyncSpan>& spans, double micros) {
  const auto first = std::lower_bound(
      spans.begin(), spans.end(), call.start,
      [](const SyncSpan& span, SteadyClock::time_point at) { return span.end < at; });
  for (auto span = first; span != spans.end() && span->start < call.end; ++span) {
    if (Micros(*span) >= micros) return true;
  }
  return false;
}

}  // namespace

Load::Load(Stack& stack, int in_flight, std::size_t calls_max)
    : stack_(stack), in_flight_(in_flight), calls_max_(calls_max) {
  who_ = {.tenant = "main", .id = "bench", .roles = {std::string(core::kRoleIntegrator)}};
}

Load::Figures Load::Run(double seconds) {
  Begin(seconds);
  open_ = in_flight_;
  for (int i = 0; i < in_flight_; ++i) Start(SteadyClock::now());
  return End();
}

Load::Figures Load::Paced(int per_second, double seconds) {
  paced_ = true;
  Begin(seconds);
  const auto between = std::chrono::nanoseconds(1'000'000'000 / per_second);
  for (auto due = start_; due < end_; due += between) {
    std::this_thread::sleep_until(due);
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return open_ < in_flight_; });
      ++open_;
    }
    Start(due);
  }
  return End();
}

void Load::Begin(double seconds) {
  before_ = SyncsSoFar();
  cpu_before_ = CpuSeconds();
  start_ = SteadyClock::now();
  end_ = start_ +
         std::chrono::duration_cast<SteadyClock::duration>(std::chrono::duration<double>(seconds));
}

Load::Figures Load::End() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return open_ == 0; });
  Figures figures;
  figures.seconds = SecondsSince(start_);
  figures.calls = static_cast<double>(calls_.size());
  figures.cpu_us = (CpuSeconds() - cpu_before_) / figures.calls * 1e6;
  const Syncs all = SyncsSoFar();
  figures.syncs = {Since(all.of_writer, before_.of_writer.size()),
                   Since(all.of_upkeep, before_.of_upkeep.size())};
  figures.calls_per_commit =
      figures.calls / static_cast<double>(std::max<std::size_t>(figures.syncs.of_writer.size(), 1));
  figures.sync_share = SecondsOf(figures.syncs.of_writer) / figures.seconds;
  std::sort(calls_.begin(), calls_.end(),
            [](const SyncSpan& a, const SyncSpan& b) { return Micros(a) < Micros(b); });
  const std::size_t slow = calls_.size() * 99 / 100;
  figures.p50_us = Micros(calls_[calls_.size() / 2]);
  figures.p99_us = Micros(calls_[slow]);
  figures.slowest = Since(calls_, slow);
  return figures;
}

void Load::Start(SteadyClock::time_point due) {
  runtime::ToolCallSpec spec;
  spec.tool = "bench.pay";
  spec.args = kArgs;
  spec.user = "maria";
  spec.session = {{"channel", "chat"}};
  spec.request_id = core::NewUuidV7(stack_.clock, stack_.random);
  stack_.engine->ExecuteToolCall(
      who_, std::move(spec), [this, due](core::StatusOr<runtime::CallInfo> call) {
        const runtime::CallInfo info = Must(std::move(call));
        if (info.state != runtime::CallState::kOk) {
          std::cerr << "bench: a call was not allowed: " << info.code << " " << info.say << "\n";
          std::exit(2);
        }
        Answered(due);
      });
}

void Load::Answered(SteadyClock::time_point due) {
  const auto now = SteadyClock::now();
  bool more = false;
  {
    const std::lock_guard lock(mutex_);
    calls_.push_back({due, now});
    const bool time_left =
        calls_max_ > 0 ? calls_.size() + static_cast<std::size_t>(open_) <= calls_max_ : now < end_;
    more = time_left && !paced_;
    if (!more) --open_;
    if (open_ == 0 || paced_) changed_.notify_all();
  }
  if (more) Start(now);
}

std::string Explained(const Load::Figures& figures) {
  constexpr double kLongMicros = 5'000;
  const auto share = [&figures](const std::vector<SyncSpan>& spans, double micros) {
    const auto hit =
        std::count_if(figures.slowest.begin(), figures.slowest.end(),
                      [&](const SyncSpan& call) { return Overlaps(call, spans, micros); });
    return std::to_string(100 * hit / static_cast<std::ptrdiff_t>(figures.slowest.size()));
  };
  std::ostringstream line;
  line << "p50 " << figures.p50_us / 1e3 << " ms, p99 " << figures.p99_us / 1e3 << " ms, slowest "
       << Micros(figures.slowest.back()) / 1e3 << " ms; of the slowest 1 % "
       << share(figures.syncs.of_writer, kLongMicros)
       << " % met a commit's sync of 5 ms or more (the longest: "
       << LongestMillis(figures.syncs.of_writer) << " ms), "
       << share(figures.syncs.of_upkeep, kLongMicros)
       << " % a sync of 5 ms or more of the log's copy or a head (the longest: "
       << LongestMillis(figures.syncs.of_upkeep) << " ms)";
  return line.str();
}

}  // namespace interlock::bench
