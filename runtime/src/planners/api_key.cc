#include "api_key.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "tools/url.h"

namespace interlock::runtime {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kApiKeyBytesMax = 4096;

std::string Trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const std::size_t start = text.find_first_not_of(kSpace);
  if (start == std::string_view::npos) return "";
  return std::string(text.substr(start, text.find_last_not_of(kSpace) - start + 1));
}

core::StatusOr<std::string> KeyFromFile(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  std::string text(kApiKeyBytesMax, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(stream.gcount()));
  text = Trimmed(text);
  if (!text.empty()) return text;
  std::error_code error;
  if (fs::is_regular_file(path, error)) {
    return core::NotFound("no api key in file `" + path + "`, which `api_key_file` names");
  }
  // The key itself may stand where its file should be named: only a folder is shown.
  const std::string folder = fs::path(path).parent_path().string();
  return core::NotFound("`api_key_file` names no file" +
                        (fs::is_directory(folder, error) ? " in `" + folder + "`" : "") +
                        "; make it or correct the path");
}

core::StatusOr<std::string> KeyFromEnvironment(const std::string& name) {
  const char* const value = std::getenv(name.c_str());
  std::string key = value == nullptr ? "" : Trimmed(value);
  if (!key.empty()) return key;
  // Its name is not shown: it may be the key itself, which somebody put there.
  return core::NotFound(
      "the environment variable that `api_key_env` names should hold the api key and is empty");
}

}  // namespace

core::StatusOr<std::string> ReadApiKey(const std::string& env, const std::string& file) {
  if (env.empty() && file.empty()) return std::string();
  INTERLOCK_ASSIGN_OR_RETURN(std::string key,
                             file.empty() ? KeyFromEnvironment(env) : KeyFromFile(file));
  const bool printable =
      std::all_of(key.begin(), key.end(), [](char c) { return c > 0x20 && c < 0x7F; });
  if (!printable) {
    return core::InvalidArgument("the api key holds characters that a header cannot carry");
  }
  return key;
}

core::Status CheckEndpointUrl(const std::string& text, bool has_key) {
  const auto url = tools::Url::Parse(text);
  if (!url.ok() || text.find_first_of("?#") != std::string::npos) {
    return core::InvalidArgument(
        "`base_url` must be http:// or https://, a host, and perhaps a port up to 65535 and a "
        "path, without a user name or a query");
  }
  const bool here = url->host == "127.0.0.1" || url->host == "localhost" || url->host == "[::1]";
  if (!has_key || url->scheme == "https" || here) return core::OkStatus();
  return core::InvalidArgument("an api key is not sent over plain http; use an https `base_url`");
}

}  // namespace interlock::runtime
