// What people do to approvals, in the blocking form.
#pragma once

#include <future>
#include <string>

#include "rules.h"

namespace interlock::runtime::test {

template <typename T, typename Ask>
core::StatusOr<T> Answered(Ask ask) {
  std::promise<core::StatusOr<T>> answered;
  ask([&answered](core::StatusOr<T> value) { answered.set_value(std::move(value)); });
  return answered.get_future().get();
}

// Of the approval as it is shown now.
inline core::StatusOr<CallInfo> EditArgs(Harness& h, const core::Principal& who,
                                         const std::string& approval, const std::string& args,
                                         const std::string& on_behalf_of = "",
                                         const std::string& request_id = "") {
  const auto shown = h.engine().GetApproval(h.operator_one, approval);
  if (!shown.ok()) return shown.status();
  const EditSpec spec{.approval = approval,
                      .args = args,
                      .etag = shown->etag,
                      .reason = "as agreed on the phone",
                      .on_behalf_of = on_behalf_of,
                      .request_id = request_id};
  return Answered<CallInfo>(
      [&](Reply<CallInfo> reply) { h.engine().EditArguments(who, spec, std::move(reply)); });
}

// A run whose only call, `pay` with these arguments, waits for approval.
inline std::string ParkedPay(Harness& h, const std::string& args) {
  h.planner.plans = {FakePlanner::Calls({{"c1", "pay", args}}), FakePlanner::Answer("done")};
  const auto run = h.CreateRun();
  EXPECT_TRUE(run.ok()) << run.status();
  h.WaitForState(run->id, RunState::kWaitingForApproval);
  return run->id;
}

// `pay` above 20 is asked about, above 80 denied; orders that are blocked always are.
inline std::string PayPolicy(const std::string& approvers = R"("role:cs-manager")",
                             int quorum = 1) {
  return std::string(kPolicyHead) +
         R"(fact "order" { tool = "orders.get", args = { id = "{args.id}" }, on = "pay" }
on("pay", "blocked", function(c)
  if c.facts.order.blocked then return deny { code = "BLOCKED", say = "This order is blocked." } end
end)
on("pay", "most", function(c)
  if c.args.amount > 80 then return deny { code = "OVER", say = "At most 80." } end
end)
on("pay", "ask", function(c)
  if c.args.amount <= 20 then return allow() end
  return require_approval { approvers = { )" +
         approvers + R"( }, quorum = )" + std::to_string(quorum) + R"(, expires = "1h",
                            show = { "args.amount", "facts.order.total" } }
end))";
}

// Remembers the arguments that `pay` ran with.
class Paid {
 public:
  explicit Paid(Harness& h) {
    SetOrder(h, 100, false);
    h.tools.On("pay", [this](const tools::CallSpec& spec, const FakeTools::Done& done) {
      {
        const std::lock_guard lock(mutex_);
        args_.push_back(core::CanonicalJson(spec.args.value));
      }
      done(PaidOutcome(std::to_string(spec.args.value["amount"].get<int>()) + ".00"));
    });
  }
  std::vector<std::string> args() const {
    const std::lock_guard lock(mutex_);
    return args_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> args_;
};

}  // namespace interlock::runtime::test
