#include "runtime/tokens.h"

#include <cstddef>
#include <string>
#include <utility>

namespace interlock::runtime {
namespace {

enum class Class { kLetter, kDigit, kSpace, kSign, kOther };

Class ClassOf(char c) {
  if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) return Class::kLetter;
  if (c >= '0' && c <= '9') return Class::kDigit;
  if (c == ' ' || c == '\t' || c == '\r' || c == '\n') return Class::kSpace;
  return static_cast<unsigned char>(c) < 0x80 ? Class::kSign : Class::kOther;
}

// In halves of a token.
std::int64_t HalvesOfOther(unsigned char byte) {
  if (byte >= 0xF0) return 4;
  if (byte >= 0xE0) return 2;
  return byte >= 0xC0 ? 1 : 0;
}

std::int64_t Shares(std::size_t size, std::size_t each) {
  return static_cast<std::int64_t>((size + each - 1) / each);
}

}  // namespace

std::int64_t EstimateTokens(std::string_view text) {
  std::int64_t tokens = 0;
  std::int64_t halves = 0;
  for (std::size_t start = 0; start < text.size();) {
    const Class kind = ClassOf(text[start]);
    std::size_t end = start;
    while (end < text.size() && ClassOf(text[end]) == kind) {
      if (kind == Class::kOther) halves += HalvesOfOther(static_cast<unsigned char>(text[end]));
      ++end;
    }
    const std::size_t size = end - start;
    if (kind == Class::kLetter) tokens += Shares(size, 6);
    if (kind == Class::kDigit) tokens += Shares(size, 3);
    if (kind == Class::kSign) tokens += Shares(size, 2);
    if (kind == Class::kSpace && (size > 1 || text[start] != ' ')) ++tokens;
    start = end;
  }
  return tokens + (halves + 1) / 2;
}

namespace {

struct FamilyMeasure {
  TokenFamily family;
  std::string_view name;
  std::int64_t percent;  // of EstimateTokens
};
constexpr FamilyMeasure kFamilies[] = {
    {TokenFamily::kOther, "other", 115},         {TokenFamily::kOpenAi, "openai", 100},
    {TokenFamily::kAnthropic, "anthropic", 125}, {TokenFamily::kGemini, "gemini", 100},
    {TokenFamily::kLlama, "llama", 110},
};

constexpr std::pair<std::string_view, TokenFamily> kBeginnings[] = {
    {"gpt-", TokenFamily::kOpenAi},   {"chatgpt-", TokenFamily::kOpenAi},
    {"o1", TokenFamily::kOpenAi},     {"o3", TokenFamily::kOpenAi},
    {"o4", TokenFamily::kOpenAi},     {"claude", TokenFamily::kAnthropic},
    {"gemini", TokenFamily::kGemini}, {"gemma", TokenFamily::kGemini},
    {"llama", TokenFamily::kLlama},   {"meta-llama", TokenFamily::kLlama},
    {"mistral", TokenFamily::kLlama}, {"mixtral", TokenFamily::kLlama},
    {"qwen", TokenFamily::kLlama},    {"deepseek", TokenFamily::kLlama},
};

const FamilyMeasure& MeasureOf(TokenFamily family) {
  for (const FamilyMeasure& one : kFamilies) {
    if (one.family == family) return one;
  }
  return kFamilies[0];
}

}  // namespace

// "openai/gpt-…" and "GPT-…" are names of the same.
TokenFamily FamilyOf(std::string_view model) {
  std::string name(
      model.substr(model.rfind('/') == std::string_view::npos ? 0 : model.rfind('/') + 1));
  for (char& c : name) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  for (const auto& [beginning, family] : kBeginnings) {
    if (name.starts_with(beginning)) return family;
  }
  return TokenFamily::kOther;
}

std::string_view FamilyName(TokenFamily family) { return MeasureOf(family).name; }

TokenFamily FamilyNamed(std::string_view name) {
  for (const FamilyMeasure& one : kFamilies) {
    if (one.name == name) return one.family;
  }
  return TokenFamily::kOther;
}

std::int64_t EstimateTokens(std::string_view text, TokenFamily family) {
  return (EstimateTokens(text) * MeasureOf(family).percent + 99) / 100;
}

}  // namespace interlock::runtime
