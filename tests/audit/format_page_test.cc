// The test vectors of docs/audit_format.md that need more than a standard library: the seal, opened
// as the page says; and the same entries, trees and proofs by our own code.
#include <gtest/gtest.h>
#include <sodium.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>
#include <string>

#include "audit/checkpoint.h"
#include "audit/cosignature.h"
#include "audit/keys.h"
#include "audit/merkle.h"
#include "audit/proof.h"
#include "core/digest.h"

namespace interlock::audit {
namespace {

// Lines `name = value` of the page, and the blocks that a sentence names, by name.
class Page : public ::testing::Test {
 protected:
  Page() {
    std::ifstream in(INTERLOCK_FORMAT_PAGE);
    std::string text{std::istreambuf_iterator<char>(in), {}};
    text.erase(0, text.find("\n## Test vectors\n"));
    const std::string begin = "\n\n```text\n";
    for (std::size_t at = text.find(begin); at != std::string::npos; at = text.find(begin, at)) {
      const std::size_t line = text.rfind('\n', at - 1) + 1;
      const std::string before = text.substr(line, at - line);
      at += begin.size();
      const std::size_t end = text.find("```", at);
      Take(before, text.substr(at, end - at));
      at = end;
    }
  }
  void Take(const std::string& before, const std::string& block) {
    if (block.find(" = ") == std::string::npos && block.find(" =\n") == std::string::npos) {
      const std::size_t close = before.rfind('`');
      const std::size_t open = before.rfind('`', close - 1);
      texts_[before.substr(open + 1, close - open - 1)] = block;
      return;
    }
    for (std::size_t at = 0; at < block.size();) {
      const std::size_t end = block.find('\n', at);
      const std::string line = block.substr(at, end - at);
      const std::size_t equals = line.find(" =");
      values_[line.substr(0, equals)] = line.substr(std::min(line.size(), equals + 3));
      at = end + 1;
    }
  }
  std::string Hex(const std::string& name) {
    const auto bytes = core::BytesFromHex(values_[name]);
    EXPECT_TRUE(bytes.ok()) << name;
    return bytes.value_or("");
  }

  std::map<std::string, std::string> values_;
  std::map<std::string, std::string> texts_;
};

TEST_F(Page, TheSealOpensAsThePageSays) {
  ASSERT_GE(sodium_init(), 0);
  const std::string key = Hex("key");
  const std::string sealed = Hex("sealed");
  const std::string context = values_["key_id"] + std::string(1, '\0') + values_["media"];
  const auto bytes = [](const std::string& text) {
    return reinterpret_cast<const unsigned char*>(text.data());
  };
  ASSERT_EQ(key.size(), 32u);
  ASSERT_GT(sealed.size(), 72u);
  std::string plain(sealed.size() - 24 - 16, '\0');
  ASSERT_EQ(
      crypto_aead_xchacha20poly1305_ietf_decrypt(
          reinterpret_cast<unsigned char*>(plain.data()), nullptr, nullptr, bytes(sealed) + 24,
          sealed.size() - 24, bytes(context), context.size(), bytes(sealed), bytes(key)),
      0);
  EXPECT_EQ(plain, Hex("salt") + values_["content"]);
  EXPECT_EQ(core::Hex(Commitment(Hex("salt"), values_["media"], values_["content"])),
            values_["commitment"]);
}

TEST_F(Page, TreesProofsAndNotesAreOurs) {
  Frontier tree;
  for (int i = 0; i < 7; ++i) tree.Add(LeafHash(Hex("leaf." + std::to_string(i))));
  EXPECT_EQ(core::Hex(tree.Root()), values_["root.7"]);
  EXPECT_EQ(core::Hex(LeafHash(values_["entry.0"])), values_["entry_hash.0"]);
  const auto head = OpenCheckpoint(texts_["note"], values_["verifier_key"]);
  ASSERT_TRUE(head.ok()) << head.status();
  EXPECT_EQ(head->root, tree.Root());
  const auto time =
      CosignedAt(texts_["note"] + values_["cosignature"] + "\n", values_["witness_key"]);
  ASSERT_TRUE(time.ok()) << time.status();
  EXPECT_EQ(*time, 1'700'000'000);
}

}  // namespace
}  // namespace interlock::audit
