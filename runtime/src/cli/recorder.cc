#include "cli/recorder.h"

#include <algorithm>
#include <map>
#include <set>
#include <vector>

namespace interlock::runtime::cli {
namespace {

using core::Json;
using policies::RecordedDecision;

// Of a call without a run: its decision stands soon after it was proposed.
constexpr std::uint64_t kLooseCallEntries = 2000;

std::string Text(const Json& object, const char* name) {
  const auto it = object.find(name);
  return it != object.end() && it->is_string() ? it->get<std::string>() : std::string();
}

Json Member(const Json& object, const char* name) {
  const auto it = object.find(name);
  return it == object.end() ? Json() : *it;
}

bool Flag(const Json& object, const char* name) {
  const Json value = Member(object, name);
  return value.is_boolean() && value.get<bool>();
}

std::int64_t Int(const Json& object, const char* name) {
  const Json value = Member(object, name);
  return value.is_number_integer() ? value.get<std::int64_t>() : 0;
}

// Content by the slot that the entry's commitments name.
struct Opened {
  std::map<int, std::string> texts;
  bool erased = false;

  // Null where there is none.
  Json JsonAt(const Json& body, const char* name) const {
    const Json commitment = Member(body, name);
    if (!commitment.is_object() || !commitment.contains("slot")) return {};
    const auto at = texts.find(static_cast<int>(Int(commitment, "slot")));
    if (at == texts.end()) return {};
    auto value = core::ParseJson(at->second, core::kPayloadLimits);
    return value.ok() ? *std::move(value) : Json();
  }
};

// Facts as a test case states them.
Json StatedFacts(const Json& facts) {
  Json out = Json::object();
  for (const Json& fact : facts) {
    if (!fact.is_object()) continue;
    out[Text(fact, "name")] =
        Flag(fact, "present") ? Member(fact, "value") : Json{{"$failed", Text(fact, "error_code")}};
  }
  return out;
}

// Labels as a test case states them: `sources` is `from` there.
Json StatedLabels(const Json& labels) {
  Json out = Json::object();
  for (const auto& [path, label] : labels.items()) {
    if (!label.is_object()) continue;
    out[path] = {{"trusted", Flag(label, "trusted")},
                 {"from", label.value("sources", Json::array())},
                 {"tags", label.value("tags", Json::array())},
                 {"readers", label.value("readers", Json::array())}};
  }
  return out;
}

// Balances and counters that rules read, as a test case states them: by budget and share, by key
// and period.
void StateReads(const Json& decision, Json& input) {
  Json used = Json::object();
  Json counts = Json::object();
  Json sums = Json::object();
  for (const Json& read : decision.value("reads", Json::array())) {
    const auto value = core::ParseJson(Text(read, "value"), core::kArgsLimits);
    if (!value.ok() || !value->is_number_integer()) continue;
    if (read.contains("budget")) used[Text(read, "budget")][Text(read, "scope")] = *value;
    if (read.contains("counter")) {
      counts[Text(read, "counter")][std::to_string(Int(read, "per_ms"))] = *value;
    }
    if (read.contains("sum")) sums[Text(read, "sum")][std::to_string(Int(read, "per_ms"))] = *value;
  }
  input["used"] = std::move(used);
  input["counts"] = std::move(counts);
  if (!sums.empty()) input["sums"] = std::move(sums);
}

std::vector<std::string> AskedBy(const Json& body) {
  std::vector<std::string> out;
  for (const Json& rule : body.value("rules", Json::array())) {
    if (Text(rule, "verdict") == "ask") out.push_back(Text(rule, "id"));
  }
  return out;
}

bool SaysUntrusted(const Json& labels) {
  return labels.is_array() && std::find(labels.begin(), labels.end(), "untrusted") != labels.end();
}

// Reads entries in order and keeps what the calls asked for need.
class Reader {
 public:
  Reader(EvidenceSource& source, const std::string& reason, std::string tenant)
      : source_(source), reason_(reason), tenant_(std::move(tenant)) {}

  void Want(const std::string& call) { wanted_.insert(call); }

  core::Status Take(const EvidenceEntry& raw) {
    INTERLOCK_ASSIGN_OR_RETURN(const Json entry, core::ParseJson(raw.bytes, core::kPayloadLimits));
    const Json body = Member(entry, "body");
    if (!body.is_object()) return core::OkStatus();
    if (raw.kind == "run.started") return Started(raw.index, body);
    if (raw.kind == "result.released" || raw.kind == "message.received") {
      // As the engine counts it: what was withheld or only named was not read.
      const bool unread = Flag(body, raw.kind == "message.received" ? "withheld" : "by_handle");
      untrusted_ = untrusted_ || (!unread && SaysUntrusted(Member(body, "labels")));
      return core::OkStatus();
    }
    const std::string call = Text(body, "call");
    if (!wanted_.contains(call)) return core::OkStatus();
    if (raw.kind == "call.proposed") return Proposed(raw.index, entry, body);
    const auto at = calls_.find(call);
    if (at == calls_.end()) return core::OkStatus();
    if (raw.kind == "call.edited") return Edited(raw.index, body, at->second);
    const bool first = at->second.verdict.empty();
    if (raw.kind == "facts.gathered" && first) {
      INTERLOCK_ASSIGN_OR_RETURN(const Opened opened, Open(raw.index, at->second));
      at->second.input["facts"] = StatedFacts(opened.JsonAt(body, "facts"));
    }
    if (raw.kind == "call.decided" && first) return Decided(raw.index, entry, body, at->second);
    if (raw.kind == "call.decided") return DecidedAgain(raw.index, body, at->second);
    Ended(raw.kind, body, at->second);
    return core::OkStatus();
  }

  // In the order in which they were proposed.
  std::vector<RecordedDecision> Finish() {
    std::vector<RecordedDecision> out;
    for (const std::string& call : order_) {
      std::vector<RecordedDecision> all = std::move(before_edits_[call]);
      all.push_back(std::move(calls_[call]));
      for (RecordedDecision& one : all) {
        if (!one.verdict.empty() && one.verdict != "refuse") out.push_back(std::move(one));
      }
    }
    return out;
  }

  bool decided(const std::string& call) const {
    const auto at = calls_.find(call);
    return at != calls_.end() && !at->second.verdict.empty();
  }

 private:
  core::StatusOr<Opened> Open(std::uint64_t index, RecordedDecision& for_call) {
    Opened opened;
    INTERLOCK_ASSIGN_OR_RETURN(const auto payloads, source_.Disclose(index, {}, reason_));
    for (const audit::BundlePayload& payload : payloads) {
      if (payload.state == audit::BundlePayload::State::kDisclosed) {
        opened.texts[payload.slot] = payload.content;
      } else {
        opened.erased = true;
      }
    }
    if (opened.erased) for_call.undecidable = "its content was erased";
    return opened;
  }

  void TakeWho(const Json& who) {
    base_["roles"] = who.value("roles", Json::array());
    if (!Text(who, "user").empty()) base_["user"] = Text(who, "user");
  }

  core::Status Started(std::uint64_t index, const Json& body) {
    RecordedDecision ignored;
    INTERLOCK_ASSIGN_OR_RETURN(const Opened opened, Open(index, ignored));
    base_ = {{"agent", Text(body, "agent")}, {"principal", Text(body, "principal")}};
    const Json session = opened.JsonAt(body, "session");
    base_["session"] = session.is_object() ? session : Json::object();
    const Json who = opened.JsonAt(body, "who");
    if (who.is_object()) TakeWho(who);
    erased_ = opened.erased;
    root_.clear();
    if (const Json lineage = Member(body, "lineage"); lineage.is_object()) {
      const Json agents = Member(lineage, "agents");
      root_ = Text(lineage, "root");
      base_["depth"] = agents.size();
      if (agents.is_array() && !agents.empty()) base_["caller"] = agents.back();
    }
    return core::OkStatus();
  }

  core::Status Proposed(std::uint64_t index, const Json& entry, const Json& body) {
    const std::string call = Text(body, "call");
    RecordedDecision& one = calls_[call];
    order_.push_back(call);
    one.call = call;
    one.run = Text(entry, "run");
    one.tool = Text(body, "tool");
    one.time_us = Int(entry, "time_us");
    if (erased_) one.undecidable = "its content was erased";
    INTERLOCK_ASSIGN_OR_RETURN(const Opened opened, Open(index, one));
    if (one.run.empty()) {
      const Json context = opened.JsonAt(body, "context");
      base_ = {{"agent", ""}, {"session", Json::object()}};
      if (context.is_object()) {
        if (Member(context, "session").is_object()) base_["session"] = context["session"];
        TakeWho(context);
      }
    }
    one.input = base_;
    one.input["principal"] = Text(body, "principal");
    one.input["tool"] = one.tool;
    one.input["call"] = call;
    if (body.contains("compensates")) one.input["compensates"] = Text(body, "compensates");
    one.input["run"] = one.run.empty() || root_.empty() ? one.run : root_;  // as rules know it
    one.input["tenant"] = tenant_;
    one.input["step"] = Int(body, "step");
    one.input["args"] = opened.JsonAt(body, "args");
    one.input["untrusted"] = untrusted_;
    return core::OkStatus();
  }

  // What a person made of the arguments is another question, and its answers are not the first's.
  core::Status Edited(std::uint64_t index, const Json& body, RecordedDecision& one) {
    RecordedDecision next;
    next.call = one.call;
    next.run = one.run;
    next.tool = one.tool;
    next.undecidable = one.undecidable;
    next.input = one.input;
    for (const char* name : {"facts", "labels", "used", "counts", "sums"}) next.input.erase(name);
    next.input["untrusted"] = untrusted_;
    before_edits_[one.call].push_back(std::move(one));
    one = std::move(next);
    INTERLOCK_ASSIGN_OR_RETURN(const Opened opened, Open(index, one));
    one.input["args"] = opened.JsonAt(body, "args");
    return core::OkStatus();
  }

  core::Status Decided(std::uint64_t index, const Json& entry, const Json& body,
                       RecordedDecision& one) {
    INTERLOCK_ASSIGN_OR_RETURN(const Opened opened, Open(index, one));
    const Json decision = opened.JsonAt(body, "decision");
    Verdict(body, decision, one);
    one.time_us = Int(entry, "time_us");
    one.input["now"] = body.contains("now_us") ? Int(body, "now_us") : one.time_us;
    // Entries of before tell neither.
    if (body.contains("now_us")) one.input["untrusted"] = Flag(body, "untrusted");
    const Json args = opened.JsonAt(body, "args");
    if (args.is_object()) one.input["args"] = args;
    const Json labels = opened.JsonAt(body, "labels");
    if (labels.is_object()) one.input["labels"] = StatedLabels(labels);
    if (decision.is_object()) {
      one.bundle = Text(decision, "bundle");
      one.digest = Text(decision, "input");
      StateReads(decision, one.input);
    }
    if (!one.undecidable.empty()) return core::OkStatus();
    if (!one.input["args"].is_object()) one.undecidable = "its arguments were not canonical";
    if (!body.contains("decision")) {
      one.undecidable = "the gate refused it before any policy (" + one.code + ")";
    }
    return core::OkStatus();
  }

  // What rules changed was decided again; what was parked is another decision.
  core::Status DecidedAgain(std::uint64_t index, const Json& body, RecordedDecision& one) {
    if (one.verdict != "modify" || Int(body, "round") == 0) return core::OkStatus();
    INTERLOCK_ASSIGN_OR_RETURN(const Opened opened, Open(index, one));
    Verdict(body, opened.JsonAt(body, "decision"), one);
    return core::OkStatus();
  }

  // The policy's own word, apart from what the gate had against the call.
  static void Verdict(const Json& body, const Json& decision, RecordedDecision& one) {
    one.verdict = Text(body, "effect");
    one.code = Text(body, "code");
    one.asked_by = AskedBy(body);
    const bool rounds = one.code.starts_with("MODIFY_");  // the policy's own doing
    if (!decision.is_object() || rounds || one.code == Text(decision, "code")) return;
    one.gate = one.code;
    one.verdict = Text(decision, "verdict");
    one.code = Text(decision, "code");
  }

  static void Ended(const std::string& kind, const Json& body, RecordedDecision& one) {
    if (kind == "approval.granted" && Member(body, "complete") != false) one.granted = true;
    if (kind == "approval.rejected") one.rejected = true;
    if (kind == "call.intended") one.effect = Text(body, "effect");
    const Json money = Member(body, "money");
    if (kind != "call.outcome" || !money.is_object()) return;
    one.currency = Text(money, "currency");
    const auto amount = core::ParseJson(Text(money, "amount"), core::kArgsLimits);
    if (amount.ok() && amount->is_number_integer()) one.amount = amount->get<std::int64_t>();
  }

  EvidenceSource& source_;
  const std::string& reason_;
  const std::string tenant_;
  std::set<std::string> wanted_;
  std::vector<std::string> order_;
  std::map<std::string, RecordedDecision> calls_;
  std::map<std::string, std::vector<RecordedDecision>> before_edits_;  // by call
  Json base_ = Json::object();
  bool untrusted_ = false;
  std::string root_;  // of a run that an agent started: the topmost one
  bool erased_ = false;
};

core::Status Hand(Reader& reader, const std::function<core::Status(RecordedDecision)>& take) {
  for (RecordedDecision& one : reader.Finish()) {
    INTERLOCK_RETURN_IF_ERROR(take(std::move(one)));
  }
  return core::OkStatus();
}

}  // namespace

core::Status EachRecordedDecision(
    EvidenceSource& source, const RecorderOptions& options,
    const std::function<core::Status(policies::RecordedDecision)>& take) {
  INTERLOCK_ASSIGN_OR_RETURN(const std::string tenant, source.Tenant());
  std::map<std::string, std::vector<std::string>> runs;  // UUIDv7: by time
  std::vector<EvidenceCall> loose;
  INTERLOCK_RETURN_IF_ERROR(source.EachCall(options.filter, [&](const EvidenceCall& call) {
    if (call.run.empty()) {
      loose.push_back(call);
    } else {
      runs[call.run].push_back(call.call);
    }
    return true;
  }));
  for (const auto& [run, calls] : runs) {
    Reader reader(source, options.reason, tenant);
    for (const std::string& call : calls) reader.Want(call);
    INTERLOCK_RETURN_IF_ERROR(source.EachEntry(
        {.run = run}, [&](const EvidenceEntry& entry) { return reader.Take(entry); }));
    INTERLOCK_RETURN_IF_ERROR(Hand(reader, take));
  }
  for (const EvidenceCall& call : loose) {
    Reader reader(source, options.reason, tenant);
    reader.Want(call.call);
    const std::uint64_t end = call.proposed_index + kLooseCallEntries;
    INTERLOCK_RETURN_IF_ERROR(
        source.EachEntry({.run = "", .first = call.proposed_index, .end = end},
                         [&](const EvidenceEntry& entry) { return reader.Take(entry); }));
    INTERLOCK_RETURN_IF_ERROR(Hand(reader, take));
  }
  return core::OkStatus();
}

}  // namespace interlock::runtime::cli
