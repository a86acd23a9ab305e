#include <grp.h>
#include <unistd.h>

#include <cstdio>

int main(int, char** argv) {
  constexpr unsigned kNobody = 65534;
  if (::setgroups(0, nullptr) != 0 || ::setresgid(kNobody, kNobody, kNobody) != 0 ||
      ::setresuid(kNobody, kNobody, kNobody) != 0) {
    std::perror("as_nobody");
    return 1;
  }
  ::execv(INTERLOCK_LAUNCHER, argv);
  std::perror("exec " INTERLOCK_LAUNCHER);
  return 1;
}
