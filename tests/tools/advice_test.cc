#include "tools/advice.h"

#include <gmock/gmock.h>

namespace interlock::tools {
namespace {
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

sandbox::BoxResult Ended(sandbox::EndKind kind, int value, std::string stderr_bytes = "") {
  sandbox::BoxResult result;
  result.kind = kind;
  result.value = value;
  result.stderr_bytes = std::move(stderr_bytes);
  return result;
}

TEST(SandboxExplain, NamesTheLimitAndItsValue) {
  sandbox::Limits limits;
  limits.wall_ms = 250;
  limits.pids = 3;
  EXPECT_THAT(ExplainEnding(limits, Ended(sandbox::EndKind::kTimeout, 0)),
              ElementsAre(HasSubstr("limits.wall_ms (--wall-ms 250)")));
  EXPECT_THAT(ExplainEnding(limits, Ended(sandbox::EndKind::kPids, 1, "EAGAIN")),
              ElementsAre(HasSubstr("limits.pids (--pids 3)")));
}

struct Saying {
  const char* text;
  const char* advice;
};
class SandboxHints : public ::testing::TestWithParam<Saying> {};

TEST_P(SandboxHints, PointToTheKeyThatMovesTheWall) {
  const auto lines = ExplainEnding({}, Ended(sandbox::EndKind::kExit, 1, GetParam().text));
  ASSERT_THAT(lines, SizeIs(2)) << GetParam().text;
  EXPECT_THAT(lines[1], HasSubstr(GetParam().advice));
  // The same words of a program that did its work mean nothing.
  EXPECT_THAT(ExplainEnding({}, Ended(sandbox::EndKind::kExit, 0, GetParam().text)), SizeIs(1));
}

INSTANTIATE_TEST_SUITE_P(
    WhatProgramsWrite, SandboxHints,
    ::testing::Values(
        Saying{"touch: cannot touch '/srv/x': Read-only file system", "--mount PATH:rw"},
        Saying{"cat: /srv/shop.db: No such file or directory", "--mount PATH"},
        Saying{"ModuleNotFoundError: No module named 'shop'", "PYTHONPATH"},
        Saying{"socket.gaierror: [Errno -3] Temporary failure in name resolution",
               "--connect HOST:PORT"},
        Saying{"PermissionError: [Errno 1] Operation not permitted", "--connect HOST:PORT"},
        Saying{"ERR address `127.0.0.1` is refused: loopback", "--network BLOCK"},
        Saying{"RuntimeError: can't start new thread", "--pids"},
        Saying{"terminate called after throwing an instance of 'std::bad_alloc'", "--memory-bytes"},
        Saying{"OSError: [Errno 28] No space left on device", "--tmp-bytes"},
        Saying{"File too large", "--file-bytes"},
        Saying{"line 1: 3 File size limit exceeded seq 10000", "--file-bytes"}));

TEST(SandboxExplain, SaysNothingOfOutputThatPointsNowhere) {
  EXPECT_THAT(ExplainEnding({}, Ended(sandbox::EndKind::kExit, 1, "no such order o-1")), SizeIs(1));
}

TEST(SandboxExplain, NamesWhatTheFilterRefused) {
  sandbox::BoxResult result = Ended(sandbox::EndKind::kExit, 1);
  result.refused = {"socket", "mount"};
  EXPECT_THAT(
      ExplainEnding({}, result),
      ElementsAre(HasSubstr("gave up"), "the system call filter refused `socket`, `mount`"));
}

TEST(SandboxAdvice, IsOneLineAboutTheBoxAlone) {
  sandbox::Limits limits;
  limits.memory_bytes = 1 << 20;
  EXPECT_EQ(AdviceOn(limits, Ended(sandbox::EndKind::kMemory, 9)),
            "limits.memory_bytes (--memory-bytes 1048576) ended it; files in /tmp count too");
  const std::string advice =
      AdviceOn(limits, Ended(sandbox::EndKind::kExit, 1, "EROFS\nNo module named 'x'\x1b[2J"));
  EXPECT_THAT(advice, HasSubstr("it says `EROFS`: only /tmp"));
  EXPECT_THAT(advice, HasSubstr("; it says `No module named`: a module"));
  EXPECT_EQ(advice.find_first_of("\n\x1b"), std::string::npos);
}

TEST(SandboxAdvice, SaysNothingWhereNoWallWasInTheWay) {
  EXPECT_EQ(AdviceOn({}, Ended(sandbox::EndKind::kExit, 0, "EROFS")), "");
  EXPECT_EQ(AdviceOn({}, Ended(sandbox::EndKind::kExit, 1, "no such order o-1")), "");
  EXPECT_EQ(AdviceOn({}, Ended(sandbox::EndKind::kNotRun, 0)), "") << "its detail says it";
}

}  // namespace
}  // namespace interlock::tools
