// A broken invariant is a crash in release builds too: going on would act on a state we do not
// know.
#pragma once

namespace interlock::core {
[[noreturn]] void CheckFailed(const char* condition, const char* file, int line);
}  // namespace interlock::core

#define INTERLOCK_CHECK(condition)                     \
  (static_cast<bool>(condition) ? static_cast<void>(0) \
                                : ::interlock::core::CheckFailed(#condition, __FILE__, __LINE__))
