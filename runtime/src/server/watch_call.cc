#include "server/watch_call.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "server/convert.h"
#include "server/names.h"
#include "server/ownership.h"

namespace interlock::runtime {
namespace {

// The step of a plan.received; -1: of any other entry.
std::int64_t PlannedStep(const audit::Entry& entry) {
  if (entry.kind != "plan.received") return -1;
  const auto view = core::JsonObjectView::Of(entry.bytes);
  const auto body = view.ok() ? view->Object("body") : std::nullopt;
  return body ? body->Int("step").value_or(-1) : -1;
}

}  // namespace

WatchCall::WatchCall(const WatchMethod& method) : method_(method), writer_(&context_) {}

WatchCall::~WatchCall() = default;

template <typename Operation>
bool WatchCall::Post(Step& step, Operation operation) {
  step.hold = shared_from_this();
  if (method_.dispatcher->Post(operation)) return true;
  step.hold.reset();
  return false;
}

void WatchCall::Arm(const WatchMethod& method) {
  auto call = std::make_shared<WatchCall>(method);
  call->gone_step_.hold = call;
  call->context_.AsyncNotifyWhenDone(&call->gone_step_);
  const bool posted = call->Post(call->accepted_, [&](grpc::ServerCompletionQueue* queue) {
    method.request(&call->context_, &call->request_, &call->writer_, queue, &call->accepted_);
  });
  if (!posted) call->gone_step_.hold.reset();
}

void WatchCall::OnAccepted(bool ok) {
  if (!ok) {  // the server is down; gRPC does not give the other tag back then
    gone_step_.hold.reset();
    return;
  }
  Arm(method_);
  const bool tracked = method_.dispatcher->Track(shared_from_this());
  if (const core::Status status = tracked ? Begin() : core::OkStatus(); !status.ok()) {
    return Finish(status);
  }
  Pump();
}

core::Status WatchCall::Begin() {
  const RequestFacts facts{"name", request_.name(), request_.ByteSizeLong()};
  INTERLOCK_ASSIGN_OR_RETURN(caller_, method_.admission->Admit(context_, method_.info, facts));
  INTERLOCK_ASSIGN_OR_RETURN(const std::string_view id,
                             IdOfName("name", request_.name(), collection::kRuns));
  if (request_.has_after_run_seq()) after_seq_ = request_.after_run_seq();
  if (after_seq_ < -1) return BadField("after_run_seq", "must be at least -1");
  if (after_seq_ > kRunSeqMax) return BadField("after_run_seq", "is above what any run can have");
  if (request_.view() < 0 || request_.view() > wire::ContentView_MAX) {
    return BadField("view", "is not a view that this server knows");
  }
  INTERLOCK_RETURN_IF_ERROR(OwnRun(caller_, id).status());
  run_ = id;
  content_ = request_.view() == wire::CONTENT_VIEW_FULL;
  if (request_.tool_output() && !content_) {
    return BadField("tool_output", "needs view CONTENT_VIEW_FULL");
  }
  if (request_.tool_output()) {
    INTERLOCK_ASSIGN_OR_RETURN(
        output_subscription_,
        caller_.engine->SubscribeOutput(*caller_.who, run_,
                                        [weak = weak_from_this()](const ToolOutput& output) {
                                          if (const auto call = weak.lock()) call->Keep(output);
                                        }));
  }
  if (request_.planner_text() && !content_) {
    return BadField("planner_text", "needs view CONTENT_VIEW_FULL");
  }
  if (request_.planner_text()) {
    INTERLOCK_ASSIGN_OR_RETURN(
        text_subscription_,
        caller_.engine->SubscribeText(*caller_.who, run_,
                                      [weak = weak_from_this()](const PlannerText& text) {
                                        if (const auto call = weak.lock()) call->Keep(text);
                                      }));
  }
  // Before the first read, so that no entry falls between.
  subscription_ = caller_.engine->Subscribe(run_, [weak = weak_from_this()] {
    if (const auto call = weak.lock()) call->Wake();
  });
  return core::OkStatus();
}

void WatchCall::Keep(const ToolOutput& output) {
  {
    const std::scoped_lock lock(mutex_);
    if (ended_) return;
    // Behind a hole nothing is taken before the hole can be told.
    if (output_dropped_ > 0 || output_bytes_ + output.text.size() > kWatchOutputBytesMax) {
      output_dropped_ += static_cast<std::int64_t>(output.text.size());
      if (!output_.empty()) return;  // told when those are taken
      output_dropped_told_ += std::exchange(output_dropped_, 0);
      output_.push_back({.call = output.call, .is_stderr = output.is_stderr, .text = ""});
    } else {
      output_bytes_ += output.text.size();
      output_.push_back(output);
    }
  }
  Wake();
}

void WatchCall::TakeOutput() {
  std::deque<ToolOutput> taken;
  std::int64_t dropped = 0;
  {
    const std::scoped_lock lock(mutex_);
    taken.swap(output_);
    output_bytes_ = 0;
    if (taken.empty()) return;
    // What was dropped since the last time came behind these: the next part tells of it.
    dropped = std::exchange(output_dropped_told_, std::exchange(output_dropped_, 0));
    if (output_dropped_told_ > 0) {  // also when nothing more comes
      const ToolOutput& last = taken.back();
      output_.push_back({.call = last.call, .is_stderr = last.is_stderr, .text = ""});
    }
  }
  for (ToolOutput& output : taken) {
    wire::ToolOutput& told = *queue_.emplace_back().mutable_output();
    told.set_call(MakeName(caller_.tenant(), collection::kCalls, output.call));
    told.set_stream(output.is_stderr ? wire::ToolOutput::STREAM_STDERR
                                     : wire::ToolOutput::STREAM_STDOUT);
    told.set_text(std::move(output.text));
    told.set_dropped_bytes(std::exchange(dropped, 0));
  }
}

void WatchCall::Keep(const PlannerText& text) {
  {
    const std::scoped_lock lock(mutex_);
    if (ended_) return;
    if (text.begins) {  // nobody needs what was told before
      texts_.clear();
      text_bytes_ = 0;
      text_dropped_ = 0;
      text_dropped_told_ = 0;
    }
    if (text_dropped_ > 0 || text_bytes_ + text.text.size() > kWatchTextBytesMax) {
      text_dropped_ += static_cast<std::int64_t>(text.text.size());
      if (!texts_.empty()) return;  // told when those are taken
      text_dropped_told_ += std::exchange(text_dropped_, 0);
      texts_.push_back({.step = text.step, .text = "", .begins = text.begins});
    } else {
      text_bytes_ += text.text.size();
      // As it stands, what waits is one piece, however many it came in.
      const bool goes_on = !text.begins && !texts_.empty() && texts_.back().step == text.step;
      if (goes_on) {
        texts_.back().text += text.text;
      } else {
        texts_.push_back(text);
      }
    }
  }
  Wake();
}

void WatchCall::TakeText() {
  std::deque<PlannerText> taken;
  std::int64_t dropped = 0;
  {
    const std::scoped_lock lock(mutex_);
    taken.swap(texts_);
    text_bytes_ = 0;
    if (taken.empty()) return;
    dropped = std::exchange(text_dropped_told_, std::exchange(text_dropped_, 0));
    if (text_dropped_told_ > 0) {
      texts_.push_back({.step = taken.back().step, .text = "", .begins = false});
    }
  }
  for (PlannerText& text : taken) {
    if (text.step <= planned_step_) continue;  // its reply was sent
    wire::PlannerText& told = *queue_.emplace_back().mutable_text();
    told.set_step(text.step);
    told.set_text(std::move(text.text));
    told.set_begins(text.begins);
    told.set_dropped_bytes(std::exchange(dropped, 0));
  }
}

void WatchCall::Wake() {
  const std::scoped_lock lock(mutex_);
  dirty_ = true;
  if (busy_ || ended_) return;
  busy_ = true;
  Post(woken_, [this](grpc::ServerCompletionQueue* queue) {
    alarm_ = std::make_unique<grpc::Alarm>();
    alarm_->Set(queue, std::chrono::system_clock::now(), &woken_);
  });
}

void WatchCall::OnWoken(bool) { Pump(); }

void WatchCall::OnWritten(bool ok) {
  if (!ok) {
    const std::scoped_lock lock(mutex_);
    gone_ = true;
  }
  Pump();
}

void WatchCall::OnGone(bool) {
  {
    const std::scoped_lock lock(mutex_);
    gone_ = true;
  }
  Wake();
}

void WatchCall::OnFinished(bool) { method_.dispatcher->Untrack(shared_from_this()); }

void WatchCall::Pump() {
  while (true) {
    bool gone = false;
    {
      const std::scoped_lock lock(mutex_);
      dirty_ = false;
      gone = gone_;
    }
    if (gone) {
      return Finish(core::Error(core::StatusCode::kCancelled, "the client has gone"));
    }
    if (method_.dispatcher->draining()) {
      return Finish(WithReason(core::Unavailable("the server is shutting down; watch again with "
                                                 "after_run_seq"),
                               "SHUTTING_DOWN"));
    }
    if (!queue_.empty()) {
      const Response next = std::move(queue_.front());
      queue_.pop_front();
      return Write(next);
    }
    if (complete_) return Finish(core::OkStatus());
    if (const core::Status status = Refill(); !status.ok()) return Finish(status);
    if (!queue_.empty()) continue;
    const std::scoped_lock lock(mutex_);
    if (dirty_) continue;
    busy_ = false;
    return;
  }
}

core::Status WatchCall::Refill() {
  INTERLOCK_ASSIGN_OR_RETURN(
      const std::vector<RunEvent> events,
      caller_.engine->ReadEvents(*caller_.who, run_, after_seq_, kWatchBatch, content_));
  for (const RunEvent& event : events) {
    *queue_.emplace_back().mutable_event() = ToWire(event);
    planned_step_ = std::max(planned_step_, PlannedStep(event.entry));
    waits_anew_ |= event.entry.kind == "run.parked" || event.entry.kind == "run.waiting";
    after_seq_ = event.entry.run_seq;
  }
  if (!events.empty()) return core::OkStatus();
  TakeOutput();
  TakeText();
  if (!queue_.empty()) return core::OkStatus();
  INTERLOCK_ASSIGN_OR_RETURN(const RunInfo info, caller_.engine->GetRun(*caller_.who, run_));
  if (info.entries > after_seq_ + 1)
    return core::OkStatus();  // more came: its notice comes, or has come
  complete_ = IsFinal(info.state);
  // A run that ends has no state and no entry for what it waits for.
  const bool ends = info.state == RunState::kCancelling || info.state == RunState::kCompensating;
  const bool waits_otherwise = ends && told_open_ != info.open_calls;
  if (complete_ || told_ != info.state || waits_anew_ || waits_otherwise) {
    *queue_.emplace_back().mutable_run() = ToWire(caller_.tenant(), info);
  }
  waits_anew_ = false;
  told_ = info.state;
  told_open_ = info.open_calls;
  return core::OkStatus();
}

void WatchCall::Write(const Response& response) {
  Post(written_, [&](grpc::ServerCompletionQueue*) { writer_.Write(response, &written_); });
}

void WatchCall::Finish(const core::Status& status) {
  {
    const std::scoped_lock lock(mutex_);
    ended_ = true;  // and busy_ stays: nobody else gets the stream any more
  }
  if (subscription_.has_value()) caller_.engine->Unsubscribe(*subscription_);
  subscription_.reset();
  if (output_subscription_.has_value()) caller_.engine->UnsubscribeOutput(*output_subscription_);
  output_subscription_.reset();
  if (text_subscription_.has_value()) caller_.engine->UnsubscribeText(*text_subscription_);
  text_subscription_.reset();
  const ErrorSubject subject{method_.info.name, method_.info.resource_type, request_.name()};
  Post(finished_,
       [&](grpc::ServerCompletionQueue*) { writer_.Finish(ToGrpc(status, subject), &finished_); });
}

}  // namespace interlock::runtime
