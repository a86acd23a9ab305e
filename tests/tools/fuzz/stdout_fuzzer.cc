// A tool's output. The first byte picks how the process ended; the rest is stdout (and stderr).
#include <cstdint>
#include <optional>
#include <string>

#include "core/check.h"
#include "tools/executor.h"

namespace {

using namespace interlock;

class StillClock final : public core::Clock {
 public:
  std::int64_t WallMicros() const override { return 1; }
  std::int64_t MonotonicMicros() const override { return 1; }
};

class OneEnding final : public sandbox::Launcher {
 public:
  std::uint64_t Run(sandbox::BoxSpec, std::function<void(sandbox::BoxResult)> done) override {
    done(result);
    return 1;
  }
  void Cancel(std::uint64_t) override {}
  const sandbox::Capabilities& capabilities() const override { return capabilities_; }
  sandbox::BoxResult result;

 private:
  sandbox::Capabilities capabilities_;
};

std::shared_ptr<const tools::Tool> MoneyTool() {
  tools::Manifest manifest;
  manifest.name = "t";
  manifest.description = "d";
  manifest.input_schema = {{"type", "object"}};
  manifest.effect = tools::Effect::kMoney;
  manifest.effect_key = "k:{call.id}";
  manifest.money = tools::MoneyResult{
      .amount_path = "a", .currency_path = "c", .currency_code = "", .minor_units = false};
  manifest.process = tools::ProcessSpec{};
  manifest.process->command = {"/t"};
  auto tool = tools::Tool::FromManifest(std::move(manifest));
  INTERLOCK_CHECK(tool.ok());
  return *tool;
}

void CheckOutcome(const tools::Outcome& outcome) {
  INTERLOCK_CHECK(outcome.error.size() <= 1024);
  for (const char c : outcome.error) INTERLOCK_CHECK(static_cast<unsigned char>(c) >= 0x20);
  INTERLOCK_CHECK((outcome.kind == tools::OutcomeKind::kOk) == outcome.error_code.empty());
  INTERLOCK_CHECK(!outcome.reported || outcome.reported->minor >= 0);
  const std::string text = core::CanonicalJson(outcome.result);
  INTERLOCK_CHECK(core::ParseJson(text, core::kPayloadLimits).ok());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  static const std::shared_ptr<const tools::Tool> tool = MoneyTool();
  static const StillClock clock;
  static OneEnding launcher;
  static const auto executor =
      tools::MakeExecutor({.launcher = &launcher, .clock = &clock, .builtins = {}});
  static const core::PermitMint mint;
  launcher.result = {};
  launcher.result.kind = static_cast<sandbox::EndKind>(data[0] % 12);
  launcher.result.value = data[0] % 3;
  launcher.result.stdout_bytes.assign(reinterpret_cast<const char*>(data) + 1, size - 1);
  launcher.result.stderr_bytes = launcher.result.stdout_bytes;
  tools::CallSpec spec;
  spec.tool = tool;
  spec.args = *tool->ValidateArgs(std::string_view("{}"));
  spec.call_id = "c";
  core::PermitTerms terms{.call_id = "c",
                          .tool_digest = tool->digest(),
                          .args_digest = spec.args.digest,
                          .limits_digest = tool->limits_digest(),
                          .expires_monotonic_us = 2};
  std::optional<tools::Outcome> got;
  executor->Run(mint.Mint(std::move(terms)), std::move(spec),
                [&](tools::Outcome outcome) { got = std::move(outcome); });
  INTERLOCK_CHECK(got.has_value());
  CheckOutcome(*got);
  return 0;
}
