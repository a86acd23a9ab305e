#include "cli/eval/record.h"

#include <algorithm>

namespace interlock::runtime::cli {
namespace {

using core::Json;

std::string Text(const Json& object, const char* key) {
  const auto it = object.find(key);
  return it != object.end() && it->is_string() ? it->get<std::string>() : std::string();
}

std::vector<std::string> Texts(const Json& object, const char* key) {
  std::vector<std::string> out;
  const auto it = object.find(key);
  if (it == object.end() || !it->is_array()) return out;
  for (const Json& item : *it) {
    if (item.is_string()) out.push_back(item.get<std::string>());
  }
  return out;
}

std::string ContentOf(const std::map<std::string, std::string>& content, const std::string& field) {
  const auto it = content.find(field);
  return it == content.end() ? std::string() : it->second;
}

}  // namespace

bool CallRecord::open() const {
  if (executed()) return outcome.empty() || outcome == "unknown";
  return std::any_of(approvals.begin(), approvals.end(), [](const AskedApproval& a) {
    return a.phase == "requested" || a.phase == "granted";
  });
}

CallRecord* RunRecord::Find(const std::string& call) {
  const auto it = std::find_if(calls_.begin(), calls_.end(),
                               [&](const CallRecord& record) { return record.call == call; });
  return it == calls_.end() ? nullptr : &*it;
}

void RunRecord::Take(const Json& entry, const std::map<std::string, std::string>& content) {
  const std::string kind = Text(entry, "kind");
  const Json& body = entry.contains("body") ? entry["body"] : Json::object();
  const auto at = entry.find("index");
  const std::int64_t index =
      at != entry.end() && at->is_number_integer() ? at->get<std::int64_t>() : -1;
  if (kind.starts_with("run.") || kind == "message.received") return TakeRun(kind, body);
  if (kind.starts_with("approval.")) return TakeApproval(kind, body);
  if (kind.starts_with("call.")) return TakeCall(kind, body, index, content);
}

void RunRecord::TakeCall(std::string_view kind, const Json& body, std::int64_t index,
                         const std::map<std::string, std::string>& content) {
  const std::string id = Text(body, "call");
  if (kind == "call.proposed") {
    calls_.emplace_back();
    calls_.back().call = id;
    calls_.back().tool = Text(body, "tool");
    calls_.back().proposed_index = index;
    return;
  }
  CallRecord* call = Find(id);
  if (call == nullptr) return;
  if (kind == "call.decided") {
    call->decided_index = index;
    call->effect = Text(body, "effect");
    call->code = Text(body, "code");
    call->say = ContentOf(content, "say");
    if (body.contains("rules")) call->rules = body["rules"];
  } else if (kind == "call.intended") {
    call->intended_index = index;
  } else if (kind == "call.outcome") {
    call->outcome_index = index;
    call->outcome = Text(body, "kind");
    call->outcome_code = Text(body, "code");
    call->level = Text(body, "level");
  }
}

void RunRecord::TakeApproval(std::string_view kind, const Json& body) {
  CallRecord* call = Find(Text(body, "call"));
  if (call == nullptr) return;
  const std::string id = Text(body, "approval");
  const std::string phase(kind.substr(std::string_view("approval.").size()));
  if (phase == "requested") {
    call->approvals.push_back({id, Text(body, "rule"), Texts(body, "approvers"), phase});
    return;
  }
  for (AskedApproval& approval : call->approvals) {
    const auto complete = body.find("complete");
    const bool counted_only = phase == "granted" && complete != body.end() && *complete == false;
    if (approval.id == id && !counted_only) approval.phase = phase;
  }
}

void RunRecord::TakeRun(std::string_view kind, const Json& body) {
  if (kind == "run.waiting") {
    const std::string waits_for = Text(body, "for");
    // What is said while a call is open is a remark; that the run waits for the call follows.
    const bool asks = waits_for == "user" && std::none_of(calls_.begin(), calls_.end(),
                                                          [](const auto& c) { return c.open(); });
    phase_ = asks                    ? RunPhase::kWaitsForUser
             : waits_for == "person" ? RunPhase::kWaitsForPerson
                                     : RunPhase::kGoing;
    questions_ += asks ? 1 : 0;
  } else if (kind == "run.parked") {
    phase_ = RunPhase::kParked;
  } else if (kind == "run.completed" || kind == "run.failed" || kind == "run.cancelled" ||
             kind == "run.escalated") {
    phase_ = RunPhase::kEnded;
    ended_as_ = kind;
    const std::string why = Text(body, "reason");
    if (kind == "run.failed")
      ended_as_ += " " + Text(body, "code") + (why.empty() ? "" : ": " + why);
  } else {
    phase_ = RunPhase::kGoing;
  }
}

}  // namespace interlock::runtime::cli
