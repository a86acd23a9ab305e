// A trip: flights and hotels that are booked, and cancelled by the engine when the run fails.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "replays.h"
#include "rules.h"

namespace interlock::runtime::test {

inline constexpr const char* kCancelsFirst =
    R"(on("*", "cancels", function(c)
  if c.call.tool ~= "flight.cancel" and c.call.tool ~= "hotel.cancel" then return allow() end
  if present(c.call, "compensates") then return ENGINE end
  return deny { code = "ENGINE_ONLY", say = "only the engine cancels" }
end))";

// Only the engine may cancel; what its own calls are answered is `answer`.
inline std::string CancelsAre(const std::string& answer) {
  std::string rule = kCancelsFirst;
  return std::string(kPolicyHead) + rule.replace(rule.find("ENGINE"), 6, answer);
}

inline constexpr const char* kAsksManager =
    R"(require_approval { approvers = { "role:cs-manager" }, expires = "1h" })";

inline ToolSpec Booking(const std::string& what) {
  return {.name = what + ".book",
          .effect = tools::Effect::kWrite,
          .failure = tools::FailureMeaning::kNoEffect,
          .idempotent = true,
          .compensate = what + ".cancel"};
}

inline ToolSpec Cancelling(const std::string& what) {
  return {.name = what + ".cancel",
          .effect = tools::Effect::kWrite,
          .effect_key = "cancel:{args.ref}",
          .failure = tools::FailureMeaning::kNoEffect};
}

inline std::vector<ToolSpec> TripTools() {
  return {Booking("flight"), Cancelling("flight"), Booking("hotel"), Cancelling("hotel"),
          ReadTool("look")};
}

// Nobody cancels a flight while somebody is at work at the desk.
inline std::vector<ToolSpec> ToolsOfOneDesk() {
  std::vector<ToolSpec> tools = TripTools();
  for (ToolSpec& tool : tools) {
    if (tool.name == "flight.cancel") tool.locks = {"desk"};
  }
  ToolSpec other{.name = "desk.call", .effect = tools::Effect::kWrite};
  other.locks = {"desk"};
  tools.push_back(other);
  return tools;
}

inline Plan Books(const std::string& what) {
  return FakePlanner::Calls({{what, what + ".book", "{}"}});
}

// A run that books a flight, then a hotel, and whose planner fails then.
inline void PlanTrip(Harness& h) {
  h.tools.Answers("flight.book", {{"ref", "f1"}});
  h.tools.Answers("hotel.book", {{"ref", "h1"}});
  h.tools.Answers("flight.cancel", {{"ok", true}});
  h.tools.Answers("hotel.cancel", {{"ok", true}});
  h.planner.plans = {Books("flight"), Books("hotel"), core::InvalidArgument("no plan for this")};
}

// Such a run, once it has come to that state.
inline std::string TripUntil(Harness& h, RunState state) {
  const auto run = h.CreateRun();
  EXPECT_TRUE(run.ok()) << run.status();
  if (!run.ok()) return "";
  h.WaitForState(run->id, state);
  return run->id;
}

// The body of the newest entry of this kind.
inline core::Json BodyOf(Harness& h, const std::string& run, std::string_view kind) {
  core::Json body;
  for (const audit::Entry& entry : h.Entries(run)) {
    if (entry.kind != kind) continue;
    const auto json = core::ParseJson(entry.bytes, core::kPayloadLimits);
    if (json.ok()) body = (*json)["body"];
  }
  return body;
}

inline void ExpectReplays(Harness& h, const std::string& run) {
  ExpectMadeAnew(h, run, {&h.agent});
}

}  // namespace interlock::runtime::test
