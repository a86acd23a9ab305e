#include "syncs.h"

#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <mutex>
#include <string_view>

namespace interlock::bench {
namespace {

std::mutex mutex;
Syncs syncs;  // under mutex

std::vector<SyncSpan>* SyncsOfThisThread() {
  char name[16] = {};
  pthread_getname_np(pthread_self(), name, sizeof name);
  if (std::string_view(name) == "audit-writer") return &syncs.of_writer;
  if (std::string_view(name) == "audit-upkeep") return &syncs.of_upkeep;
  return nullptr;
}

}  // namespace

Syncs SyncsSoFar() {
  const std::lock_guard lock(mutex);
  return syncs;
}

}  // namespace interlock::bench

extern "C" int fdatasync(int fd) {
  using interlock::bench::SteadyClock;
  thread_local auto* const spans = interlock::bench::SyncsOfThisThread();
  const auto start = SteadyClock::now();
  const int result = static_cast<int>(syscall(SYS_fdatasync, fd));
  if (spans != nullptr) {
    const std::lock_guard lock(interlock::bench::mutex);
    spans->push_back({start, SteadyClock::now()});
  }
  return result;
}
