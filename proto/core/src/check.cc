#include "core/check.h"

#include <cstdio>
#include <cstdlib>

namespace interlock::core {

void CheckFailed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "fatal: broken invariant `%s` at %s:%d\n", condition, file, line);
  std::abort();
}

}  // namespace interlock::core
