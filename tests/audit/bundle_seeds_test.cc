// Where the fuzzer of signed bundles begins.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>

#include "audit/bundle.h"
#include "fuzz/sections.h"

namespace interlock::audit {
namespace {

// What audit_signed_bundle_fuzz begins from gets past signature and hashes; a seed's name says how
// it ends.
TEST(BundleSeeds, EndAsTheirNamesSay) {
  const std::string seeds = INTERLOCK_SOURCE_DIR "/tests/audit/fuzz/signed_bundle_corpus";
  std::map<std::string, int> seen;
  for (const auto& file : std::filesystem::directory_iterator(seeds)) {
    std::ifstream in(file.path(), std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    const auto tar = SectionedBundle(text).Tar();
    ASSERT_TRUE(tar) << file.path();
    BundleVerifyOptions options;
    options.verifier_key = SectionedBundle::Key();
    const VerifyReport report = VerifyBundle(*tar, options);
    const std::string name = file.path().filename().string();
    const std::string ending = report.verdict == Verdict::kIntact       ? "intact"
                               : report.verdict == Verdict::kIncomplete ? "incomplete"
                                                                        : "tampered";
    EXPECT_EQ(name.substr(0, name.find('_')), ending) << name << ": " << report.reason;
    EXPECT_NE(report.root_hex, "") << name;  // it got past the checkpoint
    ++seen[ending];
  }
  EXPECT_EQ(seen.size(), 3u);
}

}  // namespace
}  // namespace interlock::audit
