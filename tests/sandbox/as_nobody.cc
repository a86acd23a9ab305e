#include <grp.h>
#include <unistd.h>

#include <cstdio>
#include <vector>

int main(int argc, char** argv) {
  constexpr unsigned kNobody = 65534;
  std::vector<char*> words(argv, argv + argc);
#ifdef INTERLOCK_LANDLOCK_ABI_MAX
  char option[] = "--landlock-abi-max";
  char value[] = INTERLOCK_LANDLOCK_ABI_MAX;
  words.insert(words.end(), {option, value});
#endif
  words.push_back(nullptr);
  if (::setgroups(0, nullptr) != 0 || ::setresgid(kNobody, kNobody, kNobody) != 0 ||
      ::setresuid(kNobody, kNobody, kNobody) != 0) {
    std::perror("as_nobody");
    return 1;
  }
  ::execv(INTERLOCK_LAUNCHER, words.data());
  std::perror("exec " INTERLOCK_LAUNCHER);
  return 1;
}
