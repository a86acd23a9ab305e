#include "audit/fields.h"

#include <algorithm>

#include "commitments.h"

namespace interlock::audit {
namespace {

constexpr std::size_t kFieldNameBytesMax = 128;
constexpr std::size_t kFieldsTextMax = 16 * 1024;  // of an entry's 64 KiB

// One past the end of the value at `at`, in canonical (well-formed, no white space) text.
std::size_t EndOfValue(std::string_view json, std::size_t at) {
  bool quoted = false;
  int depth = 0;
  for (; at < json.size(); ++at) {
    const char c = json[at];
    if (quoted) {
      if (c == '\\') ++at;
      if (c == '"') quoted = false;
      continue;
    }
    if (c == '"') quoted = true;
    if (c == '{' || c == '[') ++depth;
    if (depth == 0 && (c == ',' || c == '}')) return at;
    if (c == '}' || c == ']') --depth;
  }
  return at;
}

bool PlainName(std::string_view name) {
  const auto plain = [](char c) { return c >= ' ' && c <= '~' && c != '"' && c != '\\'; };
  return !name.empty() && name.size() <= kFieldNameBytesMax &&
         std::all_of(name.begin(), name.end(), plain);
}

}  // namespace

std::vector<PayloadField> PlainFields(std::string_view json) {
  std::vector<PayloadField> fields;
  if (json.size() < 3 || json.front() != '{') return fields;
  std::size_t text_bytes = 0;
  for (std::size_t at = 1; at < json.size();) {
    const std::size_t quote = json.find('"', at + 1);
    if (json[at] != '"' || quote == std::string_view::npos) return {};
    const std::string_view name = json.substr(at + 1, quote - at - 1);
    text_bytes += name.size() + 70;
    if (!PlainName(name) || fields.size() == kPayloadFieldsMax || text_bytes > kFieldsTextMax) {
      return {};
    }
    const std::size_t value = quote + 2;
    const std::size_t end = EndOfValue(json, value);
    if (end >= json.size()) return {};
    fields.push_back({name, json.substr(value, end - value)});
    at = end + 1;
  }
  return fields;
}

std::vector<std::string_view> CommittedFields(std::string_view entry_bytes, int slot) {
  std::vector<std::string_view> names;
  for (const NamedCommitment& commitment : CommitmentsIn(entry_bytes)) {
    if (commitment.slot != slot) continue;
    for (const auto& [name, hex] : commitment.fields) names.push_back(name);
  }
  return names;
}

}  // namespace interlock::audit
