// Manifest text: whatever it holds, loading ends with a tool or with one line that says why not.
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "core/check.h"
#include "tools/tool.h"
#include "tools/yaml.h"

namespace {

// The parser in memory first; only what parses is worth a file.
bool Parses(std::string_view text) {
  const auto documents = interlock::tools::ParseYaml(text, "f.yaml");
  if (!documents.ok()) return false;
  for (const auto& document : *documents) {
    const auto json = interlock::tools::YamlToJson(document, "f.yaml");
    if (json.ok()) (void)interlock::core::CanonicalJson(*json);
  }
  return true;
}

const std::string& Folder() {
  static const std::string folder = [] {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "fuzz_manifest_XXXXXX").string();
    INTERLOCK_CHECK(mkdtemp(pattern.data()) != nullptr);
    return pattern;
  }();
  return folder;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (!Parses(text)) return 0;
  std::ofstream(Folder() + "/f.yaml", std::ios::binary | std::ios::trunc) << text;
  const auto registry = interlock::tools::Registry::Load(Folder(), {{"dir", "/srv"}});
  if (!registry.ok()) {
    const std::string_view message = interlock::core::Message(registry.status());
    INTERLOCK_CHECK(message.find('\n') == std::string_view::npos);
    return 0;
  }
  for (const auto& tool : (*registry)->tools()) {
    // The canonical form is one: reading it back and writing it again changes nothing.
    const auto json =
        interlock::core::ParseJson(tool->canonical_manifest(), interlock::core::kPayloadLimits);
    INTERLOCK_CHECK(json.ok());
    INTERLOCK_CHECK(interlock::core::CanonicalJson(*json) == tool->canonical_manifest());
    (void)tool->ValidateArgs(std::string_view("{}"));
  }
  return 0;
}
