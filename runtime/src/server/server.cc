#include "runtime/server.h"

#include <grpc/support/log.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <condition_variable>
#include <mutex>
#include <thread>

#include "server/caller.h"
#include "server/dispatcher.h"
#include "server/lanes.h"
#include "server/services.h"

namespace interlock::runtime {
namespace {

constexpr std::size_t kPageTokenKeyBytesMin = 16;
// gRPC refuses anything larger before it reaches us.
constexpr int kWireBytesMax = static_cast<int>(4 * kRequestBytesMax);

core::Status CheckOptions(const ServerOptions& options) {
  if (options.threads < 1 || options.threads > 64) {
    return core::InvalidArgument("`threads` must be 1 to 64");
  }
  if (options.tenants.empty()) return core::InvalidArgument("no tenants to serve");
  for (const auto& [id, tenant] : options.tenants) {
    if (tenant.engine == nullptr || tenant.page_token_key.size() < kPageTokenKeyBytesMin) {
      return core::InvalidArgument("tenant `" + id +
                                   "` has no engine or too short a page token key");
    }
  }
  return core::OkStatus();
}

// Why gRPC cannot listen, which it says in several lines on standard error: while one lives, what
// it says on this thread is kept for one line of ours. One at a time.
class ListenTrouble {
 public:
  ListenTrouble() {
    said.clear();
    gpr_set_log_function([](gpr_log_func_args* line) { said += line->message; });
  }
  ~ListenTrouble() { gpr_set_log_function(nullptr); }
  ListenTrouble(const ListenTrouble&) = delete;
  ListenTrouble& operator=(const ListenTrouble&) = delete;

  // What to do about it.
  static std::string Advice() {
    if (said.find("Address already in use") != std::string::npos) {
      return "another process has it; end that one, or name another `listen`";
    }
    return "name another `listen`, HOST:PORT of this machine";
  }

 private:
  static thread_local std::string said;
};
thread_local std::string ListenTrouble::said;

class ServerImpl final : public Server {
 public:
  explicit ServerImpl(ServerOptions options)
      : options_(std::move(options)), admission_(options_), services_(MakeServices(admission_)) {}
  ~ServerImpl() override { Stop(); }

  core::Status Start();
  const std::string& address() const override { return address_; }
  void Stop() override;

 private:
  void WatchHealth(bool serving);  // `serving`: what was told last
  bool Healthy() const;
  void SetServing(bool serving);

  const ServerOptions options_;
  const Admission admission_;
  const std::unique_ptr<Services> services_;
  Lanes lanes_;
  std::unique_ptr<Dispatcher> dispatcher_;
  std::unique_ptr<grpc::Server> server_;
  std::string address_;

  std::mutex mutex_;  // guards stopping_
  std::condition_variable stop_;
  bool stopping_ = false;
  std::thread health_;
};

core::Status ServerImpl::Start() {
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort(options_.listen, grpc::InsecureServerCredentials(), &port);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT,
                             0);  // a second daemon must not share the port
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 10'000);
  builder.SetMaxReceiveMessageSize(kWireBytesMax);
  services_->Register(builder);
  dispatcher_ = std::make_unique<Dispatcher>(builder.AddCompletionQueue());
  {
    const ListenTrouble trouble;
    server_ = builder.BuildAndStart();
    if (server_ == nullptr || port == 0) {
      dispatcher_->Close();  // here: gRPC has something to say about that too
      dispatcher_.reset();
      return core::Unavailable("cannot listen on `" + options_.listen +
                               "`: " + ListenTrouble::Advice());
    }
  }
  address_ = options_.listen.substr(0, options_.listen.rfind(':') + 1) + std::to_string(port);
  services_->Arm(*dispatcher_, lanes_);
  dispatcher_->Start(options_.threads);
  const bool serving = Healthy();
  SetServing(serving);
  health_ = std::thread([this, serving] { WatchHealth(serving); });
  return core::OkStatus();
}

bool ServerImpl::Healthy() const {
  for (const auto& [id, tenant] : options_.tenants) {
    if (!tenant.engine->Unhealthy().empty()) return false;
  }
  return true;
}

void ServerImpl::SetServing(bool serving) {
  grpc::HealthCheckServiceInterface* health = server_->GetHealthCheckService();
  health->SetServingStatus("", serving);
  for (const std::string& name : kServiceNames) health->SetServingStatus(name, serving);
}

void ServerImpl::WatchHealth(bool serving) {
  std::unique_lock lock(mutex_);
  while (!stop_.wait_for(lock, options_.health_interval, [this] { return stopping_; })) {
    lock.unlock();
    if (const bool now = Healthy(); now != serving) SetServing(serving = now);
    lock.lock();
  }
}

void ServerImpl::Stop() {
  {
    const std::scoped_lock lock(mutex_);
    if (stopping_) return;
    stopping_ = true;
  }
  stop_.notify_all();
  if (health_.joinable()) health_.join();
  if (server_ != nullptr) {
    SetServing(false);
    dispatcher_->Drain(options_.shutdown_grace);
    server_->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(1));
  }
  if (dispatcher_ != nullptr) dispatcher_->Close();
  lanes_.Close();  // nobody gives them anything more; whom they work for was answered
}

}  // namespace

core::StatusOr<std::unique_ptr<Server>> StartServer(ServerOptions options) {
  INTERLOCK_RETURN_IF_ERROR(CheckOptions(options));
  auto server = std::make_unique<ServerImpl>(std::move(options));
  INTERLOCK_RETURN_IF_ERROR(server->Start());
  return std::unique_ptr<Server>(std::move(server));
}

}  // namespace interlock::runtime
