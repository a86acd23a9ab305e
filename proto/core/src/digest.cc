#include "core/digest.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <memory>

#include "core/check.h"

namespace interlock::core {
namespace {

struct ContextDeleter {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};

// Fetching the digest and making a context cost more than hashing 1 KiB: one of each per thread.
EVP_MD_CTX* ThreadContext() {
  thread_local std::unique_ptr<EVP_MD_CTX, ContextDeleter> context(EVP_MD_CTX_new());
  return context.get();
}

const EVP_MD* Sha256Method() {
  static const EVP_MD* const method = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  return method;
}

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

constexpr std::string_view kBase64 =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

}  // namespace

Digest Sha256(std::initializer_list<std::string_view> parts) {
  EVP_MD_CTX* context = ThreadContext();
  INTERLOCK_CHECK(EVP_DigestInit_ex2(context, Sha256Method(), nullptr) == 1);
  for (const std::string_view part : parts) {
    INTERLOCK_CHECK(EVP_DigestUpdate(context, part.data(), part.size()) == 1);
  }
  Digest digest;
  INTERLOCK_CHECK(EVP_DigestFinal_ex(context, digest.data(), nullptr) == 1);
  return digest;
}

Digest HmacSha256(std::string_view key, std::string_view bytes) {
  constexpr std::size_t kBlock = 64;
  std::array<char, kBlock> inner{};
  std::array<char, kBlock> outer{};
  Digest long_key{};
  if (key.size() > kBlock) {
    long_key = Sha256(key);
    key = AsBytes(long_key);
  }
  for (std::size_t i = 0; i < kBlock; ++i) {
    const auto k = i < key.size() ? static_cast<unsigned char>(key[i]) : 0u;
    inner[i] = static_cast<char>(k ^ 0x36u);
    outer[i] = static_cast<char>(k ^ 0x5cu);
  }
  const Digest first = Sha256({{inner.data(), kBlock}, bytes});
  return Sha256({{outer.data(), kBlock}, AsBytes(first)});
}

std::string_view AsBytes(const Digest& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

std::string Hex(std::string_view bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const char c : bytes) {
    text += kDigits[static_cast<unsigned char>(c) >> 4];
    text += kDigits[static_cast<unsigned char>(c) & 0x0f];
  }
  return text;
}

StatusOr<std::string> BytesFromHex(std::string_view hex) {
  if (hex.size() % 2 != 0) return InvalidArgument("hex text has an odd length");
  std::string bytes;
  bytes.reserve(hex.size() / 2);
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    const int high = HexValue(hex[i]);
    const int low = HexValue(hex[i + 1]);
    if (high < 0 || low < 0) return InvalidArgument("not lower-case hex text");
    bytes += static_cast<char>(high << 4 | low);
  }
  return bytes;
}

StatusOr<Digest> DigestFromHex(std::string_view hex) {
  Digest digest{};
  if (hex.size() != digest.size() * 2) {
    return InvalidArgument("a SHA-256 digest has 64 hex characters");
  }
  INTERLOCK_ASSIGN_OR_RETURN(const std::string bytes, BytesFromHex(hex));
  std::copy(bytes.begin(), bytes.end(), digest.begin());
  return digest;
}

std::string Base64(std::string_view bytes) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t left = bytes.size() - i;
    std::uint32_t group = static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[i])) << 16;
    if (left > 1)
      group |= static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[i + 1])) << 8;
    if (left > 2) group |= static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[i + 2]));
    text += kBase64[group >> 18];
    text += kBase64[group >> 12 & 63];
    text += left > 1 ? kBase64[group >> 6 & 63] : '=';
    text += left > 2 ? kBase64[group & 63] : '=';
  }
  return text;
}

StatusOr<std::string> BytesFromBase64(std::string_view text) {
  if (text.size() % 4 != 0) return InvalidArgument("base64 text has a wrong length");
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3);
  for (std::size_t i = 0; i < text.size(); i += 4) {
    const bool last = i + 4 == text.size();
    const int pad = last ? (text[i + 3] == '=') + (text[i + 3] == '=' && text[i + 2] == '=') : 0;
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 4 - static_cast<std::size_t>(pad); ++j) {
      const std::size_t value = kBase64.find(text[i + j]);
      if (value == std::string_view::npos) return InvalidArgument("not base64 text");
      group |= static_cast<std::uint32_t>(value) << (18 - 6 * j);
    }
    const std::uint32_t unused = pad == 2 ? group & 0xffff : pad == 1 ? group & 0xff : 0;
    if (unused != 0) return InvalidArgument("base64 text is not in its one form");
    for (int j = 0; j < 3 - pad; ++j) bytes += static_cast<char>(group >> (16 - 8 * j) & 0xff);
  }
  return bytes;
}

std::string DigestName(const Digest& digest) { return "sha256:" + Hex(digest); }

bool ConstantTimeEqual(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace interlock::core
