// Notes come from outside: no bytes may crash the parser, and what opens must be what was signed.
// The input is taken as a note, as a key, and as a text that the log's key signed.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "audit/checkpoint.h"
#include "audit/cosignature.h"
#include "core/check.h"
#include "signed_bundle.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace interlock::audit;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  constexpr std::string_view kKey =
      "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
  const auto checkpoint = OpenCheckpoint(input, kKey);
  if (checkpoint.ok()) {
    const std::string text = CheckpointText(checkpoint->origin, checkpoint->size, checkpoint->root);
    INTERLOCK_CHECK(input.substr(0, text.size()) == text);
  }
  // The input as a key.
  static_cast<void>(OpenCheckpoint("a\n1\nAAAA\n\n\xE2\x80\x94 a AAAAAAAA\n", input));
  const SigningKey key = KeyOfLetter("log.example/main", 'k');
  const std::string note = key.Note(input);
  const auto opened = OpenCheckpoint(note, key.verifier_key());
  if (opened.ok()) {
    // Extension lines may follow, and were signed with the rest.
    INTERLOCK_CHECK(input.starts_with(CheckpointText(opened->origin, opened->size, opened->root)));
    INTERLOCK_CHECK(opened->note == note);
  }
  static_cast<void>(WithSignatureLines(note, input));
  return 0;
}
