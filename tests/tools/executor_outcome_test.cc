// What each ending of a process means.
#include "executor_fixture.h"

namespace interlock::tools {
namespace {

using sandbox::EndKind;
using ::testing::HasSubstr;

struct Ended {
  EndKind kind;
  int value;
  Effect effect;
  OutcomeKind expected;
  const char* code;
};
class ExecutorEnding : public ExecutorTest, public ::testing::WithParamInterface<Ended> {};

TEST_P(ExecutorEnding, HasOneMeaning) {
  tool_ = MakeTool(ProcessManifest(GetParam().effect));
  sandbox::BoxResult box;
  box.kind = GetParam().kind;
  box.value = GetParam().value;
  box.stdout_bytes = R"({"ok":true})";
  const Outcome outcome = Ending(box);
  EXPECT_EQ(outcome.kind, GetParam().expected) << OutcomeKindName(outcome.kind);
  EXPECT_EQ(outcome.error_code, GetParam().code);
  EXPECT_FALSE(outcome.reported_failure);
  EXPECT_EQ(outcome.sandboxed, GetParam().kind != EndKind::kNotRun);
}

INSTANTIATE_TEST_SUITE_P(
    All, ExecutorEnding,
    ::testing::Values(
        Ended{EndKind::kExit, 0, Effect::kWrite, OutcomeKind::kOk, ""},
        Ended{EndKind::kExit, 3, Effect::kWrite, OutcomeKind::kFailed, "EXIT_3"},
        Ended{EndKind::kSignal, 11, Effect::kWrite, OutcomeKind::kFailed, "SIGNAL_11"},
        Ended{EndKind::kTimeout, 0, Effect::kWrite, OutcomeKind::kTimeout, "TIMEOUT"},
        Ended{EndKind::kCpu, 0, Effect::kWrite, OutcomeKind::kTimeout, "CPU"},
        Ended{EndKind::kMemory, 0, Effect::kWrite, OutcomeKind::kViolation, "MEMORY"},
        Ended{EndKind::kOutput, 0, Effect::kWrite, OutcomeKind::kViolation, "OUTPUT"},
        Ended{EndKind::kPids, 0, Effect::kWrite, OutcomeKind::kViolation, "PIDS"},
        Ended{EndKind::kDisk, 0, Effect::kWrite, OutcomeKind::kViolation, "DISK"},
        Ended{EndKind::kViolation, 0, Effect::kWrite, OutcomeKind::kViolation, "SYSCALL"},
        Ended{EndKind::kCancelled, 0, Effect::kRead, OutcomeKind::kFailed, "CANCELLED"},
        Ended{EndKind::kCancelled, 0, Effect::kWrite, OutcomeKind::kUnknown, "CANCELLED"},
        Ended{EndKind::kNotRun, 0, Effect::kWrite, OutcomeKind::kNotStarted, "SETUP"},
        Ended{EndKind::kLost, 0, Effect::kRead, OutcomeKind::kUnknown, "LOST"},
        Ended{EndKind::kLost, 0, Effect::kMoney, OutcomeKind::kUnknown, "LOST"}));

TEST_F(ExecutorTest, AToolMaySayThatItFailed) {
  for (const int status : {0, 1, 7}) {
    const Outcome outcome =
        Exit(status, R"({"error":{"code":"NOT_FOUND","message":"no order o-1\nat all"}})");
    EXPECT_EQ(outcome.kind, OutcomeKind::kFailed);
    EXPECT_EQ(outcome.error_code, "NOT_FOUND");
    EXPECT_EQ(outcome.error, "no order o-1\\nat all");
    EXPECT_TRUE(outcome.reported_failure);
  }
}

TEST_F(ExecutorTest, AnErrorWithAnImpossibleCodeIsStillTheToolsOwn) {
  const Outcome outcome = Exit(1, R"({"error":{"code":"not a code","message":"m"}})");
  EXPECT_EQ(outcome.error_code, "TOOL_ERROR");
  EXPECT_TRUE(outcome.reported_failure);
}

TEST_F(ExecutorTest, WhatOnlyLooksLikeAnErrorIsAResult) {
  EXPECT_EQ(Exit(0, R"({"error":{"code":"X","message":"m"},"status":"open"})").kind,
            OutcomeKind::kOk);
  EXPECT_EQ(Exit(0, R"({"error":"none"})").kind, OutcomeKind::kOk);
  EXPECT_EQ(Exit(0, R"([{"error":{"code":"X"}}])").kind, OutcomeKind::kOk);
  EXPECT_EQ(Exit(1, R"({"error":"none"})").error_code, "EXIT_1");
}

TEST_F(ExecutorTest, ACrashIsNotAReportedFailure) {
  sandbox::BoxResult box;
  box.kind = EndKind::kExit;
  box.value = 1;
  box.stderr_bytes = std::string(2000, 'x') + "\nTraceback\x1b[31m: boom\n\n";
  const Outcome outcome = Ending(box);
  EXPECT_EQ(outcome.error_code, "EXIT_1");
  EXPECT_FALSE(outcome.reported_failure);
  EXPECT_THAT(outcome.error, HasSubstr("Traceback\\u{1b}[31m: boom"));
  EXPECT_LE(outcome.error.size(), 1024u);
}

TEST_F(ExecutorTest, StdoutThatIsNotOneStrictJsonValueIsABadResult) {
  const std::string hostile[] = {"",
                                 "not json",
                                 "{\"a\":1",
                                 "{} {}",
                                 R"({"a":1,"a":2})",
                                 R"({"a":NaN})",
                                 R"({"a":1e999})",
                                 R"({"a":9007199254740993})",
                                 "\"\xff\"",
                                 "\"\xed\xa0\x80\"",
                                 std::string("{}\0", 3),
                                 std::string(1000, '[') + std::string(1000, ']'),
                                 std::string(100'000, '[')};
  for (const std::string& bytes : hostile) {
    const Outcome outcome = Exit(0, bytes);
    EXPECT_EQ(outcome.kind, OutcomeKind::kFailed) << bytes.substr(0, 40);
    EXPECT_EQ(outcome.error_code, "BAD_RESULT") << bytes.substr(0, 40);
    EXPECT_LE(outcome.error.size(), 1024u);
    EXPECT_EQ(outcome.error.find('\n'), std::string::npos);
  }
}

TEST_F(ExecutorTest, WhiteSpaceAroundTheValueIsFine) {
  EXPECT_EQ(Exit(0, "\n {\"a\": 1}\r\n").result, core::Json({{"a", 1}}));
}

TEST_F(ExecutorTest, TheResultMustFitItsSchema) {
  Manifest manifest = ProcessManifest(Effect::kRead);
  manifest.result_schema = {{"type", "object"}, {"properties", {{"n", {{"type", "integer"}}}}}};
  tool_ = MakeTool(std::move(manifest));
  EXPECT_EQ(Exit(0, R"({"n":1})").kind, OutcomeKind::kOk);
  const Outcome outcome = Exit(0, R"({"n":"1"})");
  EXPECT_EQ(outcome.error_code, "BAD_RESULT");
  EXPECT_THAT(outcome.error, HasSubstr("`/n` must be an integer, not a string"));
}

struct Amount {
  const char* result;
  const char* money;  // "" when the report is not well-formed
};

std::string Formatted(const Outcome& outcome) {
  return outcome.reported ? core::FormatMoney(*outcome.reported) : "";
}

TEST_F(ExecutorTest, AFailureInABoxComesWithAdviceForItsAuthor) {
  sandbox::BoxResult box;
  box.kind = sandbox::EndKind::kExit;
  box.value = 1;
  box.stderr_bytes = "open: Read-only file system\n";
  EXPECT_THAT(Ending(box).advice, ::testing::HasSubstr("`mounts` with `access: read-write`"));
  box.stdout_bytes = R"({"error":{"code":"NO_ORDER","message":"EROFS"}})";
  EXPECT_EQ(Ending(box).advice, "") << "the tool said itself what is wrong";
  box.value = 0;
  box.stdout_bytes = "{}";
  EXPECT_EQ(Ending(box).advice, "");
}

class ExecutorMoney : public ExecutorTest, public ::testing::WithParamInterface<Amount> {};

TEST_P(ExecutorMoney, IsExactOrNotReported) {
  Manifest manifest = ProcessManifest(Effect::kMoney);
  manifest.money = MoneyResult{.amount_path = "r.amount",
                               .currency_path = "r.currency",
                               .currency_code = "",
                               .minor_units = false};
  tool_ = MakeTool(std::move(manifest));
  const Outcome outcome = Exit(0, GetParam().result);
  EXPECT_EQ(outcome.kind, OutcomeKind::kOk);
  EXPECT_EQ(Formatted(outcome), GetParam().money);
}

INSTANTIATE_TEST_SUITE_P(
    All, ExecutorMoney,
    ::testing::Values(Amount{R"({"r":{"amount":"12.50","currency":"USD"}})", "12.50 USD"},
                      Amount{R"({"r":{"amount":12.5,"currency":"USD"}})", "12.50 USD"},
                      Amount{R"({"r":{"amount":12,"currency":"JPY"}})", "12 JPY"},
                      Amount{R"({"r":{"amount":0,"currency":"USD"}})", "0.00 USD"},
                      Amount{R"({"r":{"amount":0.30000000000000004,"currency":"USD"}})", ""},
                      Amount{R"({"r":{"amount":1e22,"currency":"USD"}})", ""},
                      Amount{R"({"r":{"amount":"12.505","currency":"USD"}})", ""},
                      Amount{R"({"r":{"amount":"1e3","currency":"USD"}})", ""},
                      Amount{R"({"r":{"amount":"-1.00","currency":"USD"}})", ""},
                      Amount{R"({"r":{"amount":-1,"currency":"USD"}})", ""},
                      Amount{R"({"r":{"amount":"9223372036854775808","currency":"JPY"}})", ""},
                      Amount{R"({"r":{"amount":"12.50","currency":"usd"}})", ""},
                      Amount{R"({"r":{"amount":"12.50","currency":7}})", ""},
                      Amount{R"({"r":{"amount":"12.50"}})", ""},
                      Amount{R"({"r":{"amount":true,"currency":"USD"}})", ""},
                      Amount{R"({"r":[]})", ""}, Amount{"[]", ""}));

TEST_F(ExecutorTest, MoneyMayBeReportedInMinorUnits) {
  Manifest manifest = ProcessManifest(Effect::kMoney);
  manifest.money = MoneyResult{
      .amount_path = "cents", .currency_path = "", .currency_code = "USD", .minor_units = true};
  tool_ = MakeTool(std::move(manifest));
  EXPECT_EQ(Formatted(Exit(0, R"({"cents":1250})")), "12.50 USD");
  EXPECT_EQ(Formatted(Exit(0, R"({"cents":"1250"})")), "12.50 USD");
  EXPECT_EQ(Formatted(Exit(0, R"({"cents":12.5})")), "");
  EXPECT_EQ(Formatted(Exit(0, R"({"cents":"12.50"})")), "");
  EXPECT_EQ(Formatted(Exit(0, R"({"cents":-1})")), "");
}

}  // namespace
}  // namespace interlock::tools
