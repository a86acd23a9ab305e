// How many tokens a text is, about, where no tokenizer is at hand.
#pragma once

#include <cstdint>
#include <string_view>

namespace interlock::runtime {

// Counts what byte-pair tokenizers of current models mostly make one token: six letters of a word,
// three digits, two signs of punctuation, white space other than the one before a word, two
// characters of two bytes, one of three; one of four bytes counts as two. Meant to err upward. Any
// bytes may come in.
std::int64_t EstimateTokens(std::string_view text);

// Models whose tokenizers cut text alike, by the beginning of their names.
enum class TokenFamily { kOther, kOpenAi, kAnthropic, kGemini, kLlama };
TokenFamily FamilyOf(std::string_view model);
std::string_view FamilyName(TokenFamily family);  // "openai"
TokenFamily FamilyNamed(std::string_view name);   // kOther for a name that is not known

// EstimateTokens, by the measure of a family (docs/models.md).
std::int64_t EstimateTokens(std::string_view text, TokenFamily family);

}  // namespace interlock::runtime
