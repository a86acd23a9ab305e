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

}  // namespace interlock::runtime
