// What clients were told, and who the people are that no harness has.
#pragma once

#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "core/principal.h"
#include "day.h"

namespace interlock::runtime::sim {

struct Day::Told {
  std::mutex mutex;
  int waits = 0;  // replies that have not come
  std::vector<std::string> runs;
  std::map<std::string, std::set<std::string>> answers;  // request -> runs and calls
  std::map<std::string, int> asked;                      // request -> so often
  std::map<std::string, int> given_up;                   // of these: for want of who waits
  std::map<std::string, int> unheard;                    // of these: by who had left before
  std::vector<std::string> trespasses;

  void Await(const std::string& request) {
    const std::lock_guard lock(mutex);
    ++waits;
    ++asked[request];
  }
};

inline const core::Principal kDirector{
    .tenant = "main", .id = "dina", .roles = {"approver", "director"}};
inline const core::Principal kDeputy{.tenant = "main", .id = "li", .roles = {"approver"}};

}  // namespace interlock::runtime::sim
