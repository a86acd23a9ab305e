#include "world.h"

#include <algorithm>

namespace interlock::runtime::sim {
namespace {

using test::FailedOutcome;
using test::FakePlanner;
using test::FakeTools;
using test::OkOutcome;
using test::UnknownOutcome;

constexpr std::uint64_t kObjects = 4;  // few, so that runs meet on them
constexpr std::int64_t kStepsMax = 4;

std::string ObjectOf(const tools::CallSpec& spec) { return spec.args.value.value("id", ""); }

std::int64_t MinorOf(const tools::CallSpec& spec) {
  if (spec.tool->manifest().name != "pay.refund") return 0;
  const auto money = core::ParseMoney(spec.args.value.value("amount", "0"), "USD");
  return money.ok() ? money->minor : 0;
}

core::Json ResultOf(const tools::CallSpec& spec) {
  core::Json result = {{"done", true}};
  if (spec.tool->manifest().name == "pay.refund") {
    result["amount"] = spec.args.value.value("amount", "0");
    result["currency"] = "USD";
  }
  return result;
}

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
          {.name = "door.open", .effect = tools::Effect::kWrite}};
}

std::string ShopPolicy() {
  return R"(policy "shop" { version = "1", owner = "tests", tools = { "*" }, default = "deny" }
local PURSE = budget "purse" { unit = "USD", limit = usd()" +
         std::to_string(kBudget) + R"(), per = "tenant", window = "30d" }
local function amount(c) return usd(c.args.amount) end
on({ "orders.get", "pay.state", "door.open", "agent.helper" }, "free", function(c) return allow() end)
on("agent.clerk", "ask-clerk", function(c)
  return require_approval { approvers = { "role:cs-manager" }, expires = "30m", show = { "args.message" } }
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
on("pay.refund", "purse", function(c) return reserve(PURSE, amount(c)) end))";
}

World::World(const Choice& choice, test::Harness& harness) : choice_(choice) {
  for (const char* tool : {"pay.refund", "mail.send", "door.open"}) {
    harness.tools.On(tool, [this](const tools::CallSpec& spec, FakeTools::Done done) {
      Do(spec, std::move(done));
    });
  }
  harness.tools.On("orders.get", [this](const tools::CallSpec& spec, const FakeTools::Done& done) {
    const bool fails = choice_.OneIn(6, "get/" + ObjectOf(spec));
    done(fails ? FailedOutcome("AWAY") : OkOutcome({{"status", "paid"}}));
  });
  harness.tools.On("pay.state", [this](const tools::CallSpec& spec, const FakeTools::Done& done) {
    done(OkOutcome({{"done", Happened(spec.args.value.value("call", ""))}}));
  });
}

void World::Happen(const tools::CallSpec& spec) {
  const bool has = has_intent == nullptr || has_intent(spec.call_id);
  const std::lock_guard lock(mutex_);
  if (!has) without_intent_.push_back(spec.call_id);
  const bool repeats =
      spec.tool->manifest().idempotency.supported && !keys_.insert(spec.idempotency_key).second;
  if (repeats) return;
  effects_.push_back({spec.tool->manifest().name, spec.call_id, ObjectOf(spec), MinorOf(spec)});
}

void World::Do(const tools::CallSpec& spec, FakeTools::Done done) {
  int attempt = 0;
  bool calm = false;
  {
    const std::lock_guard lock(mutex_);
    attempt = ++attempts_[spec.call_id];
    calm = calm_;
  }
  // Of the object and not of the call, whose id is another each time.
  const std::string about = "do/" + spec.tool->manifest().name + "/" + ObjectOf(spec) + "/" +
                            std::to_string(MinorOf(spec)) + "/" + std::to_string(attempt);
  const std::uint64_t way = calm ? 0 : choice_.Of(about, 10);
  const bool happens = way != 5 && way != 6;  // at way 7 and 9 it happened, and nobody hears of it
  if (happens) Happen(spec);
  switch (way) {
    case 5:
      return done(FailedOutcome("BROKEN"));
    case 6:
    case 7:
      return done(UnknownOutcome());
    case 8:
    case 9: {
      const std::lock_guard lock(mutex_);
      const bool told = way == 8;
      hanging_.emplace_back([done = std::move(done), told, result = ResultOf(spec)] {
        done(told ? OkOutcome(result) : UnknownOutcome());
      });
      return;
    }
    default:
      return done(OkOutcome(ResultOf(spec)));
  }
}

void World::ReleaseAll() {
  std::vector<std::function<void()>> hanging;
  {
    const std::lock_guard lock(mutex_);
    hanging.swap(hanging_);
  }
  for (const auto& answer : hanging) answer();
}

void World::Calm() {
  const std::lock_guard lock(mutex_);
  calm_ = true;
}

bool World::HasHanging() const {
  const std::lock_guard lock(mutex_);
  return !hanging_.empty();
}

std::vector<Effect> World::effects() const {
  const std::lock_guard lock(mutex_);
  return effects_;
}

std::vector<std::string> World::without_intent() const {
  const std::lock_guard lock(mutex_);
  return without_intent_;
}

bool World::Happened(const std::string& call) const {
  const std::lock_guard lock(mutex_);
  return std::any_of(effects_.begin(), effects_.end(),
                     [&](const Effect& effect) { return effect.call == call; });
}

// ---------------------------------------------------------------- the planner

// What a model may come up with, sense and nonsense.
ProposedCall World::CallOf(const std::string& about) const {
  ProposedCall call;
  call.id = about.substr(about.rfind('/') + 1);
  const std::string id = "o" + std::to_string(choice_.Of(about + "/object", kObjects));
  const std::string amount = std::to_string(5 + choice_.Of(about + "/amount", 400)) + ".00";
  const std::string plain = R"({"id":")" + id + R"("})";
  switch (choice_.Of(about + "/what", 14)) {
    case 0:
      return {call.id, "orders.get", plain};
    case 1:
    case 2:
      return {call.id, "mail.send", plain};
    case 3:
      return {call.id, "door.open", plain};
    case 4:
      return {call.id, "pay.refund", R"({"id":")" + id + R"(","amount":"-5.00"})"};
    case 5:
      return {call.id, "pay.refund", R"({"id":")" + id + R"(","amount":"12.00","amount":"1.00"})"};
    case 6:
      return {call.id, "system.run", R"({"command":"rm -rf /"})"};
    case 12:  // who is a helper already may not
      return {call.id, "agent.helper", R"({"message":")" + about + R"("})"};
    case 13:
      return {call.id, "agent.clerk", R"({"message":")" + about + R"("})"};
    default:
      return {call.id, "pay.refund", R"({"id":")" + id + R"(","amount":")" + amount + R"("})"};
  }
}

core::StatusOr<Plan> World::PlanOf(const PlanRequest& request) const {
  std::string first;  // the run's own words: its id is another each time
  for (const ChatMessage& message : request.messages) {
    if (message.role == Role::kUser && first.empty()) first = message.text;
  }
  const std::string about = "plan/" + first + "/" + std::to_string(request.step);
  const std::uint64_t way = choice_.Of(about, 16);
  if (way == 0) return core::Error(core::StatusCode::kUnavailable, "the model is away");
  if (way == 1) return core::InvalidArgument("the model's reply makes no sense");
  if (way == 2) return FakePlanner::Ask("Which order?");
  if (way == 3 || request.step >= kStepsMax) return FakePlanner::Answer("Done.");
  std::vector<ProposedCall> calls;
  const std::uint64_t count = 1 + choice_.Of(about + "/count", 3);
  for (std::uint64_t i = 0; i < count; ++i)
    calls.push_back(CallOf(about + "/c" + std::to_string(i)));
  Plan plan = FakePlanner::Calls(std::move(calls));
  plan.prompt_tokens = 20 + static_cast<std::int64_t>(choice_.Of(about + "/tokens", 60));
  return plan;
}

std::uint64_t World::Propose(PlanRequest request, std::function<void(core::StatusOr<Plan>)> done) {
  done(PlanOf(request));
  return 1;
}

void World::Cancel(std::uint64_t /*handle*/) {}

}  // namespace interlock::runtime::sim
