// Proofs come from outside: no bytes may crash the readers, and what they accept they write back.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "audit/cosignature.h"
#include "audit/proof.h"
#include "core/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace interlock::audit;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const auto proof = ParseProof(input);
  if (proof.ok() && input.find("\nextra ") == std::string_view::npos) {
    INTERLOCK_CHECK(ProofText(*proof) == input);
  }
  const auto consistency = ParseConsistency(input);
  if (consistency.ok()) INTERLOCK_CHECK(ConsistencyBody(*consistency) == input);
  static_cast<void>(
      CosignedAt(input, "witness.example/w1+c74f20a3+BPc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"));
  static_cast<void>(CosignedAt("a\n1\nAAAA\n\n\xE2\x80\x94 a AAAAAAAA\n", input));
  return 0;
}
