// Agents that other agents may call as tools.
#include <gtest/gtest.h>

#include "runtime/own_tools.h"

namespace interlock::runtime {
namespace {

AgentFile AgentNamed(const std::string& name, const std::string& lines) {
  auto agent = ParseAgent(name + ".yaml",
                          "name: " + name + "\nversion: '1'\nplanner: p\ntools: ['*']\n" + lines);
  EXPECT_TRUE(agent.ok()) << agent.status();
  return agent.ok() ? *agent : AgentFile{};
}

std::shared_ptr<const tools::Registry> FolderWith(const std::string& name) {
  tools::Manifest manifest;
  manifest.name = name;
  manifest.description = "a tool";
  manifest.input_schema = {{"type", "object"}};
  manifest.effect = tools::Effect::kRead;
  manifest.builtin = "test";
  manifest.source = "tools/x.yaml:1";
  auto tool = tools::Tool::FromManifest(std::move(manifest));
  EXPECT_TRUE(tool.ok()) << tool.status();
  auto registry = tools::Registry::Of({*tool});
  EXPECT_TRUE(registry.ok()) << registry.status();
  return *registry;
}

std::string Refusal(const std::vector<AgentFile>& agents, const std::string& tool = "orders.get") {
  const auto made = WithOwnTools(FolderWith(tool), agents);
  return made.ok() ? "accepted" : std::string(core::Message(made.status()));
}

TEST(AgentTools, AnAgentThatIsNamedIsAToolOfThoseWhoNameIt) {
  const AgentFile desk = AgentNamed("desk", "agents: [clerk]\n");
  const AgentFile clerk = AgentNamed("clerk", "description: Looks up orders.\n");
  const auto made = WithOwnTools(FolderWith("orders.get"), {desk, clerk});
  ASSERT_TRUE(made.ok()) << made.status();
  const auto tool = (*made)->Find("agent.clerk");
  ASSERT_NE(tool, nullptr);
  EXPECT_NE(tool->manifest().description.find("Looks up orders."), std::string::npos);
  const auto fits = [&](std::string_view args) { return tool->ValidateArgs(args).ok(); };
  EXPECT_TRUE(fits(R"({"message":"look"})"));
  EXPECT_FALSE(fits(R"({"message":""})"));
  EXPECT_FALSE(fits(R"({"message":"look","agent":"desk"})"));
  EXPECT_EQ((*made)->Find("agent.desk"), nullptr);
  EXPECT_TRUE(AgentMayUse(desk, "agent.clerk"));
  EXPECT_FALSE(AgentMayUse(clerk, "agent.clerk")) << "a glob names what lies in the folder";
  EXPECT_FALSE(AgentMayUse(desk, "agent.desk"));
}

TEST(AgentTools, NobodyCallsItselfOrWhatIsNotThere) {
  EXPECT_EQ(Refusal({AgentNamed("a", "agents: [b]\n"), AgentNamed("b", "agents: [c]\n"),
                     AgentNamed("c", "")}),
            "accepted");
  EXPECT_EQ(Refusal({AgentNamed("a", "agents: [a]\n")}),
            "agents call each other in a circle: a, a; take one of them out of `agents`");
  EXPECT_EQ(Refusal({AgentNamed("a", "agents: [b]\n"), AgentNamed("b", "agents: [c]\n"),
                     AgentNamed("c", "agents: [b]\n")}),
            "agents call each other in a circle: a, b, c, b; take one of them out of `agents`");
  EXPECT_EQ(Refusal({AgentNamed("a", "agents: [b]\n")}),
            "agent `a` calls agent `b`, which is not there; add b.yaml or take it out of `agents`");
}

// Each of a layer calls both of the next: a billion ways through, none of them a circle.
TEST(AgentTools, ManyWaysThroughAreLookedThroughOnce) {
  constexpr int kLayers = 30;
  std::vector<AgentFile> agents;
  for (int layer = 0; layer < kLayers; ++layer) {
    const std::string next = std::to_string(layer + 1);
    const std::string calls = "agents: [a" + next + ", b" + next + "]\n";
    for (const char* side : {"a", "b"}) {
      agents.push_back(AgentNamed(side + std::to_string(layer), layer + 1 < kLayers ? calls : ""));
    }
  }
  EXPECT_EQ(Refusal(agents), "accepted");
  agents.back() = AgentNamed("b29", "agents: [a0]\n");
  EXPECT_NE(Refusal(agents).find("in a circle"), std::string::npos);
}

// A version that is rolled out counts as the file beside it.
TEST(AgentTools, CirclesThroughVersionsAreFoundAndVersionsAloneAreNoAgents) {
  const auto version = [](const std::string& file, const std::string& lines) {
    auto agent = ParseAgent(
        file, "name: " + file.substr(0, 1) + "\nversion: '2'\nplanner: p\ntools: ['*']\n" + lines);
    EXPECT_TRUE(agent.ok()) << agent.status();
    return agent.ok() ? *agent : AgentFile{};
  };
  EXPECT_EQ(Refusal({AgentNamed("a", "agents: [b]\n"), AgentNamed("b", ""),
                     version("b@2.yaml", "agents: [a]\n")}),
            "agents call each other in a circle: a, b, a; take one of them out of `agents`");
  EXPECT_EQ(Refusal({AgentNamed("a", "agents: [b]\n"), version("b@2.yaml", "")}),
            "agent `a` calls agent `b`, which is not there; add b.yaml or take it out of `agents`");
  EXPECT_EQ(Refusal({AgentNamed("a", "agents: [b]\n"), AgentNamed("b", ""),
                     version("b@2.yaml", "agents: [c]\n"), AgentNamed("c", "")}),
            "accepted");
}

TEST(AgentTools, ALongDescriptionIsCutBetweenLetters) {
  for (const std::string front : {"", "x", "xx"}) {
    std::string text = front;
    while (text.size() < 2 * tools::kDescriptionBytesMax) text += "\u20ac";
    const auto tool = MakeAgentTool("clerk", text);
    const std::string& shown = tool->manifest().description;
    EXPECT_LE(shown.size(), tools::kDescriptionBytesMax);
    EXPECT_GT(shown.size(), tools::kDescriptionBytesMax - 3);
    EXPECT_EQ(shown.substr(shown.size() - 3), "\u20ac");
  }
}

TEST(AgentTools, NoToolOfAFolderTakesAnAgentsName) {
  EXPECT_EQ(Refusal({AgentNamed("a", "")}, "agent.b"),
            "tools/x.yaml:1: tool `agent.b`: names that begin with `agent.` are those of agents "
            "that agents call; rename it");
  EXPECT_EQ(Refusal({AgentNamed("a", "")}, "agents.b"), "accepted");
}

TEST(AgentTools, NamesFitToolsAndThePinnedFormReadsBack) {
  const auto bad = ParseAgent("a.yaml", "name: a\nversion: '1'\nplanner: p\nagents: [my-clerk]\n");
  ASSERT_FALSE(bad.ok());
  EXPECT_EQ(core::Message(bad.status()),
            "a.yaml:4: `my-clerk` is no agent that can be called: its name has 1 to 58 characters "
            "of a-z, 0-9 and `_`, as a tool's has");
  const AgentFile desk = AgentNamed("desk", "agents: [clerk]\nlimits: {runs_max: 3}\n");
  const auto pinned = ParseAgent("desk.yaml", desk.canonical);
  ASSERT_TRUE(pinned.ok()) << pinned.status();
  EXPECT_EQ(pinned->canonical, desk.canonical);
  EXPECT_EQ(pinned->agents, desk.agents);
  EXPECT_EQ(pinned->limits.runs_max, 3);
  // Files of before have the digest that they had.
  EXPECT_EQ(AgentNamed("a", "").canonical.find("agents"), std::string::npos);
  EXPECT_EQ(AgentNamed("a", "").canonical.find("runs_max"), std::string::npos);
}

}  // namespace
}  // namespace interlock::runtime
