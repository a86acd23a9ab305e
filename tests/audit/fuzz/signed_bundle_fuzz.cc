// Who holds the key, or makes the bundle, may say anything behind a signature that holds: no bytes
// may crash the verifier, and a bundle that is intact is not when a byte of a file is another.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "audit/bundle.h"
#include "core/check.h"
#include "sections.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace interlock::audit;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  auto tar = SectionedBundle(input).Tar();
  if (!tar) return 0;
  BundleVerifyOptions options;
  options.verifier_key = SectionedBundle::Key();
  const VerifyReport report = VerifyBundle(*tar, options);
  INTERLOCK_CHECK(report.reason.empty() == (report.verdict == Verdict::kIntact));
  if (report.verdict != Verdict::kIntact) return 0;
  const auto files = ReadTar(*tar);
  INTERLOCK_CHECK(files.ok());
  for (const TarFile& file : *files) {
    if (file.name == kManifestName || file.bytes.empty()) continue;
    char& byte = (*tar)[tar->find(file.bytes) + size % file.bytes.size()];
    byte = static_cast<char>(byte ^ 1);
    INTERLOCK_CHECK(VerifyBundle(*tar, options).verdict != Verdict::kIntact);
    byte = static_cast<char>(byte ^ 1);
  }
  return 0;
}
