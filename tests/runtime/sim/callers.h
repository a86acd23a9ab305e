// Who waits for the calls of a phase, and goes away before he is answered (ADR 59).
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "runtime/hangup.h"

namespace interlock::runtime::sim {

// By what a call is about, which several may have asked for. Thread-safe.
class Callers {
 public:
  // Null: one who stays.
  void Join(const std::string& about, std::shared_ptr<Hangup> hangup) {
    const std::lock_guard lock(mutex_);
    waiting_[about].push_back(std::move(hangup));
  }
  // All go away who do not stay.
  void Leave(const std::string& about) {
    for (const auto& hangup : WaitingFor(about)) {
      if (hangup != nullptr) hangup->Happen();  // which calls the engine
    }
  }
  bool HaveLeft(const std::string& about) const {
    const auto waiting = WaitingFor(about);
    return !waiting.empty() && std::all_of(waiting.begin(), waiting.end(), [](const auto& hangup) {
      return hangup != nullptr && hangup->happened();
    });
  }
  std::vector<std::string> Abouts() const {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> abouts;
    for (const auto& [about, waiting] : waiting_) abouts.push_back(about);
    return abouts;
  }
  // Their engine is no more: nobody may tell it anything.
  void Clear() {
    const std::lock_guard lock(mutex_);
    waiting_.clear();
  }

 private:
  std::vector<std::shared_ptr<Hangup>> WaitingFor(const std::string& about) const {
    const std::lock_guard lock(mutex_);
    const auto at = waiting_.find(about);
    return at == waiting_.end() ? std::vector<std::shared_ptr<Hangup>>{} : at->second;
  }

  mutable std::mutex mutex_;
  std::map<std::string, std::vector<std::shared_ptr<Hangup>>> waiting_;
};

}  // namespace interlock::runtime::sim
