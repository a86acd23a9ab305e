#include "core/digest.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <iterator>

#include "core/check.h"

namespace interlock::core {
namespace {

// The method object of EVP allocates and wipes a context with every digest: half the price of a
// short one. The functions below are the same code without it; that they are called deprecated is
// about engines and FIPS providers, which we do not use.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

void Start(SHA256_CTX& context) { INTERLOCK_CHECK(SHA256_Init(&context) == 1); }

void Add(SHA256_CTX& context, std::initializer_list<std::string_view> parts) {
  for (const std::string_view part : parts) {
    INTERLOCK_CHECK(SHA256_Update(&context, part.data(), part.size()) == 1);
  }
}

Digest End(SHA256_CTX& context) {
  Digest digest;
  INTERLOCK_CHECK(SHA256_Final(digest.data(), &context) == 1);
  return digest;
}

#pragma GCC diagnostic pop

constexpr std::size_t kBlock = 64;

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

constexpr std::string_view kBase64 =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

}  // namespace

Digest Sha256(std::initializer_list<std::string_view> parts) {
  SHA256_CTX context;
  Start(context);
  Add(context, parts);
  return End(context);
}

HmacKey::State HmacKey::After(std::string_view key, unsigned char pad) {
  std::array<char, kBlock> block{};
  for (std::size_t i = 0; i < kBlock; ++i) {
    const auto k = i < key.size() ? static_cast<unsigned char>(key[i]) : 0u;
    block[i] = static_cast<char>(k ^ pad);
  }
  SHA256_CTX context;
  Start(context);
  Add(context, {{block.data(), kBlock}});
  State state;
  std::copy(std::begin(context.h), std::end(context.h), state.begin());
  OPENSSL_cleanse(block.data(), block.size());
  OPENSSL_cleanse(&context, sizeof context);
  return state;
}

HmacKey::HmacKey(std::string_view key) {
  Digest long_key{};
  if (key.size() > kBlock) {
    long_key = Sha256(key);
    key = AsBytes(long_key);
  }
  inner_ = After(key, 0x36);
  outer_ = After(key, 0x5c);
}

HmacKey::~HmacKey() {
  OPENSSL_cleanse(inner_.data(), sizeof inner_);
  OPENSSL_cleanse(outer_.data(), sizeof outer_);
}

Digest HmacKey::Of(std::initializer_list<std::string_view> parts) const {
  const auto resume = [](SHA256_CTX& context, const State& state) {
    Start(context);
    std::copy(state.begin(), state.end(), std::begin(context.h));
    context.Nl = kBlock * 8;  // bits: the key's block
  };
  SHA256_CTX context;
  resume(context, inner_);
  Add(context, parts);
  const Digest first = End(context);
  resume(context, outer_);
  Add(context, {AsBytes(first)});
  return End(context);
}

Digest HmacSha256(std::string_view key, std::string_view bytes) { return HmacKey(key).Of({bytes}); }

std::string_view AsBytes(const Digest& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

namespace {

// The two digits of each byte.
constexpr auto kHexPairs = [] {
  constexpr char kDigits[] = "0123456789abcdef";
  std::array<std::array<char, 2>, 256> pairs{};
  for (std::size_t byte = 0; byte < pairs.size(); ++byte) {
    pairs[byte] = {kDigits[byte >> 4], kDigits[byte & 0x0f]};
  }
  return pairs;
}();

}  // namespace

std::string Hex(std::string_view bytes) {
  std::string text(bytes.size() * 2, '\0');
  char* out = text.data();
  for (const char c : bytes) {
    std::memcpy(out, kHexPairs[static_cast<unsigned char>(c)].data(), 2);
    out += 2;
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
