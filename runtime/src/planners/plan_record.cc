// What was recorded of a reply, read again.
#include <algorithm>

#include "codec.h"
#include "runtime/planners.h"
#include "stream_reader.h"
#include "tool_names.h"

namespace interlock::runtime {
namespace {

core::Status ReadsOtherwise(const std::string& what) {
  return core::Error(core::StatusCode::kAborted, "the recorded reply reads otherwise now: " + what);
}

// What of the call differs; empty: nothing. `read` has its tool's name as the model wrote it where
// nobody knows any more which tools were offered.
std::string_view Difference(const ProposedCall& read, const ProposedCall& recorded) {
  if (read.id != recorded.id) return "its id";
  if (read.tool != recorded.tool && read.tool != WireToolName(recorded.tool)) return "its tool";
  return read.args_text == recorded.args_text ? "" : "its arguments";
}

// Versions before kept nothing of what a chat server says beside a call.
bool SameEcho(const Plan& of, const ProposedCall& read, const ProposedCall& recorded) {
  const bool chat = of.dialect.empty() || of.dialect == DialectName(Dialect::kChat);
  return read.echo == recorded.echo || (chat && recorded.echo.empty());
}

core::StatusOr<Plan> ReadAgain(const Plan& recorded, const PlanRequest& request,
                               ReplyNotes& notes) {
  Dialect dialect = Dialect::kChat;  // what plans were before they said so
  if (!recorded.dialect.empty()) {
    INTERLOCK_ASSIGN_OR_RETURN(dialect, DialectOfName(recorded.dialect));
  }
  INTERLOCK_ASSIGN_OR_RETURN(
      const Plan read, PlanOfBytes(CodecOf(dialect), recorded.raw, request,
                                   recorded.streamed ? Framing::kEvents : Framing::kWhole, notes));
  Plan plan = recorded;
  plan.finish = read.finish;
  plan.final_answer = read.final_answer;
  plan.text = read.text;
  plan.calls = read.calls;
  return plan;
}

// Versions before took what a model said in `refusal` for its answer.
bool IsOldRefusal(const Plan& recorded, const ReplyNotes& notes) {
  return !notes.refusal.empty() && recorded.finish == Finish::kAnswer && !recorded.final_answer &&
         recorded.text == notes.refusal;
}

}  // namespace

core::StatusOr<Plan> PlanOfRecord(const Plan& recorded, const PlanRequest& request) {
  ReplyNotes unread;
  return ReadAgain(recorded, request, unread);
}

core::Status CheckRecord(const Plan& recorded, const PlanRequest& request) {
  ReplyNotes notes;
  const auto read = ReadAgain(recorded, request, notes);
  if (!read.ok() && IsOldRefusal(recorded, notes)) return core::OkStatus();
  if (!read.ok()) return ReadsOtherwise(std::string(core::Message(read.status())));
  if (read->finish != recorded.finish || read->final_answer != recorded.final_answer) {
    return ReadsOtherwise("how it ends");
  }
  if (read->text != recorded.text) return ReadsOtherwise("its text");
  if (read->calls.size() != recorded.calls.size()) return ReadsOtherwise("how many calls it has");
  for (std::size_t i = 0; i < read->calls.size(); ++i) {
    std::string_view what = Difference(read->calls[i], recorded.calls[i]);
    if (what.empty() && !SameEcho(recorded, read->calls[i], recorded.calls[i])) {
      what = "its signature";
    }
    if (!what.empty()) {
      return ReadsOtherwise("call " + std::to_string(i + 1) + ", " + std::string(what));
    }
  }
  return core::OkStatus();
}

}  // namespace interlock::runtime
