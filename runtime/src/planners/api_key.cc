#include "api_key.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>

namespace interlock::runtime {
namespace {

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
  if (text.empty()) return core::NotFound("no api key in file `" + path + "`");
  return text;
}

core::StatusOr<std::string> KeyFromEnvironment(const std::string& name) {
  const char* const value = std::getenv(name.c_str());
  std::string key = value == nullptr ? "" : Trimmed(value);
  if (key.empty()) {
    return core::NotFound("environment variable `" + name +
                          "` should hold the api key and is empty");
  }
  return key;
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

core::Status CheckEndpointUrl(std::string_view url, bool has_key) {
  if (url.starts_with("https://")) return core::OkStatus();
  if (!url.starts_with("http://"))
    return core::InvalidArgument("`base_url` must be http:// or https://");
  const std::string_view rest = url.substr(7);
  const std::string_view authority = rest.substr(0, rest.find('/'));
  if (authority.find('@') != std::string_view::npos) {
    return core::InvalidArgument("`base_url` must not hold a user name");
  }
  const bool v6 = authority.starts_with('[');
  const std::string_view host =
      v6 ? authority.substr(0, authority.find(']') + 1) : authority.substr(0, authority.find(':'));
  if (!has_key || host == "127.0.0.1" || host == "localhost" || host == "[::1]")
    return core::OkStatus();
  return core::InvalidArgument("an api key is not sent over plain http; use an https `base_url`");
}

}  // namespace interlock::runtime
