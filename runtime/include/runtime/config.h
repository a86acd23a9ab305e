// The daemon's configuration (YAML). Strict: an unknown key, a wrong type, a key given twice or a
// missing file is one line with file and line, and what to do.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/principal.h"
#include "core/status.h"
#include "runtime/planners.h"
#include "sandbox/launcher.h"

namespace interlock::runtime {

inline constexpr std::size_t kConfigBytesMax = 1 << 20;

struct SandboxConfig {
  bool allow_none = false;
  int boxes_max = 64;  // 1..512, for all tenants
  sandbox::Level level_cap = sandbox::Level::kFull;
};

struct LogConfig {
  std::string level = "info";  // trace debug info warn error
  std::string file = "-";      // "-": standard error
};

// How long sealed content is kept. A month is a twelfth of a year.
struct RetentionConfig {
  std::int64_t conversation_months = 13;  // messages, plans, answers
  std::int64_t calls_months = 13;         // arguments, results, facts, decisions
  std::int64_t approvals_months = 13;     // what approvers were shown and said
  std::int64_t memory_months = 13;        // notes of agents, from when each was written
};

// Who cosigns heads (c2sp.org/tlog-witness).
struct WitnessConfig {
  std::string url;   // http(s)://host…, without a slash at its end; add-checkpoint lies below it
  std::string vkey;  // its verifier key
};
inline constexpr std::size_t kWitnessesMax = 16;

struct AuditConfig {
  std::string signer_socket;  // of `interlock audit signer`; empty: a signer in the daemon
  std::string anchor_file;    // absolute; heads are also appended here; empty: nowhere
  std::int64_t checkpoint_interval_ms = 60'000;  // 1,000..3,600,000
  std::vector<WitnessConfig> witnesses;
  std::int64_t witness_interval_ms = 1'000;  // 10..3,600,000; a witness is asked at most this often
  std::int64_t witness_patience_ms = 300'000;  // 1,000..; health warns of one away for longer
  bool search = true;  // full text over arguments and results: words in the clear in search.db
  RetentionConfig retention;
};

// Who may sign a tenant's policies. With keys a seal is mandatory.
struct TrustConfig {
  std::vector<std::string> keys;  // verifier keys, "name+<8 hex>+base64"
  std::string origin;             // that the seal must name; empty: "<origin>/<tenant>"
};
inline constexpr std::size_t kTrustKeysMax = 16;

struct TenantConfig {
  std::string id;         // [a-z0-9-]{1,63}, starts with a letter
  std::string policies;   // folder, absolute
  std::string candidate;  // folder of policies that may be watched beside them; empty: none
  TrustConfig trust;
  std::string tools;
  std::string agents;
  std::vector<std::pair<std::string, std::string>> vars;  // ${name} in manifests; sorted by name
};

struct PrincipalConfig {
  core::Principal principal;
  std::string token_sha256;  // 64 lower-case hex characters
};

enum class WebhookBody { kJson, kChat };

// Who is told of entries of a tenant's log (runtime/webhooks.h).
struct WebhookConfig {
  std::string name;  // of its file: plain, each once a tenant
  std::string tenant;
  std::string url;          // https://…, or http://… with allow_private
  std::string secret_file;  // absolute
  std::vector<std::string> events{"approval.*", "call.edited"};  // kinds of entries, with globs
  WebhookBody body = WebhookBody::kJson;
  std::string link;            // for people; {approval}, {call}, {run}, {tenant} are filled in
  bool details = false;        // also tool, rule, approvers, codes: never content
  bool allow_private = false;  // addresses of this machine and of private networks
  std::int64_t give_up_ms = 86'400'000;  // 1,000..: a notice is tried for this long
};
inline constexpr std::size_t kWebhooksMax = 16;

// People who grant faster than they can read.
struct ApprovalsConfig {
  int grants_per_minute = 12;       // 1..1,000; whoever grants more is told
  std::int64_t grant_pause_ms = 0;  // 0..60,000; and then waits so long between two
};

struct Config {
  std::string file;                        // as given
  std::string data_dir;                    // absolute; made by the daemon
  std::string listen = "127.0.0.1:7443";   // host:port; port 0: a free one
  std::string origin = "interlock.local";  // of checkpoints: "<origin>/<tenant>"
  std::string launcher;                    // absolute; empty: beside the daemon
  SandboxConfig sandbox;
  LogConfig log;
  AuditConfig audit;
  ApprovalsConfig approvals;
  std::vector<TenantConfig> tenants;  // at least one
  std::vector<PrincipalConfig> principals;
  std::vector<PlannerConfig> planners;
  std::vector<WebhookConfig> webhooks;
};

// Parses text; relative paths become absolute against `folder`. Does not touch the file system.
// Errors: kInvalidArgument, "file:line: what; what to do".
core::StatusOr<Config> ParseConfig(std::string_view file, std::string_view folder,
                                   std::string_view text);

// Reads and parses `file`, then checks that the folders it names exist.
// Errors: kNotFound when it cannot be read; kInvalidArgument as above.
core::StatusOr<Config> LoadConfig(const std::string& file);

}  // namespace interlock::runtime
