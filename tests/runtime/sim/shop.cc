// The tools of the simulated shop, and its policy.
#include "world.h"

namespace interlock::runtime::sim {
namespace {

// What the rules ask of labels, the model in flows.cc says again in its own words.
constexpr const char* kLabelRules = R"(
fact "desk" { tool = "desk.state", args = { id = "{args.to}" }, on = "post.send" }
on("post.send", "known", function(c)
  if trusted(c.args, "to") then return allow() end
  return deny { code = "UNKNOWN_TO", say = "Nobody whom we trust named it." }
end)
on("post.send", "quoted", function(c)
  if contains(tags(c.args, "text"), "fwd") then return deny { code = "QUOTED", say = "No foreign words." } end
end)
on("post.send", "after-mail", function(c)
  if c.flow.untrusted then
    return require_approval { approvers = { "role:cs-manager" }, expires = "30m", show = { "args.to" } }
  end
end)
on(result("mail.read"), "mail", function(c) return label { result = { "mail" } } end)
on(result("book.find"), "whose", function(c)
  if c.flow.untrusted and not trusted(c.args, "id") then
    return deny { code = "NOT_ASKED", say = "Nobody asked for that." }
  end
  if c.flow.untrusted then return label { result = { "late" } } end
  if not contains(sources(c.args, "id"), "user") then return label { result = { "unasked" } } end
end)
on(result("book.find"), "closed", function(c)
  if present(c.result, "ref") and c.result.ref ~= "gone" and contains(sources(c.args, "id"), "session") then
    return modify { ["result.ref"] = "gone" }
  end
end)
on(message(), "foreign", function(c)
  if glob("*fwd:*", c.message.text) then return label { message = { "untrusted", "fwd" } } end
end)
on(message(), "private", function(c)
  if glob("*private:*", c.message.text) then return deny { code = "PRIVATE", say = "That is private." } end
end)
on(answer(), "no-secret", function(c)
  if not glob("*secret*", c.answer.text) then return end
  if c.flow.untrusted then return deny { code = "SECRET", say = "Without the secret." } end
  return modify { ["answer.text"] = "It is gone." }
end))";

}  // namespace

std::vector<test::ToolSpec> ShopTools() {
  return {{.name = "orders.get"},
          {.name = "pay.state"},
          {.name = "pay.refund",
           .effect = tools::Effect::kMoney,
           .effect_key = "refund:{args.id}",
           .locks = {"order:{args.id}"},
           .reconcile = "pay.state",
           .money = true},
          {.name = "mail.send", .effect = tools::Effect::kWrite, .idempotent = true},
          {.name = "door.open", .effect = tools::Effect::kWrite},
          {.name = kBookStay,
           .effect = tools::Effect::kWrite,
           .failure = tools::FailureMeaning::kNoEffect,
           .idempotent = true,
           .compensate = kCancelStay},
          {.name = kCancelStay,
           .effect = tools::Effect::kWrite,
           .effect_key = "cancel:{args.ref}",
           .failure = tools::FailureMeaning::kNoEffect,
           .idempotent = true},
          {.name = kReadMail, .trust = tools::ResultTrust::kUntrusted},
          {.name = kFindPayee},
          {.name = kDesk},
          {.name = kPost, .effect = tools::Effect::kWrite, .idempotent = true}};
}

std::string ShopPolicy(const Choice& choice) {
  const bool tight = choice.OneIn(4, "policy/tokens");
  return R"(policy "shop" { version = "1", owner = "tests", tools = { "*" }, default = "deny" }
local PURSE = budget "purse" { unit = "USD", limit = usd()" +
         std::to_string(kBudget) + R"(), per = "tenant", window = "30d" }
budget "tokens" { unit = "tokens", charges = "model", per = "tenant", limit = )" +
         (tight ? "600" : "100000") + R"(, window = "30d" }
budget "cost" { unit = "USD", charges = "model", per = "user", limit = usd(1), window = "30d" }
local function amount(c) return usd(c.args.amount) end
on({ "orders.get", "pay.state", "door.open", "agent.helper", "stay.book", "mail.read", "book.find" }, "free", function(c) return allow() end)
on("agent.clerk", "ask-clerk", function(c)
  return require_approval { approvers = { "role:cs-manager" }, expires = "30m", show = { "args.message" } }
end)
on("stay.cancel", "engine-only", function(c)
  if present(c.call, "compensates") then return allow() end
  return deny { code = "ENGINE_ONLY", say = "Only the engine cancels." }
end)
on("mail.send", "few", function(c) return limit { key = c.args.id, max = 3, per = "1h" } end)
on("mail.send", "may", function(c) return allow() end)
on("pay.refund", "never", function(c)
  if amount(c) > usd()" +
         std::to_string(kNeverAbove) +
         R"() then return deny { code = "TOO_MUCH", say = "Too much." } end
end)
on("pay.refund", "ask", function(c)
  if amount(c) > usd()" +
         std::to_string(kBothAbove) + R"() then
    return require_approval { expires = "30m", show = { "args.id", "args.amount" }, remind = "10m",
      stages = { { approvers = { "role:cs-manager" } }, { approvers = { "role:director" } } } }
  end
  if amount(c) > usd()" +
         std::to_string(kAskAbove) + R"() then
    return require_approval { approvers = { "role:cs-manager" }, expires = "30m", show = { "args.id", "args.amount" } }
  end
  return allow()
end)
on("pay.refund", "purse", function(c) return reserve(PURSE, amount(c)) end)
)" + kLabelRules;
}

}  // namespace interlock::runtime::sim
