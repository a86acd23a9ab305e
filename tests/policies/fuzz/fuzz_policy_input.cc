// Decision inputs: JSON arguments of any shape against rules that read, walk, count, change and
// deny.
#include <cstdint>
#include <memory>
#include <string>

#include "core/check.h"
#include "policies/bundle.h"

namespace {

using namespace interlock;

constexpr char kPolicy[] = R"lua(
policy "p" { owner = "f", tools = { "*" } }
local P = patterns { digits = [[\d{4,}]], mail = [[\w+@\w+]] }
on("*", "walk", function(c)
  local function walk(x, n)
    if n > 8 then return 0 end
    local sum = 0
    if type(x) == "string" then P:find(x) return #x end
    if type(x) == "userdata" then
      for k, v in pairs(x) do sum = sum + walk(v, n + 1) end
    end
    return sum
  end
  return note("sum " .. walk(c.args, 0))
end)
on("*", "money", function(c)
  if money_rounded(get(c.args, "amount", 0), "USD") > usd(5) then return deny { code = "MUCH", because = c.args } end
end)
on("*", "detect", function(c)
  for _, one in ipairs(pii(c.args, { "pii", "secret", "injection" }, "low")) do
    if one.first > one.last then return deny { code = "BACKWARDS" } end
  end
  return note(redact(get(c.args, "text", "x@y.example")))
end)
on("*", "modify", function(c) if present(c.args, "a.b") then return modify { ["args.a.b"] = c.args.a } end end)
on("*", "ask", function(c)
  if present(c.args, "ask") then return require_approval { approvers = { "run-user" }, expires = "1h", show = { "args.ask" } } end
end)
on("*", "allow", function(c) return allow() end)
)lua";

policies::Engine& TheEngine() {
  static const std::unique_ptr<policies::Engine> engine = [] {
    auto bundle = policies::Bundle::Load({{.path = "p.lua", .text = kPolicy}}, {}, nullptr);
    INTERLOCK_CHECK(bundle.ok());
    auto made = policies::Engine::Make(*bundle);
    INTERLOCK_CHECK(made.ok());
    return *std::move(made);
  }();
  return *engine;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const core::StatusOr<core::Json> args =
      core::ParseJson({reinterpret_cast<const char*>(data), size}, core::kArgsLimits);
  if (!args.ok()) return 0;
  policies::DecisionInput input;
  input.call = {.id = "c1", .run = "r1", .tool = "t", .effect = "write", .agent = "a", .step = 1};
  input.tenant = "main";
  input.args = &*args;
  const policies::Decision first = TheEngine().Decide(input);
  const std::string text = policies::CanonicalDecision(first);
  INTERLOCK_CHECK(text == policies::CanonicalDecision(TheEngine().Decide(input)));
  INTERLOCK_CHECK(core::ParseJson(text, core::kPayloadLimits).ok());
  if (first.verdict == policies::Verdict::kAllow) {
    for (const policies::FiredRule& rule : first.rules) {
      INTERLOCK_CHECK(rule.verdict != "error" && rule.verdict != "deny");
    }
  }
  return 0;
}
