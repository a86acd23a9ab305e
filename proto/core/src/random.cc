#include "core/random.h"

#include <sys/random.h>

#include <array>
#include <cstring>
#include <string_view>

#include "core/check.h"

namespace interlock::core {
namespace {

constexpr std::size_t kBufferBytes = 4096;

void FillFromKernel(std::span<std::uint8_t> out) {
  std::size_t done = 0;
  while (done < out.size()) {
    const ssize_t got = getrandom(out.data() + done, out.size() - done, 0);
    INTERLOCK_CHECK(got > 0 || errno == EINTR);
    if (got > 0) done += static_cast<std::size_t>(got);
  }
}

// Bytes are handed out once and wiped behind the reader.
struct Buffer {
  std::array<std::uint8_t, kBufferBytes> bytes{};
  std::size_t used = kBufferBytes;
};

constexpr char kHexDigits[] = "0123456789abcdef";

}  // namespace

void SystemRandom::Fill(std::span<std::uint8_t> out) {
  if (out.size() > kBufferBytes / 4) return FillFromKernel(out);
  thread_local Buffer buffer;
  if (kBufferBytes - buffer.used < out.size()) {
    FillFromKernel(buffer.bytes);
    buffer.used = 0;
  }
  std::uint8_t* from = buffer.bytes.data() + buffer.used;
  std::memcpy(out.data(), from, out.size());
  std::memset(from, 0, out.size());
  buffer.used += out.size();
}

std::string NewUuidV7(const Clock& clock, Random& random) {
  std::array<std::uint8_t, 16> id{};
  random.Fill(std::span(id).subspan(6));
  const auto ms = static_cast<std::uint64_t>(clock.WallMicros() / 1000);
  for (int i = 0; i < 6; ++i) {
    id[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(ms >> (8 * (5 - i)));
  }
  id[6] = static_cast<std::uint8_t>((id[6] & 0x0f) | 0x70);  // version 7
  id[8] = static_cast<std::uint8_t>((id[8] & 0x3f) | 0x80);  // variant 10
  std::array<char, 36> text;
  char* to = text.data();
  for (std::size_t i = 0; i < id.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) *to++ = '-';
    *to++ = kHexDigits[id[i] >> 4];
    *to++ = kHexDigits[id[i] & 0x0f];
  }
  return {text.data(), text.size()};
}

bool IsUuid(std::string_view text) {
  if (text.size() != 36) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    const bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
    if (dash ? c != '-' : !hex) return false;
  }
  return true;
}

}  // namespace interlock::core
