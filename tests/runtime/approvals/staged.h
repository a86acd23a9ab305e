// People and rules of approvals that are asked in stages and handed on.
#pragma once

#include <string>

#include "people.h"

namespace interlock::runtime::test {

inline constexpr const char* kSixty = R"({"amount":60,"id":"o1"})";
inline constexpr std::int64_t kMinute = 60'000'000;

inline const core::Principal kNora{
    .tenant = "main", .id = "nora", .roles = {"approver", "cs-manager"}};
inline const core::Principal kDina{
    .tenant = "main", .id = "dina", .roles = {"approver", "director"}};
inline const core::Principal kBoth{
    .tenant = "main", .id = "dana", .roles = {"approver", "cs-manager", "director"}};
inline const core::Principal kDeputy{.tenant = "main", .id = "li", .roles = {"approver"}};

// `pay` is asked about as `ask` says; above 80 it is denied.
inline std::string Asks(const std::string& ask) {
  return std::string(kPolicyHead) + R"(
on("pay", "most", function(c) if c.args.amount > 80 then return deny { code = "OVER" } end end)
on("pay", "ask", function(c) return require_approval { expires = "1h", )" +
         ask + R"( } end))";
}

inline constexpr const char* kTwoStages =
    R"(stages = { { approvers = { "role:cs-manager" } }, { approvers = { "role:director" } } })";

inline core::StatusOr<HandedOn> Handed(Harness& h, const core::Principal& who,
                                       const DelegateSpec& spec) {
  return Answered<HandedOn>(
      [&](Reply<HandedOn> reply) { h.engine().Delegate(who, spec, std::move(reply)); });
}

inline core::StatusOr<HandedOn> HandOn(Harness& h, const core::Principal& who,
                                       const std::string& approval, const std::string& to,
                                       std::int64_t until_us = 0) {
  return Handed(h, who,
                {.approval = approval,
                 .to = to,
                 .until_us = until_us,
                 .reason = "on holiday",
                 .request_id = h.NewRequestId()});
}

inline core::StatusOr<HandedOn> TakeBack(Harness& h, const core::Principal& who,
                                         const std::string& approval, const std::string& to,
                                         const std::string& by = "") {
  return Handed(h, who,
                {.approval = approval,
                 .to = to,
                 .until_us = 0,
                 .reason = "back again",
                 .request_id = h.NewRequestId(),
                 .end = true,
                 .by = by});
}

inline core::StatusOr<ApprovalInfo> Said(Harness& h, const core::Principal& who,
                                         const Answer& answer) {
  return Answered<ApprovalInfo>(
      [&](Reply<ApprovalInfo> reply) { h.engine().AnswerApproval(who, answer, std::move(reply)); });
}

inline std::string WhyNot(const core::Status& status) {
  return ReasonOf(status) + ": " + std::string(core::Message(status));
}

}  // namespace interlock::runtime::test
