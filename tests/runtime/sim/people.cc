// Clients, approvers and operators of a day: what they do follows from the seed and from what it is
// about.
#include <algorithm>
#include <chrono>
#include <optional>
#include <thread>
#include <type_traits>
#include <utility>

#include "told.h"
#include "writer_rest.h"

namespace interlock::runtime::sim {
namespace {

constexpr int kRunsAPhase = 3;
constexpr int kCallsAPhase = 3;
constexpr std::int64_t kMomentUs = 200;
constexpr int kWordsAPhase = 4;
constexpr auto kRest = std::chrono::microseconds(150);
constexpr int kAnswersMax = 4;  // looks at approvals about the same thing, in a phase

const auto kNobodyHears = [](const auto& /*reply*/) {};

// Notes what a request was answered, for who waits for it.
template <typename Told>
auto Note(const std::shared_ptr<Told>& told, const std::string& request) {
  return [told, request](const auto& answer) {
    const std::lock_guard lock(told->mutex);
    --told->waits;
    if (!answer.ok()) {
      const std::string reason = ReasonOf(answer.status());
      if (reason == "DEADLINE" || reason == "CALLER_GONE") ++told->given_up[request];
      return;
    }
    if constexpr (std::is_same_v<std::decay_t<decltype(*answer)>, RunInfo>) {
      told->runs.push_back(answer->id);
    }
    told->answers[request].insert(answer->id);
  };
}

}  // namespace

// ---------------------------------------------------------------- clients

void Day::Send(const Sent& sent, const std::string& phase) {
  if (sent.run) return Create(sent);
  Execute(sent, phase);
}

void Day::Create(const Sent& sent) {
  constexpr const char* kWords[] = {"", "; write to ", "; write to ", "; ", "; fwd: "};
  const std::uint64_t way = choice_.Of(sent.about + "/words", std::size(kWords));
  const std::string payee = Payee(choice_, sent.about);
  CreateRunSpec spec{.agent = "tester",
                     .message = sent.about + (way == 0 ? "" : kWords[way] + payee),
                     .user = "u" + std::to_string(choice_.Of(sent.about + "/user", 2)),
                     .subject = "",
                     .session = core::Json::object(),
                     .request_id = sent.request_id};
  if (choice_.OneIn(3, sent.about + "/session")) {
    spec.session["account"] = Payee(choice_, sent.about + "/account");
  }
  told_->Await(sent.request_id);
  harness_.engine().CreateRun(*sent.who, std::move(spec), Note(told_, sent.request_id));
}

void Day::Execute(const Sent& sent, const std::string& phase) {
  constexpr const char* kTools[] = {"mail.send", "orders.get", "orders.get", kRefund, kRefund};
  const std::string& about = sent.about;
  const std::string id = "o" + std::to_string(choice_.Of(about + "/object", 4));
  const std::string amount = std::to_string(5 + choice_.Of(about + "/amount", 200)) + ".00";
  ToolCallSpec spec{
      .tool = kTools[choice_.Of(about, std::size(kTools))],
      .args = R"({"amount":")" + amount + R"(","id":")" + id + R"(","n":")" + about + R"("})",
      .user = "u1",
      .subject = "",
      .session = core::Json::object(),
      .request_id = sent.request_id};
  int times = 0;
  {
    const std::lock_guard lock(told_->mutex);
    times = told_->asked[sent.request_id];
  }
  Wait(about, phase + "/" + about + "/" + std::to_string(times), spec);
  told_->Await(sent.request_id);
  harness_.engine().ExecuteToolCall(*sent.who, std::move(spec), Note(told_, sent.request_id));
}

// Most wait for ever; of the others some had left before they were heard, some wait for a moment,
// and some leave while their tool is at work or at some look.
void Day::Wait(const std::string& about, const std::string& when, ToolCallSpec& spec) {
  const std::uint64_t way = choice_.Of(when + "/waits", 12);
  if (way == 0 || way == 2) {
    const std::lock_guard lock(told_->mutex);
    ++told_->unheard[spec.request_id];
  }
  if (way == 0) {
    spec.wait_us = 0;
    return;
  }
  if (way == 1) spec.wait_us = kMomentUs << choice_.Of(when + "/moment", 6);
  if (way > 1 && way < 6) spec.hangup = std::make_shared<Hangup>();
  if (way == 2) spec.hangup->Happen();
  world_.callers().Join(about, spec.hangup);
}

void Day::LeaveSome(const std::string& phase, int look) {
  for (const std::string& about : world_.callers().Abouts()) {
    if (look == static_cast<int>(choice_.Of(phase + "/leaves/" + about, 12))) {
      world_.callers().Leave(about);
    }
  }
}

// Two clients. What one sent in an earlier phase it may send again, in any order, as from one that
// lost the reply; and now and then at once.
void Day::Submit(const std::string& phase) {
  std::vector<Sent> now;
  for (const Sent& earlier : sent_) {
    if (choice_.OneIn(3, phase + "/again/" + earlier.about)) now.push_back(earlier);
  }
  for (int i = 0; i < kRunsAPhase + kCallsAPhase; ++i) {
    const bool run = i < kRunsAPhase;
    Sent sent{.run = run,
              .about = phase + (run ? "/run" : "/call") + std::to_string(i),
              .request_id = harness_.NewRequestId(),
              .who = nullptr};
    sent.who = choice_.OneIn(3, sent.about + "/who") ? &portal_ : &harness_.integrator;
    sent_.push_back(sent);
    now.push_back(sent);
    if (choice_.OneIn(3, sent.about + "/twice")) now.push_back(sent);
  }
  std::stable_sort(now.begin(), now.end(), [&](const Sent& a, const Sent& b) {
    return choice_.Of(phase + "/order/" + a.about, 8) < choice_.Of(phase + "/order/" + b.about, 8);
  });
  for (const Sent& sent : now) Send(sent, phase);
}

void Day::CancelSome(const std::string& phase) {
  if (!choice_.OneIn(5, phase + "/cancel")) return;
  for (const RunInfo& run : Runs()) {
    // Its place among the runs is the same for a seed, its id is not.
    if (IsFinal(run.state)) continue;
    const bool portal = run.principal == portal_.id;
    const core::Principal& other = portal ? harness_.integrator : portal_;
    harness_.engine().CancelRun(other, run.id, "not mine", "",
                                [told = told_](const core::StatusOr<RunInfo>& cancelled) {
                                  const std::lock_guard lock(told->mutex);
                                  if (cancelled.ok())
                                    told->trespasses.push_back("cancelled run " + cancelled->id);
                                });
    harness_.engine().CancelRun(portal ? portal_ : harness_.integrator, run.id, "changed my mind",
                                "", kNobodyHears);
    return;
  }
}

// Clients write to runs that wait for those below them, or do not want them any more; each once.
void Day::DisturbWaiting(const std::string& phase) {
  std::vector<std::string> waiting;
  {
    const std::lock_guard lock(read_mutex_);
    for (const auto& [run, state] : board_.runs()) {
      if (state == RunState::kWaitingForRun && disturbed_.insert(phase + run).second) {
        waiting.push_back(run);
      }
    }
  }
  for (const std::string& run : waiting) {
    const std::uint64_t way = choice_.Of(phase + "/waits" + std::to_string(disturbed_.size()), 6);
    for (const core::Principal* who : {&portal_, &std::as_const(harness_.integrator)}) {
      if (way == 0) {
        harness_.engine().CancelRun(*who, run, "changed my mind", "", kNobodyHears);
      } else if (way < 4) {
        harness_.engine().SendMessage(*who, run, "how far are you?", "", kNobodyHears);
      }
    }
  }
}

// Users and operators speak to runs, whatever these are at.
void Day::Say(const std::string& run, const std::string& about) {
  constexpr const char* kBefore[] = {"how far are you? ", "write to ", "", "fwd: ", "private: "};
  const std::string text =
      kBefore[choice_.Of(about + "/before", std::size(kBefore))] + Payee(choice_, about);
  if (choice_.OneIn(4, about + "/operator")) {
    harness_.engine().SendMessage(harness_.operator_one, run, text, "", kNobodyHears);
    return;
  }
  for (const core::Principal* who : {&portal_, &std::as_const(harness_.integrator)}) {
    harness_.engine().SendMessage(*who, run, text, "", kNobodyHears);
  }
}

void Day::Chat(const std::string& phase, int look) {
  std::vector<std::string> open;
  {
    const std::lock_guard lock(read_mutex_);
    for (const auto& [run, state] : board_.runs()) {
      if (!IsFinal(state)) open.push_back(run);
    }
  }
  for (std::size_t i = 0; i < open.size() && said_[phase] < kWordsAPhase; ++i) {
    const std::string about = phase + "/chat" + std::to_string(i) + "/" + std::to_string(look);
    if (!choice_.OneIn(30, about)) continue;
    ++said_[phase];
    Say(open[i], about);
  }
}

void Day::Interrupt(const std::string& phase) {
  const std::vector<World::Looking> looking = world_.TakeLooking();
  if (looking.empty()) return;
  const WriterRest rest(harness_.log());
  for (const World::Looking& one : looking) {
    const std::string about = phase + "/interrupt" + std::to_string(++said_[phase + "/look"]);
    if (!one.run.empty() && choice_.OneIn(2, about)) Say(one.run, about);
    one.answer();
  }
  std::this_thread::sleep_for(kRest);
}

void Day::ReleaseAll(const std::string& phase) {
  std::optional<WriterRest> rest;
  const std::string about = phase + "/release" + std::to_string(++said_[phase + "/release"]);
  if (choice_.OneIn(3, about)) {
    rest.emplace(harness_.log());
    const std::lock_guard lock(read_mutex_);
    const auto open = std::find_if(board_.runs().begin(), board_.runs().end(),
                                   [](const auto& run) { return !IsFinal(run.second); });
    if (open != board_.runs().end()) Say(open->first, about);
  }
  world_.ReleaseAll();
  if (rest) std::this_thread::sleep_for(kRest);
}

// ---------------------------------------------------------------- approvers

void Day::Answer(const ApprovalInfo& approval, const core::Principal& who, bool grant) {
  struct Answer answer {
    .approval = approval.state.id, .grant = grant, .etag = approval.etag, .reason = "",
    .on_behalf_of = "", .request_id = ""
  };
  harness_.engine().AnswerApproval(who, answer, kNobodyHears);
}

// The director, or who stands in for her: also side by side, when one of them alone counts.
void Day::AnswerLater(const ApprovalInfo& approval, const std::string& about) {
  const std::uint64_t how = choice_.Of(about + "/later", 4);
  if (how == 0) return Answer(approval, kDirector, false);
  if (how < 3) {
    const DelegateSpec spec{.approval = approval.state.id,
                            .to = kDeputy.id,
                            .until_us = 0,
                            .reason = "",
                            .request_id = ""};
    harness_.engine().Delegate(kDirector, spec, kNobodyHears);
    Answer(approval, kDeputy, true);
  }
  if (how > 1) Answer(approval, kDirector, true);
}

// Another amount: less, or what the policy never allows.
void Day::Edit(const ApprovalInfo& approval, const std::string& about) {
  auto args = core::ParseJson(approval.args, core::kPayloadLimits);
  if (!args.ok() || !args->contains("amount")) return;
  (*args)["amount"] = std::to_string(1 + choice_.Of(about + "/edited", 350)) + ".00";
  const EditSpec spec{.approval = approval.state.id,
                      .args = args->dump(),
                      .etag = approval.etag,
                      .reason = "",
                      .on_behalf_of = "",
                      .request_id = ""};
  harness_.engine().EditArguments(harness_.manager, spec, kNobodyHears);
}

void Day::AnswerApprovals(const std::string& phase) {
  std::vector<std::string> news;
  {
    const std::lock_guard lock(read_mutex_);
    news = board_.TakeNews();
  }
  for (const std::string& id : news) {
    const auto approval = harness_.engine().GetApproval(harness_.operator_one, id);
    if (!approval.ok()) continue;
    std::string about = phase + "/answer/" + approval->args;
    const int look = answered_[about]++;
    if (look >= kAnswersMax) continue;
    about += "/" + std::to_string(look);
    if (choice_.OneIn(4, about + "/own"))
      Answer(*approval, harness_.integrator, true);  // never his
    const std::uint64_t way = choice_.Of(about, 6);
    if (way == 5) Edit(*approval, about);
    AnswerLater(*approval, about);
    if (way == 0) continue;  // nobody is there
    Answer(*approval, harness_.manager, way != 1);
    if (way == 2) Answer(*approval, harness_.second, false);  // a race
  }
}

// ---------------------------------------------------------------- operators

void Day::ResolveUnknown(const std::vector<CallInfo>& calls) {
  for (const CallInfo& call : calls) {
    for (const core::Principal* who : {&harness_.operator_one, &harness_.operator_two}) {
      ResolveSpec spec{.call = call.id,
                       .happened = world_.Happened(call.id),
                       .reason = "looked at the shop",
                       .evidence = "",
                       .request_id = ""};
      harness_.engine().ResolveCall(*who, std::move(spec), kNobodyHears);
    }
  }
}

void Day::Operate(const std::string& phase, int look) {
  constexpr const char* kSwitches[] = {"tool:pay.refund", "agent:tester", "all",
                                       "tool:stay.cancel"};
  Engine& engine = harness_.engine();
  const auto at = [&](const std::string& what, std::uint64_t one_in) {
    return choice_.OneIn(one_in, phase + what) &&
           look == static_cast<int>(choice_.Of(phase + what + "/at", 10));
  };
  if (at("/stop", 5)) {
    const std::string name = kSwitches[choice_.Of(phase + "/switch", std::size(kSwitches))];
    static_cast<void>(engine.SetSwitch(harness_.operator_one, name, "something is wrong"));
  }
  if (at("/go", 3)) LiftAll();
  if (at("/rollout", 4)) {
    const auto percent = static_cast<std::int64_t>(choice_.Of(phase + "/percent", 101));
    static_cast<void>(engine.SetRollout(harness_.operator_one, {.agent = "tester",
                                                                .version = "2",
                                                                .percent = percent,
                                                                .reason = "a first few",
                                                                .etag = ""}));
  }
  if (at("/full", 12)) faults_.write_is_full = true;
  if (look == static_cast<int>(choice_.Of(phase + "/room", 30))) faults_.write_is_full = false;
}

void Day::LiftAll() {
  const auto set = harness_.engine().ListSwitches(harness_.operator_one);
  if (!set.ok()) return;
  for (const SwitchInfo& one : *set) {
    static_cast<void>(harness_.engine().LiftSwitch(
        harness_.operator_two, {.name = one.name, .reason = "it is right again", .etag = ""}));
  }
}

}  // namespace interlock::runtime::sim
