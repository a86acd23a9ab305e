#include "world.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace interlock::runtime::sim {
namespace {

using test::FailedOutcome;
using test::FakePlanner;
using test::FakeTools;
using test::OkOutcome;
using test::UnknownOutcome;

constexpr std::uint64_t kObjects = 4;  // few, so that runs meet on them
constexpr std::int64_t kStepsMax = 4;
constexpr const char* kPayee = "payee-";
constexpr std::size_t kPayeeBytes = 10;
constexpr std::uint64_t kPayees = 6;

// Of a request to a model: what it may use at most, and what a token costs, in millionths.
constexpr std::int64_t kTokensMost = 120;
constexpr std::int64_t kTokenMicros = 15;

// What a stay is booked under follows from the call: asked twice, the shop says the same.
std::string ObjectOf(const tools::CallSpec& spec) {
  const std::string& tool = spec.tool->manifest().name;
  if (tool == kBookStay) return spec.call_id;
  if (tool == kPost) return spec.args.value.value("to", "");
  return spec.args.value.value(tool == kCancelStay ? "ref" : "id", "");
}

std::int64_t MinorOf(const tools::CallSpec& spec) {
  if (spec.tool->manifest().name != kRefund) return 0;
  const auto money = core::ParseMoney(spec.args.value.value("amount", "0"), "USD");
  return money.ok() ? money->minor : 0;
}

// What a client's call is about; empty: a planner's.
std::string AskedAs(const tools::CallSpec& spec) { return spec.args.value.value("n", ""); }

core::Json ResultOf(const tools::CallSpec& spec) {
  core::Json result = {{"done", true}};
  if (spec.tool->manifest().name == kBookStay) result["ref"] = spec.call_id;
  if (spec.tool->manifest().name == kRefund) {
    result["amount"] = spec.args.value.value("amount", "0");
    result["currency"] = "USD";
  }
  return result;
}

}  // namespace

std::string Payee(const Choice& choice, const std::string& about) {
  return kPayee + std::to_string(1000 + choice.Of(about + "/payee", kPayees));
}

World::World(const Choice& choice, test::Harness& harness) : choice_(choice) {
  for (const char* tool : {kRefund, "mail.send", "door.open", kBookStay, kCancelStay, kPost}) {
    harness.tools.On(tool, [this](const tools::CallSpec& spec, FakeTools::Done done) {
      Do(spec, std::move(done));
    });
  }
  for (const char* tool : {"orders.get", kReadMail, kFindPayee}) {
    harness.tools.On(tool, [this](const tools::CallSpec& spec, const FakeTools::Done& done) {
      Get(spec, done);
    });
  }
  harness.tools.On(kDesk, [this](const tools::CallSpec& spec, const FakeTools::Done& done) {
    LookUp(spec, done);
  });
  harness.tools.told_to_stop = [this](const std::string& tool, const std::string& call) {
    Stop(tool, call);
  };
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
    if (spec.deadline_monotonic_us != 0) hurried_.push_back(spec.call_id);
  }
  LeaveAtWork(AskedAs(spec));
  // Of the object and not of the call, whose id is another each time.
  const std::string& tool = spec.tool->manifest().name;
  const std::string object = tool == kBookStay || tool == kCancelStay ? "" : ObjectOf(spec);
  const std::string about = "do/" + tool + "/" + object + "/" + std::to_string(MinorOf(spec)) +
                            "/" + std::to_string(attempt);
  const std::uint64_t way = calm ? 0 : choice_.Of(about, 12);
  const bool happens = way != 5 && way != 6;  // at way 7, 9, 11: and nobody hears of it in time
  if (happens) Happen(spec);
  switch (way) {
    case 5:  // also of what an attempt before it did under the same key
      return done(FailedOutcome("BROKEN"));
    case 6:
    case 7:
      return done(UnknownOutcome());
    case 8:
      return Hang([done = std::move(done), result = ResultOf(spec)] { done(OkOutcome(result)); });
    case 9:
      return Hang([done = std::move(done)] { done(UnknownOutcome()); });
    case 10:  // twice
      done(OkOutcome(ResultOf(spec)));
      return done(OkOutcome(ResultOf(spec)));
    case 11:  // and once more when nobody waits for it
      done(UnknownOutcome());
      return Hang([done = std::move(done), result = ResultOf(spec)] { done(OkOutcome(result)); });
    default:
      return done(OkOutcome(ResultOf(spec)));
  }
}

core::Json World::FoundBy(const tools::CallSpec& spec) const {
  const std::string& tool = spec.tool->manifest().name;
  const std::string about = tool + "/" + ObjectOf(spec);
  if (tool == kReadMail) {
    return {{"body", "pay " + Payee(choice_, about) + " soon"},
            {"from", Payee(choice_, about + "/from")}};
  }
  if (tool == kFindPayee) return {{"ref", Payee(choice_, about)}};
  return {{"status", "paid"}};
}

void World::Get(const tools::CallSpec& spec, const FakeTools::Done& done) {
  const std::string about = AskedAs(spec);
  const bool orders = spec.tool->manifest().name == "orders.get";
  const std::string what = "get/" + (orders ? "" : spec.tool->manifest().name) + ObjectOf(spec);
  bool hangs = choice_.OneIn(about.empty() ? 4 : 2, what + "/hangs/" + about);
  {
    const std::lock_guard lock(mutex_);
    hangs = hangs && !calm_ && !hurry_;
    if (hangs) reading_[spec.call_id] = {about, FoundBy(spec), done};
  }
  LeaveAtWork(about);
  if (hangs) return;
  done(choice_.OneIn(6, what) ? FailedOutcome("AWAY") : OkOutcome(FoundBy(spec)));
}

// What a rule asks while its call is in the gate: some of it takes the moment in which others
// speak.
void World::LookUp(const tools::CallSpec& spec, const FakeTools::Done& done) {
  const std::string about = "look/" + spec.args.value.value("id", "");
  auto answer = [done] { done(OkOutcome({{"open", true}})); };
  {
    const std::lock_guard lock(mutex_);
    if (!calm_ && !hurry_ && choice_.OneIn(2, about + std::to_string(++looks_[about]))) {
      looking_.push_back({spec.run, std::move(answer)});
      return;
    }
  }
  answer();
}

std::vector<World::Looking> World::TakeLooking() {
  const std::lock_guard lock(mutex_);
  return std::exchange(looking_, {});
}

void World::LeaveAtWork(const std::string& about) {
  if (!about.empty() && choice_.OneIn(2, "leaves/" + about)) callers_.Leave(about);
}

void World::Stop(const std::string& tool, const std::string& call) {
  FakeTools::Done done;
  {
    const std::lock_guard lock(mutex_);
    const bool reads = tool == "orders.get" || tool == kReadMail || tool == kFindPayee;
    if (!reads) hurried_.push_back(call);
    auto node = reading_.extract(call);
    if (!node.empty()) {
      done = std::move(node.mapped().done);
      ++reads_stopped_;
    }
  }
  if (done) done(FailedOutcome("CANCELLED"));
}

void World::Hang(std::function<void()> answer) {
  {
    const std::lock_guard lock(mutex_);
    if (!hurry_) {
      hanging_.push_back(std::move(answer));
      return;
    }
  }
  answer();
}

void World::ReleaseAll() {
  std::vector<std::function<void()>> hanging;
  {
    const std::lock_guard lock(mutex_);
    hanging.swap(hanging_);
  }
  for (const auto& answer : hanging) answer();
  for (const Looking& looking : TakeLooking()) looking.answer();
  ReleaseReads();
}

void World::ReleaseReads() {
  std::vector<Reading> released;
  {
    const std::lock_guard lock(mutex_);
    for (auto at = reading_.begin(); at != reading_.end();) {
      const bool stays = !hurry_ && callers_.HaveLeft(at->second.about);
      if (!stays) released.push_back(std::move(at->second));
      at = stays ? std::next(at) : reading_.erase(at);
    }
  }
  for (const Reading& reading : released) reading.done(OkOutcome(reading.found));
}

void World::Hurry(bool on) {
  {
    const std::lock_guard lock(mutex_);
    hurry_ = on;
  }
  ReleaseAll();
}

void World::Calm() {
  const std::lock_guard lock(mutex_);
  calm_ = true;
}

bool World::HasHanging() const {
  const std::lock_guard lock(mutex_);
  return !hanging_.empty() || !reading_.empty() || !looking_.empty();
}

bool World::IsLooking() const {
  const std::lock_guard lock(mutex_);
  return !looking_.empty();
}

bool World::ReadsForNobody() const {
  const std::lock_guard lock(mutex_);
  return std::any_of(reading_.begin(), reading_.end(),
                     [this](const auto& one) { return callers_.HaveLeft(one.second.about); });
}

std::vector<Effect> World::effects() const {
  const std::lock_guard lock(mutex_);
  return effects_;
}

std::vector<std::string> World::without_intent() const {
  const std::lock_guard lock(mutex_);
  return without_intent_;
}

int World::reads_stopped() const {
  const std::lock_guard lock(mutex_);
  return reads_stopped_;
}

std::vector<std::string> World::hurried() const {
  const std::lock_guard lock(mutex_);
  return hurried_;
}

bool World::Happened(const std::string& call) const {
  const std::lock_guard lock(mutex_);
  return std::any_of(effects_.begin(), effects_.end(),
                     [&](const Effect& effect) { return effect.call == call; });
}

// ---------------------------------------------------------------- the planner

// What a model may come up with, sense and nonsense.
ProposedCall World::CallOf(const std::string& about, const PlanRequest& request) const {
  ProposedCall call;
  call.id = about.substr(about.rfind('/') + 1);
  const std::string id = "o" + std::to_string(choice_.Of(about + "/object", kObjects));
  const std::string amount = std::to_string(5 + choice_.Of(about + "/amount", 400)) + ".00";
  const std::string plain = R"({"id":")" + id + R"("})";
  const auto payee = [&](const char* field) { return PayeeOf(about + field, request); };
  switch (choice_.Of(about + "/what", 24)) {
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
      return {call.id, "agent.helper", R"({"message":")" + about + "; " + payee("/tell") + R"("})"};
    case 13:  // whose words it may say are another's
      return {call.id, "agent.clerk", R"({"message":")" + payee("/tell") + R"("})"};
    case 14:
    case 15:
      return {call.id, kBookStay, "{}"};
    case 16:  // not his to do
      return {call.id, kCancelStay, R"({"ref":")" + id + R"("})"};
    case 17:
    case 18:
      return {call.id, kReadMail, plain};
    case 19:
    case 20:
      return {call.id, kFindPayee, R"({"id":")" + payee("/of") + R"("})"};
    case 21:
    case 22:
    case 23:
      return {call.id, kPost,
              R"({"text":")" + payee("/text") + R"(","to":")" + payee("/to") + R"("})"};
    default:
      return {call.id, "pay.refund", R"({"id":")" + id + R"(","amount":")" + amount + R"("})"};
  }
}

// One that people have named, one that results name, or any.
std::string World::PayeeOf(const std::string& about, const PlanRequest& request) const {
  const std::uint64_t whose = choice_.Of(about + "/whose", 4);
  std::vector<std::string> named;
  for (const ChatMessage& message : request.messages) {
    const bool fits =
        (whose == 0 && message.role == Role::kTool) || (whose == 1 && message.role == Role::kUser);
    for (std::size_t at = fits ? message.text.find(kPayee) : std::string::npos;
         at != std::string::npos; at = message.text.find(kPayee, at + 1)) {
      named.push_back(message.text.substr(at, kPayeeBytes));
    }
  }
  if (named.empty()) return Payee(choice_, about);
  return named[choice_.Of(about + "/which", named.size())];
}

// By the run's own words: its id is another each time.
std::string World::AboutOf(const PlanRequest& request) {
  std::string first;
  for (const ChatMessage& message : request.messages) {
    if (message.role != Role::kUser || !first.empty()) continue;
    first = message.text.substr(0, message.text.find(';'));
  }
  return "plan/" + first + "/" + std::to_string(request.step);
}

core::StatusOr<Plan> World::PlanOf(const PlanRequest& request, const std::string& about) const {
  const std::uint64_t way = choice_.Of(about, 16);
  if (way == 0) return core::Error(core::StatusCode::kUnavailable, "the model is away");
  if (way == 1) return core::InvalidArgument("the model's reply makes no sense");
  if (way == 2) return FakePlanner::Ask("Which order?");
  if (way == 3 || request.step >= kStepsMax) {
    return FakePlanner::Answer(choice_.OneIn(4, about + "/secret") ? "A secret." : "Done.");
  }
  std::vector<ProposedCall> calls;
  const std::uint64_t count = 1 + choice_.Of(about + "/count", 3);
  for (std::uint64_t i = 0; i < count; ++i)
    calls.push_back(CallOf(about + "/c" + std::to_string(i), request));
  return FakePlanner::Calls(std::move(calls));
}

policies::ModelUse World::Bound(const PlanRequest& /*request*/) const {
  return {.tokens = kTokensMost, .cost_micros = kTokensMost * kTokenMicros, .currency = "USD"};
}

// Some think for long, and some of those are told to stop.
std::uint64_t World::Propose(PlanRequest request, std::function<void(core::StatusOr<Plan>)> done) {
  const std::string about = AboutOf(request);
  auto asked = std::make_shared<Asked>(Asked{PlanOf(request, about), std::move(done)});
  if (asked->plan.ok()) {
    Plan& plan = *asked->plan;
    plan.prompt_tokens = 20 + static_cast<std::int64_t>(choice_.Of(about + "/tokens", 60));
    plan.completion_tokens = static_cast<std::int64_t>(choice_.Of(about + "/written", 40));
    plan.cost_micros = (plan.prompt_tokens + plan.completion_tokens) * kTokenMicros;
    plan.currency = "USD";
    plan.provider = "fake";
  }
  std::uint64_t handle = 0;
  bool thinks = false;
  {
    const std::lock_guard lock(mutex_);
    handle = next_++;
    thinks = !calm_ && choice_.OneIn(12, about + "/thinks");
    if (thinks) thinking_[handle] = asked;
  }
  const auto answer = [this, handle] {
    if (const auto one = TakeThinking(handle)) one->done(one->plan);
  };
  if (thinks) {
    Hang(answer);
  } else {
    asked->done(asked->plan);
  }
  return handle;
}

std::shared_ptr<World::Asked> World::TakeThinking(std::uint64_t handle) {
  const std::lock_guard lock(mutex_);
  auto node = thinking_.extract(handle);
  return node.empty() ? nullptr : node.mapped();
}

void World::Cancel(std::uint64_t handle) {
  const auto asked = TakeThinking(handle);
  if (asked != nullptr) {
    asked->done(core::Error(core::StatusCode::kCancelled, "the request was given up"));
  }
}

}  // namespace interlock::runtime::sim
