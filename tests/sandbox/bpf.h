// A filter's verdicts, found without the kernel.
#pragma once

#include <linux/filter.h>

#include <cstdint>
#include <initializer_list>
#include <vector>

namespace interlock::sandbox::test {

// Runs the program as the kernel would, for one call. Classic BPF: only what libseccomp emits;
// anything else is a test failure and yields 0.
std::uint32_t Verdict(const std::vector<sock_filter>& code, std::uint32_t number,
                      std::uint32_t arch, std::initializer_list<std::uint64_t> args);

}  // namespace interlock::sandbox::test
