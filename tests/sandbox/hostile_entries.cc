#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <set>

#include "hostile.h"

namespace {

// Kernels from 6.14 on answer these two before any filter, and with SIGILL to whoever is not one of
// their own trampolines.
constexpr long kUretprobe = 335;
constexpr long kUprobe = 336;

// With zero arguments these end, copy or stop the caller, or wait for ever, wherever they are
// allowed: they are called on purpose elsewhere. ptrace ends the box and is a row of its own.
const std::set<long> kNotWalked = {
    SYS_exit,  SYS_exit_group, SYS_pause,       SYS_rt_sigreturn, SYS_fork,   SYS_vfork,
    SYS_clone, SYS_select,     SYS_ppoll,       SYS_pselect6,     SYS_ptrace, SYS_rt_sigsuspend,
    SYS_sync,  SYS_close,      SYS_close_range, kUretprobe,       kUprobe};

// Every number from the first to the last with zero arguments: "number errno" a line.
std::string Walk(const Args& args) {
  const long first = std::atol(args[0].c_str());
  const long last = std::atol(args[1].c_str());
  std::string lines;
  for (long number = first; number <= last; ++number) {
    if (kNotWalked.count(number) > 0) continue;
    errno = 0;
    const long result = ::syscall(number, 0, 0, 0, 0, 0, 0);
    const int error = result < 0 ? errno : 0;
    lines += std::to_string(number) + " " + std::to_string(error) + "\n";
  }
  return lines;
}

std::string EnterX32(const Args& args) {
  return Outcome(::syscall(0x40000000 | std::atol(args[0].c_str()), 0, 0, 0, 0, 0, 0));
}

std::string Enter32(const Args& args) {
  long result = 0;
#if defined(__x86_64__)
  __asm__ volatile("int $0x80"
                   : "=a"(result)
                   : "a"(std::atol(args[0].c_str())), "b"(0l), "c"(0l), "d"(0l), "S"(0l), "D"(0l)
                   : "memory");
#endif
  return result < 0 ? strerrorname_np(static_cast<int>(-result)) : "ok";
}

std::string One(const Args& args) {
  return Outcome(::syscall(std::atol(args[0].c_str()), 0, 0, 0, 0, 0, 0));
}

}  // namespace

Payloads EntryPayloads() {
  return {{"walk", Walk}, {"enter-x32", EnterX32}, {"enter-32", Enter32}, {"call", One}};
}
