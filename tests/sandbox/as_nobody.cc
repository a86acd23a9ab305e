#include <grp.h>
#include <unistd.h>

#include <cstdio>
#include <vector>

#include "ordinary_user.h"

#ifdef INTERLOCK_DELEGATES
#include <sys/stat.h>

#include <fstream>
#include <string>

#include "cgroup.h"

// A group for each controller of version 1, given to `user`, with this process in it. Whoever
// started us removes them: `delegated-PID`.
static bool EnterDelegatedGroups(unsigned user) {
  const interlock::sandbox::CgroupPlace place = interlock::sandbox::FindCgroupPlace();
  if (place.version != 1) return false;
  for (const std::string& parent : {place.memory, place.pids, place.cpu, place.cpuacct}) {
    if (parent.empty()) continue;
    const std::string group = parent + "/delegated-" + std::to_string(::getpid());
    const std::string tasks = group + "/tasks";
    ::mkdir(group.c_str(), 0755);
    if (::chown(group.c_str(), user, user) != 0 || ::chown(tasks.c_str(), user, user) != 0 ||
        !(std::ofstream(tasks) << ::getpid() << std::flush)) {
      std::perror(group.c_str());
      return false;
    }
  }
  return true;
}
#endif

int main(int argc, char** argv) {
  const unsigned user = interlock::sandbox::test::OrdinaryUser(::getppid());
  std::vector<char*> words(argv, argv + argc);
#ifdef INTERLOCK_LANDLOCK_ABI_MAX
  char option[] = "--landlock-abi-max";
  char value[] = INTERLOCK_LANDLOCK_ABI_MAX;
  words.insert(words.end(), {option, value});
#endif
  words.push_back(nullptr);
#ifdef INTERLOCK_DELEGATES
  if (!EnterDelegatedGroups(user)) return 1;
#endif
  if (::setgroups(0, nullptr) != 0 || ::setresgid(user, user, user) != 0 ||
      ::setresuid(user, user, user) != 0) {
    std::perror("as_nobody");
    return 1;
  }
  ::execv(INTERLOCK_LAUNCHER, words.data());
  std::perror("exec " INTERLOCK_LAUNCHER);
  return 1;
}
