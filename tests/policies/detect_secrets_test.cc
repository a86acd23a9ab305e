// Secrets: made here by the form that each provider documents, never written out, so that scanners
// of repositories find none.
#include <gtest/gtest.h>

#include <set>

#include "detect_fixture.h"
#include "secret_forms.h"

namespace interlock::policies {
namespace {

constexpr DetectOptions kSecrets = {.secrets = true};

// Characters of a set in an order without repeats, so that they look generated.
std::string Fill(char set, std::size_t size) {
  const std::string digits = "7294018365";
  const std::string lower = "kqzmxwvbtjrhgfdnplcsyaeiou";
  const std::string upper = "KQZMXWVBTJRHGFDNPLCSYAEIOU";
  std::string from;
  if (set == 'd') from = digits;
  if (set == 'x' || set == 'X') from = "7b29f4e018d3a6c5";
  if (set == 'u') from = "7K29QZ4MX0W18V3B6T5JRHGFD";
  if (set == 'l') from = digits + lower;
  if (set == 'A') from = lower;
  if (from.empty()) from = "7kQ2z9MxW4vb0TjR1hgF8dn3PlC6s5y";
  std::string out;
  for (std::size_t i = 0; i < size; ++i) out += from[(i * 7 + i / from.size()) % from.size()];
  return out;
}

// "%a{36}" and the like, other characters as they are.
std::string Generate(const std::string& form) {
  std::string out;
  for (std::size_t at = 0; at < form.size();) {
    if (form[at] != '%') {
      out += form[at++];
      continue;
    }
    const std::size_t close = form.find('}', at);
    out += Fill(form[at + 1], std::stoul(form.substr(at + 3, close - at - 3)));
    at = close + 1;
  }
  return out;
}

TEST(DetectSecrets, KnowsMoreThanSixtyKinds) {
  std::set<std::string> kinds;
  for (const SecretForm& form : SecretForms()) kinds.insert(form.kind);
  EXPECT_EQ(SecretForms().size(), 138u) << "a line of secret_forms.cc has not three words";
  EXPECT_GE(kinds.size(), 60u);
  std::size_t reported = 0;
  for (const DetectKind& kind : DetectKinds()) reported += kind.group == DetectGroup::kSecret;
  EXPECT_GE(reported, kinds.size());
}

TEST(DetectSecrets, FindsEachForm) {
  for (const SecretForm& form : SecretForms()) {
    const std::string token = form.prefix + Generate(form.tail);
    const bool glued = form.prefix[0] == '.';
    for (const std::string before : {"", "key: ", "\"", "x=", "a\\n", "%3D"}) {
      if (glued && before.size() > 2) continue;
      ExpectHit({form.kind, before, token, ""}, kSecrets);
      ExpectHit({form.kind, before, token, " next"}, kSecrets);
      ExpectHit({form.kind, before, token, "\","}, kSecrets);
    }
  }
}

TEST(DetectSecrets, LeavesTheHarmlessTwinOfEachForm) {
  for (const SecretForm& form : SecretForms()) {
    const std::string tail = Generate(form.tail);
    ExpectNothing(form.prefix, kSecrets);
    ExpectNothing("see " + form.prefix + tail.substr(0, 4) + " in the docs", kSecrets);
    // What ends in `=` is an assignment still.
    if (form.prefix[0] != '.' && form.prefix.back() != '=')
      ExpectNothing("base" + form.prefix + tail, kSecrets);
    std::string dull;
    for (const char c : tail) dull += c == '-' || c == '.' || c == '/' || c == '@' ? c : 'x';
    ExpectNothing(form.prefix + dull, kSecrets);
  }
}

TEST(DetectSecrets, FindsWhatHasNoPrefix) {
  const std::string hex32 = Generate("%x{32}");
  const std::string dashes = "-----";
  const std::string armour = dashes + "BEGIN RSA PRIVATE KEY" + dashes + "\n" + Generate("%a{64}") +
                             "\n" + dashes + "END RSA PRIVATE KEY" + dashes;
  const std::string jwt =
      "ey"
      "J" +
      Generate("%w{20}") +
      ".ey"
      "J" +
      Generate("%w{40}") + "." + Generate("%w{43}");
  for (const Hit& hit :
       std::vector<Hit>{{"private_key", "key:\n", armour, "\n"},
                        {"jwt", "token ", jwt, " end"},
                        {"twilio_key", "",
                         "S"
                         "K" +
                             hex32,
                         ""},
                        {"mailchimp_key", "", hex32 + "-us12", ""},
                        {"telegram_bot_token", "bot ",
                         Generate("%d{10}") +
                             ":A"
                             "A" +
                             Generate("%w{33}"),
                         ""},
                        {"azure_client_secret", "",
                         Generate("%a{3}") +
                             "8Q"
                             "~" +
                             Generate("%a{34}"),
                         ""},
                        {"url_password", "postgres://app:", Generate("%a{16}"), "@db.example/x"},
                        {"authorization_header", "Authorization: Bearer ", Generate("%a{40}"), ""},
                        {"authorization_header", "Authorization: Basic ", Generate("%a{24}"), ""},
                        {"assigned_secret", "api_key = \"", Generate("%a{32}"), "\""},
                        {"assigned_secret", "\"client_secret\": \"", Generate("%a{40}"), "\""},
                        {"assigned_secret", "AWS_SECRET_ACCESS_KEY=", Generate("%a{40}"), " x"},
                        {"assigned_secret", "my password is ", "tr0ub4dor&3x", ""}})
    ExpectHit(hit, kSecrets);
  EXPECT_TRUE(ConfidenceOf(Generate("%a{32}"), "assigned_secret",
                           {.secrets = true, .field = "stripe_api_key"}));
}

TEST(DetectSecrets, LeavesHarmlessTexts) {
  for (const std::string& text : std::vector<std::string>{
           "id 550e8400-e29b-41d4-a716-446655440000",
           "sha1 " + Generate("%x{40}"),
           "sha256:" + Generate("%x{64}"),
           "etag \"" + Generate("%x{32}") + "\"",
           "data:image/"
           "png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChw",
           "data:image/jpeg;base64," + Generate("%a{400}") + "/" + Generate("%a{400}") + "+AKIA" +
               Generate("%u{16}") + "/" + Generate("%a{40}"),
           "password = os.environ[\"DB_PASSWORD\"]",
           "password: ${DB_PASSWORD}",
           "const password = getPassword(user);",
           "the password is wrong",
           "Password: ********",
           "api_key = YOUR_API_KEY_HERE",
           "secret: xxxxxxxxxxxxxxxxxxxxxxxx",
           "please reset my password, the secret question is my pet",
           "token = tokens[i]; next_page_token=abc",
           "the bearer of this letter",
           "basic training for new staff",
           "git clone https:/"
           "/host.example/team/repo.git",
           "https:/"
           "/user@host.example/path",
           "sk-learn and task-force and desk-lamp",
           "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
           "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----",
           "order ORD-2026-000123456, tracking 1Z999AA10123456784",
           "price 12.50 USD on 2026-05-01",
           "AKIA"
           "IOSFODNN7EXAMPLE",
           "for (std::size_t i = 0; i < n; ++i) out += from[i];",
           "npm_config_registry and hf_transfer and pypi-publish"})
    ExpectNothing(text, kSecrets);
}

}  // namespace
}  // namespace interlock::policies
