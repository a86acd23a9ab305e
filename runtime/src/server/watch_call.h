// RunService.WatchRun: a run's entries as they become durable. At most one message is in flight and
// at most kWatchBatch events are read ahead, so a slow reader costs the daemon no more than that.
#pragma once

#include <grpcpp/alarm.h>
#include <grpcpp/impl/codegen/proto_utils.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/async_stream.h>

#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "interlock/v1/run_service.pb.h"
#include "runtime/engine.h"
#include "server/caller.h"
#include "server/dispatcher.h"

namespace interlock::runtime {

inline constexpr int kWatchBatch = 32;
inline constexpr std::int64_t kRunSeqMax = std::int64_t{1} << 53;  // a number in an entry
inline constexpr std::size_t kWatchOutputBytesMax = 256 << 10;  // of output that waits for a client
inline constexpr std::size_t kWatchTextBytesMax = 64 << 10;     // and of what a planner writes

// How the method is served. Immutable; outlives its calls.
struct WatchMethod {
  using Writer = grpc::ServerAsyncWriter<::interlock::v1::WatchRunResponse>;

  // Asks gRPC for the next client; `tag` comes back when there is one.
  std::function<void(grpc::ServerContext*, ::interlock::v1::WatchRunRequest*, Writer*,
                     grpc::ServerCompletionQueue*, void* tag)>
      request;
  MethodInfo info;
  const Admission* admission;
  Dispatcher* dispatcher;
};

// One stream. Its steps run on queue threads, one at a time: whoever sets `busy_` owns the stream
// until it clears it. The engine's notice only marks it dirty, and wakes it when nobody owns it.
class WatchCall final : public Inflight, public std::enable_shared_from_this<WatchCall> {
 public:
  explicit WatchCall(const WatchMethod& method);
  ~WatchCall() override;

  static void Arm(const WatchMethod& method);

  void OnDrain() override { Wake(); }
  void Abort() override { context_.TryCancel(); }  // a client that does not read holds a write

 private:
  using Response = ::interlock::v1::WatchRunResponse;
  using Handler = void (WatchCall::*)(bool ok);

  // A tag of this call; keeps the call alive from Hold() until gRPC gives it back.
  struct Step final : Tag {
    explicit Step(Handler on_done) : handler(on_done) {}
    void Proceed(bool ok) override {
      const std::shared_ptr<WatchCall> call = std::move(hold);
      (call.get()->*handler)(ok);
    }
    Handler handler;
    std::shared_ptr<WatchCall> hold;
  };

  void OnAccepted(bool ok);
  void OnGone(bool ok);  // the client has gone, or the stream has ended
  void OnWoken(bool ok);
  void OnWritten(bool ok);
  void OnFinished(bool ok);

  core::Status Begin();                 // admission, request, subscriptions
  void Keep(const ToolOutput& output);  // from the sandbox's thread
  // Owner only: moves what tools wrote meanwhile to `queue_`.
  void TakeOutput();
  void Keep(const PlannerText& text);  // from the planner's thread
  // Owner only: the same with what the planner writes of a plan that the client has not been told.
  void TakeText();
  void Wake();
  void Pump();  // owner only: does one thing, or gives the stream up until it is woken
  // Owner only: reads events into `queue_`, or the run's state when there are none. OK and still
  // empty: idle.
  core::Status Refill();
  void Write(const Response& response);
  void Finish(const core::Status& status);
  // False when the queue is closed: the step never comes. Otherwise it may be over before Post is.
  template <typename Operation>
  bool Post(Step& step, Operation operation);

  const WatchMethod& method_;
  grpc::ServerContext context_;
  ::interlock::v1::WatchRunRequest request_;
  WatchMethod::Writer writer_;
  Step accepted_{&WatchCall::OnAccepted};
  Step gone_step_{&WatchCall::OnGone};
  Step woken_{&WatchCall::OnWoken};
  Step written_{&WatchCall::OnWritten};
  Step finished_{&WatchCall::OnFinished};

  // Set by Begin, then the owner's alone.
  Caller caller_;
  std::string run_;
  bool content_ = false;
  std::int64_t after_seq_ = -1;
  std::deque<Response> queue_;
  std::optional<RunState> told_;     // the state that was sent last
  bool waits_anew_ = false;          // as an entry behind it says
  std::vector<OpenCall> told_open_;  // with it
  bool complete_ = false;            // the run is final and everything is in `queue_` or sent
  std::optional<std::uint64_t> subscription_;
  std::optional<std::uint64_t> output_subscription_;
  std::optional<std::uint64_t> text_subscription_;
  std::int64_t planned_step_ = -1;  // of the newest plan.received that was read
  std::unique_ptr<grpc::Alarm> alarm_;

  std::mutex mutex_;  // guards what follows
  std::deque<ToolOutput> output_;
  std::size_t output_bytes_ = 0;
  std::int64_t output_dropped_ = 0;       // behind what waits
  std::int64_t output_dropped_told_ = 0;  // before what waits
  std::deque<PlannerText> texts_;
  std::size_t text_bytes_ = 0;
  std::int64_t text_dropped_ = 0;  // behind what waits
  std::int64_t text_dropped_told_ = 0;
  bool busy_ = true;  // from the start: the accepting step owns it
  bool dirty_ = false;
  bool gone_ = false;
  bool ended_ = false;
};

}  // namespace interlock::runtime
