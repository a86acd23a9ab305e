// interlockd: the daemon. Reads top to bottom as its parts list; everything is made here and handed
// on.
//
// Exit codes: 0 ended as asked, 1 the configuration or a part of it is wrong, 2 it could not start
// or serve.
#include <signal.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "audit/checkpoint.h"
#include "audit/keys.h"
#include "audit/log.h"
#include "config/box_share.h"
#include "config/files.h"
#include "core/clock.h"
#include "core/glob.h"
#include "core/open_files.h"
#include "core/permit.h"
#include "core/random.h"
#include "policies/active.h"
#include "policies/bundle.h"
#include "runtime/agent.h"
#include "runtime/config.h"
#include "runtime/make_engine.h"
#include "runtime/own_tools.h"
#include "runtime/planners.h"
#include "runtime/server.h"
#include "runtime/webhooks.h"
#include "runtime/witnesses.h"
#include "sandbox/launcher.h"
#include "tools/executor.h"
#include "tools/fetcher.h"
#include "tools/tool.h"

#ifndef INTERLOCK_VERSION
#define INTERLOCK_VERSION "0.0.0"
#endif

namespace {

namespace fs = std::filesystem;
using namespace interlock;  // NOLINT(google-build-using-namespace): one file, the parts of all
                            // folders

struct Flags {
  std::string config;
  bool check = false;
};

// What the configuration names for one tenant; loading it changes nothing.
struct TenantSources {
  std::shared_ptr<const tools::Registry> registry;
  std::shared_ptr<const policies::Bundle> bundle;  // null: the trust root takes none
  runtime::PolicyFolders policy_folders;
  std::vector<runtime::AgentFile> agents;
  std::vector<std::string> oddities;  // what is allowed, and is hardly meant
};

// The parts of one tenant. Each borrows those above it, so they end from the bottom up.
struct TenantParts {
  std::unique_ptr<audit::Signer> signer;
  std::unique_ptr<audit::KeyStore> keys;
  runtime::StatePtr state;
  std::unique_ptr<audit::Log> log;
  std::unique_ptr<runtime::Witnesses> witnesses;
  std::unique_ptr<runtime::Webhooks> webhooks;
  std::unique_ptr<tools::Executor> executor;  // MCP servers of a tenant are told to it alone
  std::unique_ptr<runtime::Engine> engine;
};

// Tenants end side by side: one whose anchor hangs holds up no other's last head.
struct Tenants {
  Tenants() = default;
  ~Tenants() { End(); }
  Tenants(const Tenants&) = delete;
  Tenants& operator=(const Tenants&) = delete;

  void End() {
    std::vector<std::thread> endings;
    for (auto& [id, parts] : by_id) {
      endings.emplace_back([&parts = parts] { const TenantParts ending = std::move(parts); });
    }
    for (std::thread& one : endings) one.join();
    by_id.clear();
  }

  std::map<std::string, TenantParts> by_id;
};

// What all tenants share.
struct SharedParts {
  core::SystemClock clock;
  core::SystemRandom random;
  core::PermitMint mint;  // the only one of the process (rule 6)
  std::unique_ptr<tools::Fetcher> fetcher;
  runtime::PlannerSet planners;
};

std::string ProgramFolder() {
  std::error_code error;
  return fs::read_symlink("/proc/self/exe", error).parent_path().string();
}

// With a trust root, policies that it does not take are no reason not to start: calls are denied,
// and health says why, until others are activated.
core::Status LoadPolicies(const runtime::Config& config, const runtime::TenantConfig& tenant,
                          std::vector<policies::KnownTool> known, TenantSources& sources) {
  runtime::PolicyFolders& folders = sources.policy_folders;
  folders.folder = tenant.policies;
  folders.candidate = tenant.candidate;
  folders.trust.keys = tenant.trust.keys;
  folders.trust.origin =
      tenant.trust.origin.empty() ? config.origin + "/" + tenant.id : tenant.trust.origin;
  INTERLOCK_ASSIGN_OR_RETURN(auto source,
                             policies::ReadBundleSource(tenant.policies, std::move(known)));
  auto loaded = policies::LoadSealed(std::move(source), folders.trust, nullptr);
  if (loaded.ok()) {
    sources.bundle = std::move(loaded->bundle);
    folders.seal = std::move(loaded->seal);
    return core::OkStatus();
  }
  if (folders.trust.keys.empty()) return loaded.status();
  folders.problem = core::Message(loaded.status());
  return core::OkStatus();
}

// A tool that is named and not there is never called, which looks like a model that will not.
void LookAtAgent(const runtime::AgentFile& agent, const tools::Registry& registry,
                 std::vector<std::string>& oddities) {
  for (const std::string& pattern : agent.tools) {
    const bool found = std::any_of(
        registry.tools().begin(), registry.tools().end(),
        [&](const auto& tool) { return core::GlobMatches(pattern, tool->manifest().name); });
    if (found) continue;
    const bool glob = pattern.find('*') != std::string::npos;
    oddities.push_back("agent `" + agent.name + "`: `" + pattern + "` " +
                       (glob ? "matches no tool" : "is no tool") +
                       "; see `interlock tools list` for those that there are");
  }
}

void LookAtPolicies(const std::string& folder, const TenantSources& sources,
                    std::vector<std::string>& oddities) {
  if (sources.bundle == nullptr) return;  // health says why
  const bool empty = sources.bundle->files().empty();
  if (!empty && sources.bundle->rule_count() > 0) return;
  oddities.push_back("`" + folder + "` holds " +
                     (empty ? "no policies (*.lua)" : "policies without a rule") +
                     ": every call is denied; is it the folder that `policies` should name?");
}

core::StatusOr<TenantSources> LoadSources(const runtime::Config& config,
                                          const runtime::TenantConfig& tenant) {
  TenantSources sources;
  INTERLOCK_ASSIGN_OR_RETURN(sources.agents, runtime::LoadAgents(tenant.agents));
  INTERLOCK_ASSIGN_OR_RETURN(sources.registry, tools::Registry::Load(tenant.tools, tenant.vars));
  INTERLOCK_ASSIGN_OR_RETURN(sources.registry,
                             runtime::WithOwnTools(sources.registry, sources.agents));
  std::vector<policies::KnownTool> known;
  for (const auto& tool : sources.registry->tools()) {
    const tools::Manifest& manifest = tool->manifest();
    known.push_back({manifest.name, std::string(tools::EffectName(manifest.effect)),
                     manifest.input_schema, manifest.result_schema});
  }
  INTERLOCK_RETURN_IF_ERROR(LoadPolicies(config, tenant, std::move(known), sources));
  for (const runtime::AgentFile& agent : sources.agents) {
    const auto named = [&](const runtime::PlannerConfig& p) { return p.name == agent.planner; };
    if (std::any_of(config.planners.begin(), config.planners.end(), named)) continue;
    return core::InvalidArgument("agent `" + agent.name + "` of tenant `" + tenant.id +
                                 "` names planner `" + agent.planner +
                                 "`, which the configuration does not have; add it to `planners`");
  }
  LookAtPolicies(tenant.policies, sources, sources.oddities);
  for (const runtime::AgentFile& agent : sources.agents) {
    LookAtAgent(agent, *sources.registry, sources.oddities);
  }
  return sources;
}

core::StatusOr<std::map<std::string, TenantSources>> LoadAllSources(const runtime::Config& config) {
  std::map<std::string, TenantSources> all;
  for (const runtime::TenantConfig& tenant : config.tenants) {
    INTERLOCK_ASSIGN_OR_RETURN(all[tenant.id], LoadSources(config, tenant));
  }
  return all;
}

core::StatusOr<std::unique_ptr<sandbox::Launcher>> StartSandbox(const runtime::Config& config) {
  sandbox::LauncherOptions options;
  options.program =
      config.launcher.empty() ? ProgramFolder() + "/interlock-launcher" : config.launcher;
  options.allow_none = config.sandbox.allow_none;
  options.level_cap = config.sandbox.level_cap;
  options.boxes_max = config.sandbox.boxes_max;
  options.state_file = config.data_dir + "/boxes";
  return sandbox::StartLauncher(options);
}

// To standard error or a file, without payloads: entries and contents are in the audit log, sealed.
void StartLogging(const runtime::LogConfig& config) {
  auto logger = config.file == "-" ? spdlog::stderr_color_mt("interlockd")
                                   : spdlog::basic_logger_mt("interlockd", config.file);
  logger->set_level(spdlog::level::from_str(config.level));
  logger->flush_on(spdlog::level::info);
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %^%l%$ %v", spdlog::pattern_time_type::utc);
  spdlog::set_default_logger(std::move(logger));
}

// What the machine gives to tools, and why not more: whoever asks why a tool was refused looks
// here.
void SayLevel(const sandbox::Capabilities& found, bool allow_none) {
  spdlog::info("interlockd {}, sandbox level {}", INTERLOCK_VERSION,
               sandbox::LevelName(found.level));
  if (found.level == sandbox::Level::kNone) {
    spdlog::warn(allow_none ? "sandbox: tools run without a box, as `sandbox.allow_none` says"
                            : "sandbox: no box holds here, so process tools are refused");
  }
  for (const sandbox::Feature& feature : found.features) {
    if (feature.available) continue;
    spdlog::warn("sandbox: {} missing ({}); {}", feature.name, feature.detail, feature.fix);
  }
}

// Errors: kUnavailable, naming it.
core::Status MakeFolder(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (!error) return core::OkStatus();
  return core::Unavailable("cannot make the folder `" + path + "`: " + error.message() +
                           "; mend that, or name another `data_dir`");
}

core::Status MakeShared(const runtime::Config& config, SharedParts& shared) {
  // Addresses of planners and witnesses come from the operator's configuration, never from
  // arguments (rule 25).
  tools::FetcherOptions fetcher;
  fetcher.addresses = {.allow_loopback = true, .allow_private = true, .ports = {}};
  INTERLOCK_ASSIGN_OR_RETURN(shared.fetcher, tools::MakeFetcher(std::move(fetcher)));
  INTERLOCK_ASSIGN_OR_RETURN(
      shared.planners, runtime::PlannerSet::Make(config.planners, {.fetcher = shared.fetcher.get(),
                                                                   .clock = &shared.clock,
                                                                   .random = &shared.random}));
  return core::OkStatus();
}

core::StatusOr<std::unique_ptr<runtime::Webhooks>> StartHooks(const runtime::Config& config,
                                                              const std::string& id,
                                                              const std::string& folder,
                                                              const audit::Log& log,
                                                              SharedParts& shared) {
  runtime::WebhooksOptions options;
  options.tenant = id;
  options.folder = folder;
  options.log = &log;
  options.fetcher = shared.fetcher.get();
  options.clock = &shared.clock;
  options.random = &shared.random;
  std::copy_if(config.webhooks.begin(), config.webhooks.end(), std::back_inserter(options.hooks),
               [&](const runtime::WebhookConfig& hook) { return hook.tenant == id; });
  options.report = [id](const std::string& line) { spdlog::warn("tenant {}: {}", id, line); };
  return runtime::StartWebhooks(std::move(options));
}

// Everybody whose token opens anything of the tenant.
std::shared_ptr<const std::vector<core::Principal>> PrincipalsOf(const runtime::Config& config,
                                                                 const std::string& tenant) {
  auto people = std::make_shared<std::vector<core::Principal>>();
  for (const runtime::PrincipalConfig& one : config.principals) {
    if (one.principal.tenant == tenant) people->push_back(one.principal);
  }
  return people;
}

core::StatusOr<TenantParts> OpenTenant(const runtime::Config& config, const std::string& id,
                                       TenantSources sources, sandbox::Launcher& launcher,
                                       SharedParts& shared) {
  const std::string folder = config.data_dir + "/tenants/" + id;
  INTERLOCK_RETURN_IF_ERROR(MakeFolder(folder));
  for (const std::string& oddity : sources.oddities) spdlog::warn("tenant {}: {}", id, oddity);
  TenantParts parts;
  const std::string origin = config.origin + "/" + id;
  INTERLOCK_ASSIGN_OR_RETURN(parts.signer,
                             config.audit.signer_socket.empty()
                                 ? audit::OpenFileSigner(folder, origin)
                                 : audit::ConnectSigner(config.audit.signer_socket, origin));
  INTERLOCK_ASSIGN_OR_RETURN(parts.keys, audit::KeyStore::Open(folder, &shared.random));
  parts.state = runtime::MakeState(parts.keys.get());

  audit::LogOptions log;
  log.folder = folder;
  log.tenant = id;
  log.origin = origin;
  log.clock = &shared.clock;
  log.signer = parts.signer.get();
  log.projectors = {runtime::ProjectorOf(*parts.state)};
  log.clock_stepped = runtime::ClockSteppedOf(*parts.state);
  log.checkpoint_interval_us = config.audit.checkpoint_interval_ms * 1000;
  if (!config.audit.anchor_file.empty()) log.anchor_file = config.audit.anchor_file + "." + id;
  INTERLOCK_ASSIGN_OR_RETURN(parts.log, audit::Log::Open(log));

  runtime::WitnessesOptions witnesses;
  witnesses.log = parts.log.get();
  witnesses.fetcher = shared.fetcher.get();
  witnesses.clock = &shared.clock;
  witnesses.witnesses = config.audit.witnesses;
  witnesses.interval_ms = config.audit.witness_interval_ms;
  witnesses.patience_ms = config.audit.witness_patience_ms;
  witnesses.report = [id](const std::string& line) { spdlog::error("tenant {}: {}", id, line); };
  INTERLOCK_ASSIGN_OR_RETURN(parts.witnesses, runtime::StartWitnesses(std::move(witnesses)));

  INTERLOCK_ASSIGN_OR_RETURN(parts.webhooks, StartHooks(config, id, folder, *parts.log, shared));

  tools::ExecutorOptions executor;
  executor.launcher = &launcher;
  executor.clock = &shared.clock;
  executor.fetcher = shared.fetcher.get();  // each tool under its own manifest's addresses
  const runtime::BoxShare boxes =
      runtime::DivideBoxes(config.sandbox.boxes_max, config.tenants.size(), executor.sessions_max);
  executor.sessions_max = boxes.sessions;
  parts.executor = tools::MakeExecutor(std::move(executor));

  runtime::EngineParts engine;
  engine.folder = folder;
  engine.search = config.audit.search;
  engine.retention = {config.audit.retention.conversation_months,
                      config.audit.retention.calls_months, config.audit.retention.approvals_months,
                      config.audit.retention.memory_months};
  engine.warn = [id](const std::string& line) { spdlog::warn("tenant {}: {}", id, line); };
  engine.tenant = id;
  engine.log = parts.log.get();
  engine.keys = parts.keys.get();
  engine.state = parts.state.get();
  engine.clock = &shared.clock;
  engine.random = &shared.random;
  engine.mint = &shared.mint;
  engine.executor = parts.executor.get();
  engine.registry = std::move(sources.registry);
  engine.bundle = std::move(sources.bundle);
  engine.policy_folders = std::move(sources.policy_folders);
  engine.agents = std::move(sources.agents);
  engine.principals = PrincipalsOf(config, id);
  engine.limits.calls_max = boxes.calls;
  engine.limits.lookups_max = boxes.lookups;
  engine.limits.plan_wait_us = runtime::PlanWaitMs(config.planners) * 1000;
  engine.limits.grants_per_minute = config.approvals.grants_per_minute;
  engine.limits.grant_pause_us = config.approvals.grant_pause_ms * 1000;
  engine.planners = shared.planners.by_name();
  engine.context_of = [planners = config.planners](const std::string& planner,
                                                   const std::string& model) {
    return runtime::ContextOf(planners, planner, model);
  };
  INTERLOCK_ASSIGN_OR_RETURN(parts.engine, runtime::MakeEngine(std::move(engine)));
  for (const std::string& warning : parts.log->warnings())
    spdlog::warn("tenant {}: {}", id, warning);
  spdlog::info("tenant {}: {} entries, signer {}", id, parts.log->size(),
               parts.signer->independent() ? "independent" : "not independent");
  return parts;
}

// SIGTERM and SIGINT wait for Serve; blocked before any thread, so that every thread has them
// blocked.
sigset_t BlockEndSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  return signals;
}

core::Status Serve(const runtime::Config& config, const std::map<std::string, TenantParts>& tenants,
                   const sigset_t& signals) {
  runtime::ServerOptions options;
  options.listen = config.listen;
  options.principals = config.principals;
  for (const auto& [id, parts] : tenants) {
    options.tenants[id] = {parts.engine.get(), parts.keys->Hmac("page-token", id),
                           parts.witnesses.get(), parts.webhooks.get()};
  }
  INTERLOCK_ASSIGN_OR_RETURN(const auto server, runtime::StartServer(std::move(options)));
  const std::string address_file = config.data_dir + "/interlockd.addr";
  INTERLOCK_RETURN_IF_ERROR(runtime::WriteFileAtomically(address_file, server->address() + "\n"));
  spdlog::info("serving on {}", server->address());
  int signal_number = 0;
  sigwait(&signals, &signal_number);
  spdlog::info("ending on signal {}", signal_number);
  unlink(address_file.c_str());
  server->Stop();
  return core::OkStatus();
}

// What a start would stumble over, without one: keys and secrets are read, nobody is asked.
core::Status Check(const runtime::Config& config,
                   const std::map<std::string, TenantSources>& sources) {
  for (const auto& [id, from] : sources) {
    for (const std::string& oddity : from.oddities) {
      std::fprintf(stderr, "warning: tenant %s: %s\n", id.c_str(), oddity.c_str());
    }
    if (!from.policy_folders.problem.empty()) {
      return core::InvalidArgument("policies of tenant `" + id +
                                   "`: " + from.policy_folders.problem);
    }
  }
  for (const runtime::WebhookConfig& hook : config.webhooks) {
    INTERLOCK_RETURN_IF_ERROR(runtime::CheckWebhook(hook));
  }
  SharedParts shared;
  return MakeShared(config, shared);
}

core::Status Run(const Flags& flags) {
  INTERLOCK_ASSIGN_OR_RETURN(const runtime::Config config, runtime::LoadConfig(flags.config));
  INTERLOCK_ASSIGN_OR_RETURN(auto sources, LoadAllSources(config));
  if (flags.check) {
    INTERLOCK_RETURN_IF_ERROR(Check(config, sources));
    std::printf("%s: ok\n", flags.config.c_str());
    return core::OkStatus();
  }
  umask(077);
  core::RaiseOpenFiles();
  INTERLOCK_RETURN_IF_ERROR(MakeFolder(config.data_dir));
  const sigset_t signals = BlockEndSignals();
  INTERLOCK_ASSIGN_OR_RETURN(const auto launcher, StartSandbox(config));  // before any thread
  StartLogging(config.log);
  SayLevel(launcher->capabilities(), config.sandbox.allow_none);

  SharedParts shared;
  INTERLOCK_RETURN_IF_ERROR(MakeShared(config, shared));
  Tenants tenants;
  for (auto& [id, from] : sources) {
    INTERLOCK_ASSIGN_OR_RETURN(tenants.by_id[id],
                               OpenTenant(config, id, std::move(from), *launcher, shared));
  }
  const core::Status served = Serve(config, tenants.by_id, signals);
  tenants.End();  // engines wait for outcomes, witnesses and logs have a last checkpoint signed
  if (served.ok()) spdlog::info("ended");
  return served;
}

}  // namespace

int main(int argc, char** argv) {
  Flags flags;
  CLI::App app("Interlock: an agent runtime whose every tool call passes one gate.", "interlockd");
  app.set_version_flag("--version", INTERLOCK_VERSION);
  app.add_option("--config", flags.config, "Configuration (YAML)")->required();
  app.add_flag(
      "--check", flags.check,
      "Check configuration, policies, tools, agents, planners and webhooks; start nothing");
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& asked) {  // --help, --version
    return app.exit(asked);
  } catch (const CLI::ParseError& error) {
    std::fprintf(stderr, "interlockd: %s; see `interlockd --help`\n", error.what());
    return 2;
  }
  try {
    const core::Status status = Run(flags);
    if (status.ok()) return 0;
    std::fprintf(stderr, "interlockd: %s\n", std::string(core::Message(status)).c_str());
    const bool wrong = status.code() == core::StatusCode::kInvalidArgument ||
                       status.code() == core::StatusCode::kNotFound;
    return wrong ? 1 : 2;
  } catch (const std::exception& error) {  // the border: file system and logging may throw
    std::fprintf(stderr, "interlockd: %s\n", error.what());
    return 2;
  }
}
