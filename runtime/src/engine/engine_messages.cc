// Messages to a run: rules speak of them before a planner may read them, and what they said stands
// in the log with the message.
#include "engine/engine.h"
#include "engine/open_approvals.h"
#include "engine/run_ended.h"
#include "engine/run_state.h"

namespace interlock::runtime {

namespace {

Gate::TextCase CaseOf(const Incoming& message) {
  return {.phase = policies::RulePhase::kMessage,
          .id = &message.base,
          .text = message.text,
          .label = {.trusted = true, .sources = {message.from}, .tags = {}, .readers = {"*"}},
          .flow_untrusted = message.flow_untrusted};
}

Draft DraftOf(const Incoming& message) {
  return DraftMessage(message.base.run, message.sealer,
                      {.actor = message.actor,
                       .from = message.from,
                       .text = message.text,
                       .request = message.request.key,
                       .request_digest = message.request.digest,
                       .judged = &message.judged});
}

// As the run hears of it.
event::Message Told(const Incoming& message) {
  const JudgedText& judged = message.judged;
  return {.text = judged.withheld ? WithheldMessage(judged.code, judged.say)
                                  : judged.changed.value_or(message.text),
          .from = message.from,
          .withheld = judged.withheld,
          .untrusted = judged.untrusted,
          .tags = judged.tags};
}

}  // namespace

void EngineImpl::Judge(Incoming& message) {
  Worker& worker = hub_.WorkerOf(message.base.run);
  message.judged = hub_.gate.JudgeText(worker.engine.get(), CaseOf(message));
  message.draft = DraftOf(message);
}

core::Status EngineImpl::Take(Serial& serial, Incoming& message) {
  const bool moved = hub_.gate.JudgeAgain(serial, CaseOf(message), message.judged);
  if (moved) message.draft = DraftOf(message);
  return serial.Append(message.draft).status();
}

// Rule 15: journaled at once; the user's open confirmations are void, other approvals stay.
void EngineImpl::SendMessage(const core::Principal& who, std::string run, std::string text,
                             std::string request_id, Reply<RunInfo> reply) {
  if (text.empty() || text.size() > kMessageBytesMax) {
    return reply(core::InvalidArgument("`text` must have 1 to 65536 bytes"));
  }
  asio::post(hub_.WorkerOf(run).io, [this, who, run, text = std::move(text),
                                     request_id = std::move(request_id), reply = std::move(reply)] {
    const RequestMark request = MarkOf(who, request_id, "SendMessage", run, {{"text", text}});
    const auto row = hub_.RunRowOf(run);
    if (row.status().code() == core::StatusCode::kNotFound) {
      return AnswerOfClosed(who, run, "write to it", request, row.status(), reply);
    }
    const core::Status may = row.ok() ? MayChangeRun(who, *row, "write to it") : row.status();
    if (!may.ok()) return reply(may);
    const auto context = hub_.ContextOf(*row);
    if (!context.ok()) return reply(context.status());
    const auto key = hub_.parts.keys->KeyFor(context->subject);
    if (!key.ok()) return reply(key.status());
    const bool own = row->principal == who.id;
    auto message = std::make_shared<Incoming>(Incoming{.base = *context,
                                                       .sealer = hub_.SealerFor(*key),
                                                       .actor = "principal:" + who.id,
                                                       .from = own ? "user" : "operator",
                                                       .text = text,
                                                       .request = request,
                                                       .flow_untrusted = row->untrusted != 0});
    message->base.step = row->steps;
    Judge(*message);
    struct Sent {
      std::int64_t seq = -1;
      std::vector<EndedCall> voided;
      bool duplicate = false;
    };
    auto sent = std::make_shared<Sent>();
    hub_.journal.Submit(
        [this, run, own, request, message, sent](Serial& serial) -> core::Status {
          INTERLOCK_ASSIGN_OR_RETURN(sent->duplicate, WasMade(serial.state(), request));
          if (sent->duplicate)
            return core::Error(core::StatusCode::kAlreadyExists, "duplicate request");
          const RunRow* now = serial.state().FindRun(run);
          if (now == nullptr || IsEnding(now->state)) {
            return RunEnded(run, now, "it reads no messages any more");
          }
          if (own) INTERLOCK_RETURN_IF_ERROR(VoidConfirmations(serial, run, sent->voided));
          sent->seq = serial.state().FindRun(run)->entries;
          return Take(serial, *message);
        },
        audit::Urgency::kNormal,
        [this, who, run, message, sent, reply](const core::Status& status) {
          if (!status.ok() && !sent->duplicate) return reply(status);
          if (!sent->duplicate) {
            for (const EndedCall& ended : sent->voided) {
              hub_.Post(ended.run,
                        event::CallDone{
                            ended.call,
                            ObservationDenied("CONFIRMATION_VOIDED",
                                              "The user wrote again before confirming.", nullptr)},
                        ended.run == run ? sent->seq - 1 : Hub::kAlways);
            }
            hub_.Post(run, Told(*message), sent->seq);
          }
          asio::post(hub_.WorkerOf(run).io, [this, who, run, reply] {
            const auto now = hub_.RunRowOf(run);
            auto info = now.ok() ? InfoOf(*now) : core::StatusOr<RunInfo>(now.status());
            reply(info.ok() ? AnswerFor(who, *std::move(info)) : std::move(info));
          });
        });
  });
}

}  // namespace interlock::runtime
