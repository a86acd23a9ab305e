#include "cli/offline_log.h"

#include "runtime/config.h"

namespace interlock::runtime::cli {
namespace {

core::StatusOr<std::string> TenantOf(const Config& config, const std::string& wanted) {
  if (wanted.empty() && config.tenants.size() == 1) return config.tenants[0].id;
  std::string names;
  for (const TenantConfig& tenant : config.tenants) {
    if (tenant.id == wanted) return tenant.id;
    names += (names.empty() ? "`" : ", `") + tenant.id + "`";
  }
  return core::InvalidArgument("name a tenant with --tenant: " + names);
}

}  // namespace

core::StatusOr<std::unique_ptr<OfflineLog>> OfflineLog::Open(const std::string& config_file,
                                                             const std::string& tenant) {
  INTERLOCK_ASSIGN_OR_RETURN(const Config config, LoadConfig(config_file));
  INTERLOCK_ASSIGN_OR_RETURN(const std::string id, TenantOf(config, tenant));
  std::unique_ptr<OfflineLog> log(new OfflineLog());
  audit::LogOptions& options = log->options_;
  options.folder = config.data_dir + "/tenants/" + id;
  options.tenant = id;
  options.origin = config.origin + "/" + id;
  options.clock = &log->clock_;
  if (!config.audit.anchor_file.empty()) {
    options.anchor_file = config.audit.anchor_file + "." + id;
  }
  INTERLOCK_ASSIGN_OR_RETURN(
      log->signer_, config.audit.signer_socket.empty()
                        ? audit::OpenFileSigner(options.folder, options.origin)
                        : audit::ConnectSigner(config.audit.signer_socket, options.origin));
  options.signer = log->signer_.get();
  INTERLOCK_ASSIGN_OR_RETURN(log->keys_, audit::KeyStore::Open(options.folder, &log->random_));
  log->state_ = MakeState(log->keys_.get());
  options.projectors = {ProjectorOf(*log->state_)};
  return log;
}

}  // namespace interlock::runtime::cli
