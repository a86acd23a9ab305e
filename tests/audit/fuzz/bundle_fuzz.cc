// Bundles come from outside: no bytes may crash the verifier, and the tar reader accepts only what
// the writer writes.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "audit/bundle.h"
#include "audit/tar.h"
#include "commitments.h"
#include "core/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace interlock::audit;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const auto files = ReadTar(input);
  if (files.ok()) INTERLOCK_CHECK(*WriteTar(*files) == input);
  static_cast<void>(CommitmentsIn(input));
  static_cast<void>(DigestNamesIn(input));
  BundleVerifyOptions options;
  options.verifier_key = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
  static_cast<void>(VerifyBundle(input, options));
  // The input as the manifest of a bundle.
  const auto tar = WriteTar({{"checkpoint.note", "n"}, {"manifest.json", std::string(input)}});
  if (tar.ok()) {
    INTERLOCK_CHECK(VerifyBundle(*tar, options).verdict != Verdict::kIntact);
  }
  return 0;
}
