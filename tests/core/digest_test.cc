// SHA-256 (FIPS 180-4), HMAC (RFC 4231), hex and base64 (RFC 4648): published vectors and strict
// reading.
#include "core/digest.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

namespace interlock::core {
namespace {

TEST(Sha256, GivesThePublishedVectors) {
  EXPECT_EQ(Hex(Sha256("")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(Hex(Sha256("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Hex(Sha256(std::string(1'000'000, 'a'))),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, HashesPartsAsTheirConcatenation) {
  EXPECT_EQ(Sha256({"a", "", "bc"}), Sha256("abc"));
  EXPECT_NE(Sha256({"a", "bc"}), Sha256({"a", "bd"}));
}

TEST(Sha256, IsTheSameOnEveryThread) {
  std::vector<Digest> digests(8);
  std::vector<std::thread> threads;
  threads.reserve(digests.size());
  for (Digest& digest : digests) {
    threads.emplace_back([&digest] {
      for (int i = 0; i < 100; ++i) digest = Sha256("abc");
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const Digest& digest : digests) EXPECT_EQ(digest, Sha256("abc"));
}

TEST(HmacSha256, GivesTheVectorsOfRfc4231) {
  EXPECT_EQ(Hex(HmacSha256(std::string(20, '\x0b'), "Hi There")),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  EXPECT_EQ(Hex(HmacSha256("Jefe", "what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(Hex(HmacSha256(std::string(131, '\xaa'),
                           "Test Using Larger Than Block-Size Key - Hash Key First")),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

// RFC 2104, written out: H(K ^ opad || H(K ^ ipad || text)).
TEST(HmacKey, IsTheDefinitionForEveryLengthAndAsOftenAsWanted) {
  for (std::size_t size = 0; size < 130; ++size) {
    const std::string secret(size % 64, static_cast<char>('a' + size % 26));
    std::string inner(64, '\x36');
    std::string outer(64, '\x5c');
    for (std::size_t i = 0; i < secret.size(); ++i) {
      inner[i] = static_cast<char>(inner[i] ^ secret[i]);
      outer[i] = static_cast<char>(outer[i] ^ secret[i]);
    }
    const std::string text(size, 't');
    const Digest expected = Sha256({outer, AsBytes(Sha256({inner, text}))});
    const HmacKey key(secret);
    EXPECT_EQ(key.Of({text}), expected) << size;
    EXPECT_EQ(key.Of({text.substr(0, size / 3), text.substr(size / 3)}), expected) << size;
    EXPECT_EQ(HmacSha256(secret, text), expected) << size;
  }
}

TEST(Hex, ReadsOnlyItsOneForm) {
  const Digest digest = Sha256("abc");
  const StatusOr<Digest> back = DigestFromHex(Hex(digest));
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(*back, digest);
  EXPECT_EQ(DigestName(digest), "sha256:" + Hex(digest));
  std::string upper = Hex(digest);
  upper[0] = 'B';
  EXPECT_EQ(DigestFromHex(upper).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(DigestFromHex(Hex(digest).substr(2)).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(BytesFromHex("abc").status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(BytesFromHex("0g").status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(BytesFromHex("00ff").value(), std::string("\x00\xff", 2));
}

TEST(Base64, GivesTheVectorsOfRfc4648) {
  const std::vector<std::pair<std::string, std::string>> vectors = {{"", ""},
                                                                    {"f", "Zg=="},
                                                                    {"fo", "Zm8="},
                                                                    {"foo", "Zm9v"},
                                                                    {"foob", "Zm9vYg=="},
                                                                    {"fooba", "Zm9vYmE="},
                                                                    {"foobar", "Zm9vYmFy"}};
  for (const auto& [bytes, text] : vectors) {
    EXPECT_EQ(Base64(bytes), text);
    EXPECT_EQ(BytesFromBase64(text).value(), bytes);
  }
}

TEST(Base64, ReadsOnlyItsOneForm) {
  for (const char* text : {"Zg", "Zg=", "Zh==", "Zm9=", "Zm8=Zg==", "Z===", "====", "Zm 8", "Zm8\n",
                           "Zm9v\n", "Zm9-", "Zm_v"}) {
    EXPECT_EQ(BytesFromBase64(text).status().code(), StatusCode::kInvalidArgument) << text;
  }
}

TEST(ConstantTimeEqual, ComparesBytesAndLength) {
  EXPECT_TRUE(ConstantTimeEqual("secret", "secret"));
  EXPECT_TRUE(ConstantTimeEqual("", ""));
  EXPECT_FALSE(ConstantTimeEqual("secret", "secreT"));
  EXPECT_FALSE(ConstantTimeEqual("secret", "secrets"));
}

}  // namespace
}  // namespace interlock::core
