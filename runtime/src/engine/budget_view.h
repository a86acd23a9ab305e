// How rules read balances and counters: from memory (a worker's first look) or from the journal's
// own state.
#pragma once

#include <string>
#include <string_view>

#include "audit/keys.h"
#include "engine/journal.h"
#include "policies/decision.h"

namespace interlock::runtime {

// A value that memory does not hold reads as 0 with this version, which never holds in the serial
// section: the decision is then made there, where tables can be read.
inline constexpr std::uint64_t kUnknownVersion = ~0ull;

// How far back counters must reach: what the decision asked, and what rules may ask of the calls
// that it counts.
std::int64_t WindowOf(const policies::Decision& decision, std::int64_t longest_ms);

// An open hold as its entries tell of it. Writer thread only.
HoldFields HoldFieldsOf(const HoldRow& hold, const std::string& id, State& state);

// What both have in common. One a decision.
class CounterReader : public policies::StateReader {
 public:
  policies::VersionedRead Count(std::string_view key, std::int64_t per_ms,
                                std::int64_t now_us) const final {
    return Look(key, per_ms, now_us, &CountWithin);
  }
  policies::VersionedRead Sum(std::string_view key, std::int64_t per_ms,
                              std::int64_t now_us) const final {
    return Look(key, per_ms, now_us, &SumWithin);
  }
  // How far back the decision counted at most.
  std::int64_t longest_ms() const { return longest_ms_; }

 protected:
  using Within = std::int64_t (*)(const CounterRow&, std::int64_t per_ms, std::int64_t now_us);
  // What `within` makes of the row of that name; a row that is not there is 0.
  virtual policies::VersionedRead Read(const std::string& name, std::int64_t per_ms,
                                       std::int64_t now_us, Within within) const = 0;
  CounterReader(const audit::KeyStore& keys, std::int64_t now_us) : keys_(keys), now_us_(now_us) {}

  const audit::KeyStore& keys_;
  const std::int64_t now_us_;

 private:
  policies::VersionedRead Look(std::string_view key, std::int64_t per_ms, std::int64_t now_us,
                               Within within) const;

  mutable std::int64_t longest_ms_ = 0;
};

// Any thread.
class PeekReader final : public CounterReader {
 public:
  PeekReader(const State& state, const audit::KeyStore& keys, std::int64_t now_us)
      : CounterReader(keys, now_us), state_(state) {}
  policies::VersionedRead BudgetUsed(const policies::BudgetDecl& budget,
                                     std::string_view scope) const override;

 private:
  policies::VersionedRead Read(const std::string& name, std::int64_t per_ms, std::int64_t now_us,
                               Within within) const override;

  const State& state_;
};

// Writer thread only.
class LiveReader final : public CounterReader {
 public:
  LiveReader(State& state, const audit::KeyStore& keys, std::int64_t now_us)
      : CounterReader(keys, now_us), state_(state) {}
  policies::VersionedRead BudgetUsed(const policies::BudgetDecl& budget,
                                     std::string_view scope) const override;
  // The version that a recorded read has now.
  std::uint64_t VersionOf(const policies::VersionedRead& read) const;

 private:
  policies::VersionedRead Read(const std::string& name, std::int64_t per_ms, std::int64_t now_us,
                               Within within) const override;

  State& state_;
};

}  // namespace interlock::runtime
