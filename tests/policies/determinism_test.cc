// D01 to D14: the same bundle and input give the same bytes, in any state, order of files, or
// locale.
#include <clocale>

#include "policy_fixture.h"

namespace interlock::policies {
namespace {

// Rules that walk tables, join texts and numbers, and speak in every way.
std::vector<BundleFile> NoisyFiles() {
  return {
      {.path = "a.lua",
       .text = "policy \"a\" { owner = \"t\", tools = { \"*\" } }\n"
               "local NAMES = { zeta = 1, alpha = 2, mid = 3, [10] = 4, [2] = 5, [true] = 6, [1.5] "
               "= 7 }\n"
               "local P = patterns { z = [[o\\d]], b = [[o]], a = [[nope]] }\n"
               "on(\"*\", \"walk\", function(c)\n"
               "  local s = \"\"\n"
               "  for k, v in pairs(NAMES) do s = s .. tostring(k) .. \"=\" .. v .. \";\" end\n"
               "  for k, v in pairs(c.args) do s = s .. k .. \",\" end\n"
               "  return note(s .. P:find(c.args.id) .. tostring(0.1 + 0.2) .. tostring(1e16) .. "
               "tostring(-0.0))\n"
               "end)\n"
               "on(\"*\", \"sorts\", function(c)\n"
               "  local t = { \"b\", \"B\", \"a\", \"\xC3\xA4\", \"Z\", \"_\" }\n"
               "  table.sort(t)\n"
               "  return note(table.concat(t, \" \") .. (\"a\" < \"B\" and \"1\" or \"0\") .. "
               "(\"\xC3\xA4\"):upper())\n"
               "end)\n"
               "on(\"*\", \"holes\", function(c)\n"
               "  local t = { 1, nil, 3, nil, nil, 6 } local u = {} for i = 1, 20 do u[i] = i end "
               "u[7] = nil\n"
               "  return note(#t .. \" \" .. #u)\n"
               "end)\n"
               "on(\"*\", \"float\", function(c) return note(1.5 .. \"|\" .. c.args.price .. \"|\" "
               ".. 3.0) end)\n"},
      {.path = "b.lua",
       .text = "policy \"b\" { owner = \"t\", tools = { \"*\" } }\n"
               "local B = budget \"b\" { unit = \"USD\", limit = usd(10), per = \"run\" }\n"
               "on(\"*\", \"deny\", function(c) return deny { code = \"B_DENY\", say = \"b\", fix "
               "= { [\"args.amount\"] = 1, "
               "[\"args.id\"] = \"x\" } } end)\n"
               "on(\"*\", \"ask\", function(c) return require_approval { approvers = { \"user:z\", "
               "\"role:a\" }, expires = \"1h\" } end)\n"
               "on(\"*\", \"reserve\", function(c) return reserve(B, usd(1)) end)\n"
               "on(\"*\", \"limit\", function(c) return limit { key = c.args.id, max = 5, per = "
               "\"1h\" } end)\n"
               "on(\"*\", \"error\", function(c) return c.args.items[9] end)\n"},
      {.path = "c.lua",
       .text = "policy \"c\" { owner = \"t\", tools = { \"*\" } }\n"
               "on(\"*\", \"deny\", function(c) return deny { code = \"A_DENY\", say = \"c\", "
               "because = { z = 1, a = { 2, 1 } } } end)\n"
               "on(\"*\", \"spin\", function(c) local n = 0 while true do n = n + 1 end end)\n"
               "on(\"*\", \"grow\", function(c) local s = \"x\" while true do s = s .. s end end)\n"
               "on(\"*\", \"allow\", function(c) return allow() end)\n"}};
}

std::unique_ptr<Engine> NoisyEngine(bool reversed) {
  std::vector<BundleFile> files = NoisyFiles();
  if (reversed) std::reverse(files.begin(), files.end());
  auto bundle = Bundle::Load(std::move(files), {}, nullptr);
  EXPECT_TRUE(bundle.ok()) << core::Message(bundle.status());
  return *Engine::Make(*bundle);
}

TEST(Determinism, TwoStatesAndReversedFilesGiveTheSameBytes) {
  // Each state seeds its string hashes from addresses and time, so the tables inside differ.
  const std::unique_ptr<Engine> one = NoisyEngine(false);
  const std::unique_ptr<Engine> two = NoisyEngine(true);
  const std::string expected = CanonicalDecision(DecideWith(*one, {}));
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(CanonicalDecision(DecideWith(*one, {})), expected);
    EXPECT_EQ(CanonicalDecision(DecideWith(*two, {})), expected);
  }
  EXPECT_EQ(CanonicalDecision(DecideWith(*NoisyEngine(true), {})), expected);
}

TEST(Determinism, SaysWhatAPersonWouldExpect) {
  const Decision decision = DecideWith(*NoisyEngine(false), {});
  EXPECT_EQ(FiredBy(decision, "a/walk")->because,
            "1.5=7;2=5;10=4;alpha=2;mid=3;zeta=1;true=6;amount,id,items,price,"
            "b"
            "0.30000000000000004"
            "10000000000000000"
            "0");
  EXPECT_EQ(FiredBy(decision, "a/sorts")->because,
            "B Z _ a b \xC3\xA4"
            "0\xC3\xA4");
  EXPECT_EQ(FiredBy(decision, "a/float")->because, "1.5|48.5|3.0");
  EXPECT_EQ(FiredBy(decision, "c/spin")->code, "FUEL");
  EXPECT_EQ(FiredBy(decision, "c/grow")->code, "MEMORY");
  EXPECT_EQ(decision.code, "RULE_ERROR");
  EXPECT_EQ(decision.say, "b c");
}

TEST(Determinism, LocaleOfTheProcessDoesNotMatter) {
  const std::unique_ptr<Engine> engine = NoisyEngine(false);
  const std::string expected = CanonicalDecision(DecideWith(*engine, {}));
  const std::string before = std::setlocale(LC_ALL, nullptr);
  for (const char* name : {"de_DE.UTF-8", "tr_TR.UTF-8", "C.UTF-8", "en_US.UTF-8"}) {
    if (std::setlocale(LC_ALL, name) == nullptr) continue;  // C.UTF-8 is on every Debian
    EXPECT_EQ(CanonicalDecision(DecideWith(*engine, {})), expected) << name;
    EXPECT_EQ(CanonicalDecision(DecideWith(*NoisyEngine(true), {})), expected) << name;
  }
  std::setlocale(LC_ALL, before.c_str());
}

TEST(Determinism, GarbageOfEarlierDecisionsDoesNotMatter) {
  const std::unique_ptr<Engine> engine = NoisyEngine(false);
  TestCall big;
  big.args["items"] = core::Json::array();
  for (int i = 0; i < 3000; ++i) big.args["items"].push_back({{"sku", std::to_string(i)}});
  const std::string expected = CanonicalDecision(DecideWith(*NoisyEngine(false), {}));
  for (int i = 0; i < 5; ++i) {
    DecideWith(*engine, big);
    EXPECT_EQ(CanonicalDecision(DecideWith(*engine, {})), expected);
  }
}

TEST(Determinism, ThereIsNoClockNoChanceAndNoOutside) {
  for (const char* name : {"os", "io", "require", "print", "collectgarbage"}) {
    EXPECT_EQ(DecideText(RuleText("return " + std::string(name))).code, "RULE_ERROR") << name;
  }
  EXPECT_EQ(DecideText(RuleText("return math.random()")).code, "RULE_ERROR");
}

TEST(Determinism, IntegersAndWholeFloatsAreOneKey) {
  EXPECT_EQ(
      DecideText(RuleText("local t = { [1] = \"a\" } if t[1.0] == \"a\" then return allow() end"))
          .code,
      "OK");
  TestCall whole;
  whole.args["amount"] = 20.0;
  EXPECT_EQ(
      DecideText(RuleText("if money_of(c.args.amount, \"USD\") == usd(20) then return allow() end"),
                 whole)
          .code,
      "OK");
}

TEST(Determinism, RunsOutOfFuelAtTheSameInstruction) {
  // Whether a rule just fits must not depend on what ran before it.
  for (int loops : {6000, 6500, 6600, 6640, 6660, 6700, 9000, 9900, 10000}) {
    const std::string body =
        "for i = 1, " + std::to_string(loops) + " do local x = i end return allow()";
    const std::string alone = DecideText(RuleText(body)).code;
    const Decision after =
        DecideText(PolicyText("on(\"*\", \"a\", function(c) for i = 1, 777 do end end)\n"
                              "on(\"*\", \"r\", function(c) " +
                              body + " end)\n"));
    EXPECT_EQ(after.code, alone) << loops;
  }
}

}  // namespace
}  // namespace interlock::policies
