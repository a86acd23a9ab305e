// One template for every unary RPC: service logic is a plain function of a caller and a request.
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/async_unary_call.h>

#include <atomic>
#include <exception>
#include <functional>
#include <memory>
#include <string_view>
#include <utility>

#include "runtime/engine.h"
#include "server/caller.h"
#include "server/dispatcher.h"

namespace interlock::runtime {

// `name` of a resource, else `parent`.
template <typename Request>
RequestFacts FactsOf(const Request& request) {
  if constexpr (requires { request.name(); }) {
    return {"name", request.name(), request.ByteSizeLong()};
  } else {
    return {"parent", request.parent(), request.ByteSizeLong()};
  }
}

template <typename Base, typename Request, typename Response>
class UnaryCall;

// How one method is served. Immutable; outlives its calls.
template <typename Base, typename Request, typename Response>
struct UnaryMethod {
  using Call = UnaryCall<Base, Request, Response>;
  using RequestFunction = void (Base::*)(grpc::ServerContext*, Request*,
                                         grpc::ServerAsyncResponseWriter<Response>*,
                                         grpc::CompletionQueue*, grpc::ServerCompletionQueue*,
                                         void*);
  using Handler = std::function<void(const Caller&, const Request&, Reply<Response>)>;

  Base* service;
  RequestFunction request;
  MethodInfo info;
  Handler handler;
  const Admission* admission;
  Dispatcher* dispatcher;
  Lanes* lanes;
};

// One call, from waiting for a client to the end of its answer. The engine's reply may come from
// any thread, and after the client has gone: it is then dropped, what it reports stays done (rule
// 11).
template <typename Base, typename Request, typename Response>
class UnaryCall final : public Tag,
                        public Inflight,
                        public std::enable_shared_from_this<UnaryCall<Base, Request, Response>> {
 public:
  using Method = UnaryMethod<Base, Request, Response>;

  explicit UnaryCall(const Method& method)
      : method_(method), rpc_(std::make_unique<Rpc>()), tags_(method.info.hears_hangups ? 2 : 1) {}

  // Waits for the next client.
  static void Arm(const Method& method) {
    auto call = std::make_shared<UnaryCall>(method);
    call->self_ = call;
    if (method.info.hears_hangups) {
      call->hangup_ = std::make_shared<Hangup>();
      call->rpc_->context.AsyncNotifyWhenDone(&call->gone_);
    }
    const bool armed = method.dispatcher->Post([&](grpc::ServerCompletionQueue* queue) {
      (method.service->*method.request)(&call->rpc_->context, &call->request_,
                                        &call->rpc_->responder, queue, queue, call.get());
    });
    if (!armed) call->self_.reset();
  }

  void Proceed(bool ok) override {
    const std::shared_ptr<UnaryCall> keep = self_;
    if (accepted_) return Release();  // answered
    if (!ok) {                        // the server is down; gRPC gives no other tag back then
      tags_ = 1;
      return Release();
    }
    accepted_ = true;
    Arm(method_);
    Serve();
  }

  void OnDrain() override {}
  void Abort() override { Finish(GoingDown()); }

 private:
  // The other tag of a call whose handler hears of hang-ups: the RPC is over, in whatever way.
  struct Gone final : Tag {
    explicit Gone(UnaryCall& call) : of(call) {}
    void Proceed(bool /*ok*/) override { of.OnGone(); }
    UnaryCall& of;
  };

  void OnGone() {
    const std::shared_ptr<UnaryCall> keep = self_;
    if (rpc_->context.IsCancelled()) hangup_->Happen();
    Release();
  }

  // gRPC has given a tag back. With the last one the call is let go.
  void Release() {
    if (--tags_ > 0) return;
    const std::shared_ptr<UnaryCall> keep = std::move(self_);
    rpc_.reset();  // a late reply may keep this call longer than gRPC lives
    method_.dispatcher->Untrack(keep);
  }

  static core::Status GoingDown() {
    return WithReason(core::Unavailable("the server is shutting down; ask again with the same "
                                        "request_id"),
                      "SHUTTING_DOWN");
  }

  void Serve() {
    if (!method_.dispatcher->Track(this->shared_from_this())) return Finish(GoingDown());
    core::StatusOr<Caller> caller =
        method_.admission->Admit(rpc_->context, method_.info, FactsOf(request_));
    if (!caller.ok()) return Finish(caller.status());
    caller->hangup = hangup_;
    caller->lanes = method_.lanes;
    try {
      method_.handler(*caller, request_,
                      [self = this->shared_from_this()](core::StatusOr<Response> response) {
                        self->Finish(std::move(response));
                      });
    } catch (const std::exception&) {  // the border: nothing of ours throws, a library might
      Finish(core::Internal("the request could not be handled; see the daemon's log"));
    }
  }

  void Finish(core::StatusOr<Response> response) {
    if (finished_.exchange(true)) return;
    method_.dispatcher->Post([&](grpc::ServerCompletionQueue*) {
      if (response.ok()) {
        rpc_->responder.Finish(*response, grpc::Status::OK, this);
      } else {
        const ErrorSubject subject{method_.info.name, method_.info.resource_type,
                                   std::string(FactsOf(request_).name)};
        rpc_->responder.FinishWithError(ToGrpc(response.status(), subject), this);
      }
    });
  }

  struct Rpc {
    grpc::ServerContext context;
    grpc::ServerAsyncResponseWriter<Response> responder{&context};
  };

  const Method& method_;
  std::unique_ptr<Rpc> rpc_;
  Request request_;
  std::shared_ptr<UnaryCall> self_;  // until gRPC has given the last tag back
  bool accepted_ = false;
  std::atomic<bool> finished_ = false;
  std::atomic<int> tags_;           // that gRPC has not given back
  std::shared_ptr<Hangup> hangup_;  // null: its handler does not ask
  Gone gone_{*this};
};

}  // namespace interlock::runtime
