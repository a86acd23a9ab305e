// The table of methods: which roles may call what, and the function that serves it.
#pragma once

#include <grpcpp/server_builder.h>

#include <memory>

#include "server/caller.h"
#include "server/dispatcher.h"
#include "server/lanes.h"

namespace interlock::runtime {

// Names of all services, for health.
extern const std::vector<std::string> kServiceNames;

// Neither copies nor moves; outlives the gRPC server, the dispatcher's calls and what the lanes do.
class Services {
 public:
  virtual ~Services() = default;
  virtual void Register(grpc::ServerBuilder& builder) = 0;
  // After the server was built: waits for the first client of every method.
  virtual void Arm(Dispatcher& dispatcher, Lanes& lanes) = 0;
};

std::unique_ptr<Services> MakeServices(const Admission& admission);

}  // namespace interlock::runtime
