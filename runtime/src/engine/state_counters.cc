// The fold of counters: sliding windows of calls and of what they amount to.
#include <algorithm>
#include <limits>

#include "engine/state.h"
#include "engine/state_fields.h"

namespace interlock::runtime {
namespace {

constexpr const char* kCounterWindow = "counter_window_ms";

// Behind the second colon; 0 where there is none.
std::int64_t EventAmount(std::string_view event) {
  const std::size_t call = event.find(':');
  const std::size_t amount = call == std::string_view::npos ? call : event.find(':', call + 1);
  return amount == std::string_view::npos ? 0 : NumberAt(event.substr(amount + 1));
}

// How many calls it stands for.
std::int64_t EventCount(std::string_view event) {
  const std::size_t colon = event.find(':');
  const bool many = colon != std::string_view::npos && event.substr(colon + 1).starts_with('*');
  return many ? NumberAt(event.substr(colon + 2)) : 1;
}

bool IsEventOf(std::string_view event, std::string_view call) {
  const std::size_t colon = event.find(':');
  if (colon == std::string_view::npos) return false;
  event.remove_prefix(colon + 1);
  return event.substr(0, event.find(':')) == call;
}

std::int64_t SumOrMost(std::int64_t a, std::int64_t b) {
  std::int64_t sum = 0;
  return __builtin_add_overflow(a, b, &sum) ? std::numeric_limits<std::int64_t>::max() : sum;
}

// Both as one, of the time of the newer.
std::string Joined(std::string_view older, std::string_view newer) {
  return std::to_string(NumberAt(newer)) + ":*" +
         std::to_string(EventCount(older) + EventCount(newer)) + ":" +
         std::to_string(SumOrMost(EventAmount(older), EventAmount(newer)));
}

// Where there are more than kCounterEventsMax, the older half of them goes two by two.
void Thin(std::string& events) {
  const auto spaces = std::count(events.begin(), events.end(), ' ');
  if (static_cast<std::size_t>(spaces) < kCounterEventsMax) return;
  const std::vector<std::string> all = SplitWords(events);
  const std::size_t older = all.size() / 4 * 2;
  std::string thin;
  for (std::size_t i = 0; i < older; i += 2) {
    thin += (thin.empty() ? "" : " ") + Joined(all[i], all[i + 1]);
  }
  for (std::size_t i = older; i < all.size(); ++i) thin += " " + all[i];
  events = std::move(thin);
}

void DropBefore(std::string& events, std::int64_t time_us) {
  std::size_t begin = 0;
  while (begin < events.size() && NumberAt(std::string_view(events).substr(begin)) <= time_us) {
    begin = std::min(events.find(' ', begin), events.size() - 1) + 1;
  }
  events.erase(0, begin);
}

// From the newest back: what lies before the window is not looked at.
template <typename Take>
void ForEachWithin(const CounterRow& row, std::int64_t per_ms, std::int64_t now_us, Take take) {
  for (std::string_view left = row.events; !left.empty();) {
    const std::size_t space = left.rfind(' ');
    const std::size_t begin = space == std::string_view::npos ? 0 : space + 1;
    const std::string_view event = left.substr(begin);
    if (per_ms != 0 && now_us - NumberAt(event) >= per_ms * 1000) break;
    take(event);
    left = left.substr(0, begin == 0 ? 0 : space);
  }
}

}  // namespace

std::int64_t CountWithin(const CounterRow& row, std::int64_t per_ms, std::int64_t now_us) {
  std::int64_t count = 0;
  ForEachWithin(row, per_ms, now_us, [&](std::string_view event) { count += EventCount(event); });
  return count;
}

std::int64_t SumWithin(const CounterRow& row, std::int64_t per_ms, std::int64_t now_us) {
  std::int64_t sum = 0;
  ForEachWithin(row, per_ms, now_us,
                [&](std::string_view event) { sum = SumOrMost(sum, EventAmount(event)); });
  return sum;
}

std::string GrantCounter(std::string_view by) { return "grants|" + std::string(by); }

// Of people who speak for themselves: how fast they grant.
void State::NoteGrant(const audit::EntryView& entry) {
  const std::string by = Field(entry, "by");
  if (!by.starts_with("principal:")) return;
  CounterRow& counter = counters_.Edit(GrantCounter(by));
  DropBefore(counter.events, entry.time_us - kGrantWindowMs * 1000);
  counter.events += (counter.events.empty() ? "" : " ") + std::to_string(entry.time_us) + ":" +
                    Field(entry, "approval");
  Thin(counter.events);
  ++counter.version;
}

void State::NoteWindow(const audit::EntryView& entry) {
  const std::int64_t window_ms = entry.body.Int("window_ms").value_or(0);
  if (window_ms <= CounterWindowMs()) return;
  settings_.Edit(kCounterWindow).value = std::to_string(window_ms);
}

// How far back any decision has counted so far: older events are of no use to anybody.
std::int64_t State::CounterWindowMs() {
  const FactRow* row = settings_.Find(kCounterWindow);
  return row == nullptr ? 0 : NumberAt(row->value);
}

void State::TakeSlots(const std::string& counters, const audit::EntryView& entry,
                      const std::string& by) {
  const std::int64_t window_us = CounterWindowMs() * 1000;
  for (const std::string& word : SplitWords(counters)) {
    const std::size_t colon = std::min(word.find(':'), word.size());  // an amount stands behind it
    CounterRow& counter = counters_.Edit(word.substr(0, colon));
    if (window_us > 0) DropBefore(counter.events, entry.time_us - window_us);
    counter.events += (counter.events.empty() ? "" : " ") + std::to_string(entry.time_us) + ":" +
                      by + word.substr(colon);
    Thin(counter.events);
    ++counter.version;
  }
}

// Only of a call that never started: an attempt that failed was an attempt. One that stands
// together with others by then stays counted.
void State::FreeCounters(const CallRow& call) {
  for (const std::string& word : SplitWords(call.counters)) {
    CounterRow& counter = counters_.Edit(word.substr(0, word.find(':')));
    std::string kept;
    for (const std::string& event : SplitWords(counter.events)) {
      if (IsEventOf(event, call.call)) continue;
      kept += (kept.empty() ? "" : " ") + event;
    }
    counter.events = std::move(kept);
    ++counter.version;
  }
}

}  // namespace interlock::runtime
