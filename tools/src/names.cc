#include "names.h"

#include <algorithm>

#include "tools/executor.h"

namespace interlock::tools {
namespace {

bool IsLower(char c) { return c >= 'a' && c <= 'z'; }
bool IsUpper(char c) { return c >= 'A' && c <= 'Z'; }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }

bool StartsWith(std::string_view text, std::string_view prefix) {
  return text.substr(0, prefix.size()) == prefix;
}

}  // namespace

std::string_view EffectName(Effect effect) {
  switch (effect) {
    case Effect::kRead:
      return "read";
    case Effect::kWrite:
      return "write";
    case Effect::kMoney:
      return "money";
    case Effect::kEgress:
      return "egress";
  }
  return "unknown";
}

core::StatusOr<Effect> ParseEffect(std::string_view name) {
  for (const Effect effect : {Effect::kRead, Effect::kWrite, Effect::kMoney, Effect::kEgress}) {
    if (EffectName(effect) == name) return effect;
  }
  return core::InvalidArgument("effect must be one of read, write, money, egress");
}

std::string_view OutcomeKindName(OutcomeKind kind) {
  switch (kind) {
    case OutcomeKind::kOk:
      return "ok";
    case OutcomeKind::kFailed:
      return "failed";
    case OutcomeKind::kTimeout:
      return "timeout";
    case OutcomeKind::kViolation:
      return "violation";
    case OutcomeKind::kUnknown:
      return "unknown";
    case OutcomeKind::kNotStarted:
      return "not_started";
  }
  return "unknown";
}

bool IsToolName(std::string_view name) {
  if (name.empty() || name.size() > kToolNameBytesMax) return false;
  char before = '.';
  for (const char c : name) {
    if (c == '.' ? before == '.' : !(IsLower(c) || IsDigit(c) || c == '_')) return false;
    before = c;
  }
  return before != '.';
}

bool IsEnvName(std::string_view name) {
  if (name.empty() || name.size() > 128 || IsDigit(name[0])) return false;
  if (StartsWith(name, "INTERLOCK_") || StartsWith(name, "LD_")) return false;
  return std::all_of(name.begin(), name.end(),
                     [](char c) { return IsUpper(c) || IsDigit(c) || c == '_'; });
}

bool IsErrorCode(std::string_view code) {
  return !code.empty() && code.size() <= 64 && IsUpper(code[0]) &&
         std::all_of(code.begin(), code.end(),
                     [](char c) { return IsUpper(c) || IsDigit(c) || c == '_'; });
}

bool IsPathComponent(std::string_view text) {
  return !text.empty() && text.size() <= 64 && text[0] != '.' &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return IsLower(c) || IsUpper(c) || IsDigit(c) || c == '_' || c == '.' || c == '-';
         });
}

}  // namespace interlock::tools
