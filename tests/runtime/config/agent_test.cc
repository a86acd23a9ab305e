#include "runtime/agent.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "harness/temp_folder.h"

namespace interlock::runtime {
namespace {

constexpr char kAgent[] = R"(name: refund
version: "1"
description: Helps with refunds.
planner: scripted
model: m
prompt: |
  Be kind.
tools: [orders.get, "refunds.*"]
limits: {steps_max: 5, wall_ms: 1000, calls_max: 7}
on_text: ask
)";

std::string ErrorOf(std::string_view text) {
  const auto agent = ParseAgent("agents/refund.yaml", text);
  return agent.ok() ? "accepted" : std::string(core::Message(agent.status()));
}

TEST(Agent, ReadsEveryKey) {
  const auto agent = ParseAgent("agents/refund.yaml", kAgent);
  ASSERT_TRUE(agent.ok()) << agent.status();
  EXPECT_EQ(agent->name, "refund");
  EXPECT_EQ(agent->prompt, "Be kind.\n");
  EXPECT_EQ(agent->limits.steps_max, 5);
  EXPECT_EQ(agent->limits.wall_ms, 1000);
  EXPECT_EQ(agent->limits.calls_max, 7);
  EXPECT_EQ(agent->on_text, OnText::kAsk);
}

TEST(Agent, DigestIsOfTheMeaningNotOfTheBytes) {
  const auto agent = ParseAgent("refund.yaml", kAgent);
  const auto same = ParseAgent("elsewhere/refund.yaml", "# a comment\n" + std::string(kAgent));
  ASSERT_TRUE(agent.ok() && same.ok());
  EXPECT_EQ(
      agent->canonical,
      R"({"description":"Helps with refunds.","limits":{"calls_max":7,"steps_max":5,"wall_ms":1000},)"
      R"("model":"m","name":"refund","on_text":"ask","planner":"scripted","prompt":"Be kind.\n",)"
      R"("tools":["orders.get","refunds.*"],"version":"1"})");
  EXPECT_EQ(agent->digest, same->digest);
  EXPECT_EQ(agent->digest.substr(0, 7), "sha256:");
}

TEST(Agent, EveryFieldMovesTheDigest) {
  const auto agent = ParseAgent("refund.yaml", kAgent);
  ASSERT_TRUE(agent.ok());
  const std::pair<std::string, std::string> changes[] = {
      {"\"1\"", "\"2\""},       {"Helps", "Aids"}, {"scripted", "openai"},
      {"model: m", "model: n"}, {"Be kind", "Be"}, {"orders.get", "orders"},
      {"max: 5", "max: 6"},     {"1000", "1001"},  {"max: 7", "max: 8"},
      {"ask", "answer"}};
  for (const auto& [from, to] : changes) {
    std::string text = kAgent;
    text.replace(text.find(from), from.size(), to);
    const auto changed = ParseAgent("refund.yaml", text);
    ASSERT_TRUE(changed.ok()) << changed.status();
    EXPECT_NE(changed->digest, agent->digest) << from;
  }
}

constexpr char kMore[] = R"(results: handles
escalates: true
answer_schema:
  type: object
  properties: {done: {type: boolean}}
  required: [done]
)";

TEST(Agent, ReadsWhatAnAnswerIsAndHowResultsCome) {
  const auto agent = ParseAgent("refund.yaml", std::string(kAgent) + kMore);
  ASSERT_TRUE(agent.ok()) << agent.status();
  EXPECT_EQ(agent->results, ResultsAs::kHandles);
  EXPECT_TRUE(agent->escalates);
  ASSERT_NE(agent->answer_form, nullptr);
  EXPECT_TRUE(agent->answer_form->ValidateResult({{"done", true}}).ok());
  EXPECT_FALSE(agent->answer_form->ValidateResult({{"done", 1}}).ok());
  const auto pinned = ParseAgent("refund.yaml", agent->canonical);  // as the log keeps it
  ASSERT_TRUE(pinned.ok()) << pinned.status();
  EXPECT_EQ(pinned->digest, agent->digest);
  EXPECT_FALSE(pinned->answer_form->ValidateResult({{"done", 1}}).ok());
}

TEST(Agent, ReadsWhatIsShownAndWhatBelongsTogether) {
  const std::string more = "stream: true\ntogether: [[orders.get, refunds.make]]\n";
  const auto agent = ParseAgent("refund.yaml", kAgent + more);
  ASSERT_TRUE(agent.ok()) << agent.status();
  EXPECT_TRUE(agent->streams);
  ASSERT_EQ(agent->together.size(), 1u);
  EXPECT_EQ(agent->together[0], (std::vector<std::string>{"orders.get", "refunds.make"}));
  const auto again = ParseAgent("refund.yaml", agent->canonical);  // as a log keeps it
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->digest, agent->digest);
  EXPECT_NE(ParseAgent("refund.yaml", kAgent)->digest, agent->digest);
}

TEST(Agent, AGroupThatCannotBeIsRefused) {
  const std::string head = "agents/refund.yaml:11: ";
  const std::pair<std::string, std::string> faults[] = {
      {"[[orders.get]]", "a group of `together` names 2 to 16 tools, each once"},
      {"[[orders.get, orders.get]]", "a group of `together` names 2 to 16 tools, each once"},
      {"[[orders.get, mail.send]]",
       "`mail.send` in `together` is no tool that `tools` lets the agent use; write its full name"},
      {"[[orders.get, \"refunds.*\"]]",
       "`refunds.*` in `together` is no tool that `tools` lets the agent use; write its full name"},
      {"[orders.get]", "`together` must hold lists of plain texts"},
      {"[[orders.get, {a: b}]]", "`together` must hold lists of plain texts"},
  };
  for (const auto& [groups, said] : faults) {
    EXPECT_EQ(ErrorOf(std::string(kAgent) + "together: " + groups + "\n"), head + said);
  }
}

TEST(Agent, ReadsLimitsOfTheModelAndOfLoops) {
  std::string text = kAgent;
  const std::string limits = "calls_max: 7";
  text.replace(text.find(limits), limits.size(),
               limits + ", tokens_max: 1000, repeats_max: 3, repairs_max: 0");
  const auto agent = ParseAgent("refund.yaml", text);
  ASSERT_TRUE(agent.ok()) << agent.status();
  EXPECT_EQ(agent->limits.tokens_max, 1000);
  EXPECT_EQ(agent->limits.repeats_max, 3);
  EXPECT_EQ(agent->limits.repairs_max, 0);
  const auto pinned = ParseAgent("refund.yaml", agent->canonical);
  ASSERT_TRUE(pinned.ok()) << pinned.status();
  EXPECT_EQ(pinned->canonical, agent->canonical);
}

TEST(Agent, ARiskIsOneOfThree) {
  const auto agent = ParseAgent("refund.yaml", std::string(kAgent) + "risk: medium\n");
  ASSERT_TRUE(agent.ok()) << agent.status();
  EXPECT_EQ(agent->risk, "medium");
  EXPECT_EQ(ParseAgent("refund.yaml", agent->canonical)->canonical, agent->canonical);
  EXPECT_EQ(ParseAgent("refund.yaml", kAgent)->canonical.find("risk"), std::string::npos);
  EXPECT_EQ(ErrorOf(std::string(kAgent) + "risk: severe\n"),
            "agents/refund.yaml:11: `risk` must be low, medium or high");
}

TEST(Agent, ASchemaThatIsNoneIsRefused) {
  EXPECT_NE(ErrorOf(std::string(kAgent) + "answer_schema: {type: colour}\n"), "accepted");
  EXPECT_NE(ErrorOf(std::string(kAgent) + "answer_schema: 5\n"), "accepted");
}

TEST(Agent, FaultsNameFileAndLine) {
  const std::string good = kAgent;
  EXPECT_EQ(ErrorOf(good + "colour: red\n").substr(0, 62),
            "agents/refund.yaml:11: unknown key `colour` in an agent file; ");
  EXPECT_EQ(ErrorOf("name: other\n" + good.substr(good.find('\n') + 1)),
            "agents/refund.yaml:1: agent `other` must be in a file of that name; rename it to "
            "other.yaml");
  EXPECT_EQ(ErrorOf("version: '1'\nplanner: p\n"),
            "agents/refund.yaml:1: an agent file needs `name`; add `name: …`");
  EXPECT_EQ(ErrorOf("name: refund\nversion: '1'\nplanner: p\ntools: ['rm -rf']\n"),
            "agents/refund.yaml:4: `rm -rf` is no tool name or glob of one");
  EXPECT_EQ(ErrorOf("name: refund\nversion: '1'\nplanner: p\nlimits: {steps_max: 0}\n"),
            "agents/refund.yaml:4: `steps_max` must be a whole number from 1 to 1000, found `0`");
  EXPECT_EQ(ErrorOf(std::string(kAgentFileBytesMax + 1, '#')),
            "agents/refund.yaml: larger than 256 KiB; shorten the prompt");
}

TEST(Agent, GlobsMatchWholeNames) {
  AgentFile agent;
  agent.tools = {"orders.get", "refunds.*", "*.list*.x"};
  EXPECT_TRUE(AgentMayUse(agent, "orders.get"));
  EXPECT_TRUE(AgentMayUse(agent, "refunds.create"));
  EXPECT_TRUE(AgentMayUse(agent, "a.list_all.x"));
  EXPECT_FALSE(AgentMayUse(agent, "orders.gets"));
  EXPECT_FALSE(AgentMayUse(agent, "refunds"));
  EXPECT_FALSE(AgentMayUse(agent, "a.list_all.y"));
  EXPECT_FALSE(AgentMayUse(AgentFile{}, "orders.get"));
}

// Else it could never be rolled out, and nothing would say why.
TEST(Agent, AVersionIsOneThatARollOutCanName) {
  const auto read = [](const std::string& version) {
    return ParseAgent("desk.yaml", "name: desk\nversion: \"" + version + "\"\nplanner: p\n")
        .status();
  };
  EXPECT_TRUE(read(std::string(64, '1')).ok()) << read(std::string(64, '1'));
  for (const std::string& version : {std::string(65, '1'), std::string("1\\t2")}) {
    EXPECT_EQ(core::Message(read(version)),
              "desk.yaml:2: `version` must have at most 64 bytes and no control characters");
  }
}

TEST(Agent, FurtherVersionsStandBesideTheFileThatTheyAreVersionsOf) {
  const test::TempFolder temp;
  const std::filesystem::path folder = std::filesystem::path(temp.path()) / "agents@home";
  std::filesystem::create_directories(folder);
  const auto write = [&](const std::string& stem, const std::string& version) {
    std::ofstream(folder / (stem + ".yaml"))
        << "name: desk\nversion: '" << version << "'\nplanner: p\n";
  };
  write("desk@2.1", "2.1");
  EXPECT_EQ(core::Message(LoadAgents(folder.string()).status()),
            "desk@2.1.yaml: there is no desk.yaml, which everybody else would be given; add it");
  write("desk", "2.1");
  EXPECT_EQ(core::Message(LoadAgents(folder.string()).status()),
            "desk@2.1.yaml: desk.yaml has the same version; give one of them another");
  write("desk", "2.0");
  const auto agents = LoadAgents(folder.string());
  ASSERT_TRUE(agents.ok()) << agents.status();
  ASSERT_EQ(agents->size(), 2u);
  EXPECT_EQ((*agents)[0].by_rollout, (*agents)[0].version == "2.1");
  EXPECT_NE((*agents)[0].by_rollout, (*agents)[1].by_rollout);
  for (const std::string stem : {"desk@3", "desk@"}) {
    EXPECT_EQ(
        core::Message(
            ParseAgent(stem + ".yaml", "name: desk\nversion: '2'\nplanner: p\n").status()),
        stem + ".yaml:2: `version` must be \"" + stem.substr(5) + "\", as the file's name says");
  }
}

TEST(Agent, LoadsAFolderByName) {
  const test::TempFolder temp;
  const std::filesystem::path folder = std::filesystem::path(temp.path()) / "agents";
  EXPECT_EQ(LoadAgents(folder.string()).status().code(), core::StatusCode::kNotFound);
  std::filesystem::create_directories(folder);
  for (const char* name : {"b", "a"}) {
    std::ofstream(folder / (std::string(name) + ".yaml"))
        << "name: " << name << "\nversion: '1'\nplanner: p\n";
  }
  std::ofstream(folder / "notes.txt") << "not an agent";
  const auto agents = LoadAgents(folder.string());
  ASSERT_TRUE(agents.ok()) << agents.status();
  ASSERT_EQ(agents->size(), 2u);
  EXPECT_EQ((*agents)[0].name, "a");
}

}  // namespace
}  // namespace interlock::runtime
