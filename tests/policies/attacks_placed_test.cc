// The attacks L01 to L33 where a rule makes arguments, amounts and texts, and where it looks at
// what came back: inside of modify, reserve, limit and detectors, and in rules about messages,
// results and answers. attacks_test.cc has them in plain rules.
#include "attack_time.h"
#include "policies/content.h"
#include "policy_fixture.h"

namespace interlock::policies {
namespace {

struct Payload {
  const char* id;
  std::string expression;  // of Lua, never a harmless value
  const char* code;
};

// Each is the body of a function whose value is asked for, so that it stands wherever a value may.
std::vector<Payload> Payloads() {
  const auto value = [](const std::string& body) { return "(function() " + body + " end)()"; };
  return {{"L01a", value("while true do end"), "FUEL"},
          {"L01b", value("for i = 1, 1 << 60 do end"), "FUEL"},
          {"L01c", value("local function f() return f() end return f()"), "FUEL"},
          {"L03", value("return any({ 1 }, function() while true do end end)"), "FUEL"},
          {"L10", value("for i = 1, 1000 do string.rep(\"x\", 60000) end"), "FUEL"},
          {"L11", value("local s = \"xxxxxxxx\" while true do s = s .. s end"), "MEMORY"},
          {"L12", value("return (\"x\"):find(\"(x+x+)+y\")"), "RULE_ERROR"},
          {"L13", value("return string.gsub(string.rep(\"a\", 999), \".-b\", \"\")"), "RULE_ERROR"},
          {"L14", value("return table.move({}, 1, 1000000000, 2)"), "RULE_ERROR"},
          {"L15", value("local t = {} for i = 1, 300 do t[i] = i end return table.unpack(t)"),
           "RULE_ERROR"},
          {"L16", value("return string.format(\"%99999d\", 1)"), "RULE_ERROR"},
          {"L17", value("return tostring({})"), "RULE_ERROR"},
          {"L18", value("return load(\"return 1\")()"), "RULE_ERROR"},
          {"L19", value("(\"\").upper = 1"), "RULE_ERROR"},
          {"L20", value("string.lower = nil"), "RULE_ERROR"},
          {"L21", value("return debug.getregistry()"), "RULE_ERROR"},
          {"L22", value("collectgarbage(\"stop\")"), "RULE_ERROR"},
          {"L23", value("return os.execute(\"true\")"), "RULE_ERROR"},
          {"L24", value("local function f(n) return 1 + f(n + 1) end return f(1)"), "FUEL"},
          {"L25", value("error(string.rep(\"x\", 60000))"), "RULE_ERROR"},
          {"L27", value("return rawset(c, \"user\", \"root\")"), "RULE_ERROR"},
          {"L30a", "0/0", "RULE_ERROR"},
          {"L30b", "1/0", "RULE_ERROR"},
          {"L31a", "allow", "RULE_ERROR"},
          {"L31b", "setmetatable", "RULE_ERROR"},
          {"L31c", value("local t = {} t[1] = t return t"), "RULE_ERROR"}};
}

constexpr char kHead[] =
    "local MONEY = budget \"b\" { unit = \"USD\", limit = usd(100), per = \"run\" }\n"
    "local CALLS = budget \"n\" { unit = \"calls\", limit = 100, per = \"run\" }\n";

// `around` has one `$`, where the payload goes.
std::string Placed(const std::string& around, const std::string& expression) {
  const std::size_t at = around.find('$');
  return around.substr(0, at) + expression + around.substr(at + 1);
}

// Every payload at one place of a rule about calls: denied in time with its code, beside an allow,
// and the same again.
void ExpectStoppedAt(const std::string& around) {
  for (const Payload& payload : Payloads()) {
    SCOPED_TRACE(std::string(payload.id) + " in " + around);
    const auto engine = MakeEngine(
        PolicyText(kHead + ("on(\"*\", \"r\", function(c) " + Placed(around, payload.expression)) +
                   " end)\n" + kAllowAll));
    ASSERT_TRUE(engine.ok()) << core::Message(engine.status());
    const double start = ThreadMs();
    const Decision decision = DecideWith(**engine, {});
    EXPECT_LT(ThreadMs() - start, kAttackMs);
    EXPECT_EQ(decision.verdict, Verdict::kDeny);
    EXPECT_EQ(decision.code, payload.code);
    ASSERT_NE(FiredBy(decision, "p/r"), nullptr);
    EXPECT_LE(FiredBy(decision, "p/r")->because.size(), 1024u);
    EXPECT_EQ(FiredBy(decision, "p/r")->because.find("0x"), std::string::npos);
    EXPECT_FALSE(decision.modified_args.has_value());
    EXPECT_TRUE(decision.reservations.empty() && decision.limits.empty());
    EXPECT_EQ(CanonicalDecision(DecideWith(**engine, {})), CanonicalDecision(decision));
  }
}

TEST(PlacedAttacks, InModify) {
  ExpectStoppedAt("return modify { [\"args.amount\"] = $ }");
  ExpectStoppedAt("return modify { [\"args.items\"] = { { deep = { $ } } } }");
}

TEST(PlacedAttacks, InReserveAndLimit) {
  ExpectStoppedAt("return reserve(MONEY, $)");
  ExpectStoppedAt("return reserve(CALLS, $)");
  ExpectStoppedAt("return limit { key = $, max = 1, per = \"1h\" }");
}

TEST(PlacedAttacks, InDetectors) {
  ExpectStoppedAt("return note(redact($, \"pii\"))");
  ExpectStoppedAt("return note(redact(c.args.id, $))");
}

// Rules about what came in, what came back and what goes out.
void ExpectWithheldAt(RulePhase phase, const std::string& selector) {
  const core::Json content = {{"text", "hello"}};
  const TestCall call;
  for (const Payload& payload : Payloads()) {
    SCOPED_TRACE(std::string(payload.id) + " in " + selector);
    const std::string root(RulePhaseName(phase));
    const auto engine =
        MakeEngine(PolicyText("on(" + selector + ", \"r\", function(c) return modify { [\"" + root +
                              ".text\"] = " + payload.expression + " } end)\n"));
    ASSERT_TRUE(engine.ok()) << core::Message(engine.status());
    const DecisionInput input = AboutContent(phase, content, call);
    const double start = ThreadMs();
    const ContentDecision decision = DecideContent(**engine, input);
    EXPECT_LT(ThreadMs() - start, kAttackMs);
    EXPECT_EQ(decision.decision.verdict, Verdict::kDeny);
    EXPECT_EQ(decision.decision.code, payload.code);
    EXPECT_TRUE(decision.content.is_null()) << "what is withheld is not handed on";
  }
}

TEST(PlacedAttacks, AboutMessagesResultsAndAnswers) {
  ExpectWithheldAt(RulePhase::kMessage, "message()");
  ExpectWithheldAt(RulePhase::kResult, "result(\"mail.*\")");
  ExpectWithheldAt(RulePhase::kAnswer, "answer()");
}

// What comes back is a stranger's text: big, deep or broken, it is looked at within bounds.
TEST(PlacedAttacks, HostileResultsAreLookedAtWithinBounds) {
  const auto many = [](int times, const std::string& text) {
    std::string out;
    for (int i = 0; i < times; ++i) out += text;
    return out;
  };
  core::Json deep = "x";
  for (int i = 0; i < 200; ++i) deep = core::Json::array({deep});
  struct Hostile {
    const char* name;
    core::Json result;
    const char* code;
  };
  const std::vector<Hostile> results = {
      {"many digits", std::string(200'000, '4'), "FUEL"},
      {"many addresses", many(20'000, "a@b.example "), "FUEL"},
      {"many begun keys", many(20'000, "ghp_AKIA-----BEGIN "), "FUEL"},
      {"zero width", many(30'000, "\xE2\x80\x8B\xE2\x80\x8D"), "FUEL"},
      {"broken bytes", std::string(100'000, '\x80'), "OK"},
      {"deep", deep, "OK"}};
  const auto engine = MakeEngine(PolicyText(
      "on(result(\"*\"), \"r\", function(c) if has_secret(c.result) or has_pii(c.result) or "
      "has_injection(c.result) then return deny { code = \"SEEN\" } end end)\n"));
  ASSERT_TRUE(engine.ok()) << core::Message(engine.status());
  const TestCall call;
  for (const auto& [name, result, code] : results) {
    SCOPED_TRACE(name);
    const core::Json content = {{"body", result}};
    DecisionInput input;
    input.phase = RulePhase::kResult;
    input.call = {.id = "c1", .run = "r1", .tool = "mail.read", .effect = "read", .agent = "a1"};
    input.args = &call.args;
    input.content = &content;
    input.state = &call.state;
    const double start = ThreadMs();
    const ContentDecision decision = DecideContent(**engine, input);
    EXPECT_LT(ThreadMs() - start, kAttackMs);
    EXPECT_EQ(decision.decision.code, code);
    const ContentDecision again = DecideContent(**engine, input);
    EXPECT_EQ(CanonicalDecision(again.decision), CanonicalDecision(decision.decision));
  }
}

TEST(PlacedAttacks, HarmlessTwinsPass) {
  const auto verdict = [](const std::string& body) {
    return DecideText(
               PolicyText(kHead + ("on(\"*\", \"r\", function(c) " + body) + " end)\n" + kAllowAll))
        .verdict;
  };
  EXPECT_EQ(verdict("return modify { [\"args.amount\"] = (function() return 7 end)() }"),
            Verdict::kModify);
  EXPECT_EQ(verdict("return modify { [\"args.items\"] = { { deep = { 1 } } } }"), Verdict::kModify);
  EXPECT_EQ(verdict("return reserve(MONEY, usd(1))"), Verdict::kAllow);
  EXPECT_EQ(verdict("return reserve(CALLS, 1)"), Verdict::kAllow);
  EXPECT_EQ(verdict("return limit { key = c.args.id, max = 1, per = \"1h\" }"), Verdict::kAllow);
  EXPECT_EQ(verdict("return note(redact(\"a\", \"pii\"))"), Verdict::kAllow);
  EXPECT_EQ(verdict("if not has_secret({ a = { \"b\" } }) then return note(\"n\") end"),
            Verdict::kAllow);
}

}  // namespace
}  // namespace interlock::policies
