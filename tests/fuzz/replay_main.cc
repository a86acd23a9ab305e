// Replays a fuzzer's corpus as a plain test: every file below the given folders (or each given
// file) goes once through LLVMFuzzerTestOneInput. An empty corpus is a failure, so that a lost
// folder cannot pass.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <system_error>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kInputBytesMax = 16u << 20;

// Files below `root` (or `root` itself), by name, so that every run goes the same way. False: no
// such path.
bool CollectFiles(const fs::path& root, std::vector<fs::path>& files) {
  std::error_code error;
  if (fs::is_regular_file(root, error)) {
    files.push_back(root);
    return true;
  }
  if (!fs::is_directory(root, error)) return false;
  std::vector<fs::path> found;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(root, error)) {
    if (entry.is_regular_file(error)) found.push_back(entry.path());
  }
  std::sort(found.begin(), found.end());
  files.insert(files.end(), found.begin(), found.end());
  return !error;
}

bool Replay(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  if (!in.good() && !in.eof()) {
    std::fprintf(stderr, "replay: cannot read %s\n", file.c_str());
    return false;
  }
  if (bytes.size() > kInputBytesMax) {
    std::fprintf(stderr, "replay: %s is above %zu bytes\n", file.c_str(), kInputBytesMax);
    return false;
  }
  // A crash leaves the name of its input as the last line.
  std::fprintf(stderr, "replay: %s\n", file.c_str());
  return LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()),
                                bytes.size()) == 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: %s FOLDER_OR_FILE...\n", argv[0]);
    return 2;
  }
  std::vector<fs::path> files;
  for (int i = 1; i < argc; ++i) {
    if (!CollectFiles(argv[i], files)) {
      std::fprintf(stderr, "replay: no such file or folder: %s\n", argv[i]);
      return 1;
    }
  }
  if (files.empty()) {
    std::fprintf(stderr, "replay: the corpus is empty\n");
    return 1;
  }
  const bool all_ran = std::all_of(files.begin(), files.end(), Replay);
  std::printf("replayed %zu inputs\n", files.size());
  return all_ran ? 0 : 1;
}
