// A tool, a permit that fits it, and an executor over a fake launcher.
#pragma once

#include <gmock/gmock.h>

#include <memory>
#include <optional>
#include <string>

#include "fake_launcher.h"
#include "tools/executor.h"

namespace interlock::tools {

class FakeClock final : public core::Clock {
 public:
  std::int64_t WallMicros() const override { return now; }
  std::int64_t MonotonicMicros() const override { return now; }
  std::int64_t now = 1'000'000;
};

inline Manifest ProcessManifest(Effect effect) {
  Manifest manifest;
  manifest.name = "orders.get";
  manifest.description = "Reads an order.";
  manifest.input_schema = {{"type", "object"},
                           {"properties", {{"order_id", {{"type", "string"}}}}}};
  manifest.effect = effect;
  if (effect == Effect::kMoney) manifest.effect_key = "refund:{call.id}";
  manifest.process = ProcessSpec{};
  manifest.process->command = {"/opt/tool"};
  return manifest;
}

inline std::shared_ptr<const Tool> MakeTool(Manifest manifest) {
  auto tool = Tool::FromManifest(std::move(manifest));
  EXPECT_TRUE(tool.ok()) << tool.status();
  return tool.ok() ? *tool : nullptr;
}

class ExecutorTest : public ::testing::Test {
 protected:
  void SetUp() override {
    tool_ = MakeTool(ProcessManifest(Effect::kRead));
    executor_ = MakeExecutor({.launcher = &launcher_,
                              .clock = &clock_,
                              .builtins = {{"echo", &Echo}, {"throws", &Throws}}});
  }

  static Outcome Echo(const CallSpec& call) {
    Outcome outcome;
    outcome.kind = OutcomeKind::kOk;
    outcome.result = call.args.value;
    return outcome;
  }
  static Outcome Throws(const CallSpec&) { throw std::runtime_error("line\nbroken"); }

  CallSpec Spec() const {
    CallSpec spec;
    spec.tool = tool_;
    auto args = tool_->ValidateArgs(std::string_view(R"({"order_id": "o-1"})"));
    EXPECT_TRUE(args.ok()) << args.status();
    spec.args = *args;
    spec.session = core::Json::object();
    spec.call_id = "call-1";
    spec.idempotency_key = "key-1";
    return spec;
  }

  core::PermitTerms Terms(const CallSpec& spec) const {
    return {.call_id = spec.call_id,
            .tool_digest = spec.tool->digest(),
            .args_digest = spec.args.digest,
            .limits_digest = spec.tool->limits_digest(),
            .expires_monotonic_us = clock_.now + core::kPermitLifeMicros};
  }

  // Runs with these terms; the outcome if there is one already.
  std::optional<Outcome> RunWith(core::PermitTerms terms, CallSpec spec) {
    auto slot = std::make_shared<std::optional<Outcome>>();
    outcome_ = slot;
    handle_ =
        executor_->Run(mint_.Mint(std::move(terms)), std::move(spec), [slot](Outcome outcome) {
          EXPECT_FALSE(slot->has_value()) << "done was called twice";
          *slot = std::move(outcome);
        });
    return *slot;
  }
  std::optional<Outcome> Run(CallSpec spec) {
    core::PermitTerms terms = Terms(spec);
    return RunWith(std::move(terms), std::move(spec));
  }

  // The outcome of a process that ended like this.
  Outcome Ending(sandbox::BoxResult result) {
    launcher_.at_once = std::move(result);
    auto outcome = Run(Spec());
    EXPECT_TRUE(outcome.has_value());
    return outcome.value_or(Outcome());
  }
  Outcome Exit(int status, std::string stdout_bytes) {
    sandbox::BoxResult box;
    box.kind = sandbox::EndKind::kExit;
    box.value = status;
    box.stdout_bytes = std::move(stdout_bytes);
    box.level = sandbox::Level::kFull;
    return Ending(std::move(box));
  }

  FakeClock clock_;
  FakeLauncher launcher_;
  core::PermitMint mint_;
  std::shared_ptr<const Tool> tool_;
  std::unique_ptr<Executor> executor_;
  std::shared_ptr<std::optional<Outcome>> outcome_;
  std::uint64_t handle_ = 0;
};

}  // namespace interlock::tools
