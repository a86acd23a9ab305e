#include "bpf.h"

#include <gtest/gtest.h>

namespace interlock::sandbox::test {

std::uint32_t Verdict(const std::vector<sock_filter>& code, std::uint32_t number,
                      std::uint32_t arch, std::initializer_list<std::uint64_t> args) {
  std::uint32_t data[16] = {number, arch};
  int at = 4;
  for (const std::uint64_t arg : args) {
    data[at++] = static_cast<std::uint32_t>(arg);
    data[at++] = static_cast<std::uint32_t>(arg >> 32);
  }
  std::uint32_t a = 0;
  for (std::size_t pc = 0; pc < code.size(); ++pc) {
    const sock_filter& i = code[pc];
    switch (i.code) {
      case BPF_LD | BPF_W | BPF_ABS:
        a = data[i.k / 4];
        break;
      case BPF_ALU | BPF_AND | BPF_K:
        a &= i.k;
        break;
      case BPF_JMP | BPF_JA:
        pc += i.k;
        break;
      case BPF_JMP | BPF_JEQ | BPF_K:
        pc += a == i.k ? i.jt : i.jf;
        break;
      case BPF_JMP | BPF_JGT | BPF_K:
        pc += a > i.k ? i.jt : i.jf;
        break;
      case BPF_JMP | BPF_JGE | BPF_K:
        pc += a >= i.k ? i.jt : i.jf;
        break;
      case BPF_RET | BPF_K:
        return i.k;
      default:
        ADD_FAILURE() << "unknown instruction " << i.code;
        return 0;
    }
  }
  return 0;
}

}  // namespace interlock::sandbox::test
