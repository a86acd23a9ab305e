// The log of a daemon that does not run, as its configuration describes it: for commands that work
// on its folder.
#pragma once

#include <memory>
#include <string>

#include "audit/checkpoint.h"
#include "audit/keys.h"
#include "audit/log.h"
#include "core/clock.h"
#include "core/random.h"
#include "runtime/make_engine.h"

namespace interlock::runtime::cli {

// Neither copies nor moves: `options` borrows the rest.
class OfflineLog {
 public:
  // `tenant` may be empty when the configuration has one. Errors: those of the configuration, of
  // signer and keys; kInvalidArgument naming the tenants.
  static core::StatusOr<std::unique_ptr<OfflineLog>> Open(const std::string& config_file,
                                                          const std::string& tenant);
  OfflineLog(const OfflineLog&) = delete;
  OfflineLog& operator=(const OfflineLog&) = delete;

  const audit::LogOptions& options() const { return options_; }

 private:
  OfflineLog() = default;

  core::SystemClock clock_;
  core::SystemRandom random_;
  std::unique_ptr<audit::Signer> signer_;
  std::unique_ptr<audit::KeyStore> keys_;
  StatePtr state_;
  audit::LogOptions options_;
};

}  // namespace interlock::runtime::cli
