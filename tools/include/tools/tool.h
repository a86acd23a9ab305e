// What a tool is: a manifest (YAML), its compiled schemas, and its pinned digest.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/digest.h"
#include "core/json.h"
#include "core/status.h"
#include "core/template.h"
#include "sandbox/artifacts.h"
#include "sandbox/launcher.h"

namespace interlock::tools {

enum class Effect { kRead, kWrite, kMoney, kEgress };
std::string_view EffectName(Effect effect);  // "read"
core::StatusOr<Effect> ParseEffect(std::string_view name);

enum class ResultTrust { kUntrusted, kTrusted };

// What is known after a failure: may the effect have happened?
enum class FailureMeaning {
  kUnknown,   // default: any failure after start leaves the effect unknown for write, money, egress
  kNoEffect,  // `failure: no_effect`: a reported failure (exit with an error result) means nothing
              // happened
};

enum class CancelMeaning { kNever, kSafe };  // rule 11

struct Idempotency {
  bool supported = false;      // the tool takes an idempotency key and answers a repeat alike
  std::int64_t window_ms = 0;  // after it: never a retry
};

struct Reconcile {
  std::string tool;  // a tool of effect `read`
  core::Json args;   // values may hold templates over {args, call}
  std::int64_t settle_after_ms = 0;
};

// How a successful call is taken back after its run failed or was cancelled.
struct Compensate {
  std::string tool;  // not of effect `read`
  core::Json args;   // values may hold templates over {args, result, session, call}
};

// How much money a call moved, for settlement: where the result says so.
struct MoneyResult {
  std::string amount_path;    // dotted path in the result ("refund.amount")
  std::string currency_path;  // exactly one of currency_path and currency_code
  std::string currency_code;
  bool minor_units = false;  // true: the amount is an integer of minor units; else a decimal
};

// Files that a call leaves and that the log keeps, sealed.
struct ArtifactSpec {
  std::string folder;              // on the host, in a writable mount; may hold {session.x}
  std::vector<std::string> files;  // below it; `plots/`: each plain file of that folder
  sandbox::ArtifactLimits limits;
};

struct ProcessSpec {
  std::vector<std::string> command;  // argv; args go as one JSON object on stdin
  sandbox::Profile profile = sandbox::Profile::kStatic;
  sandbox::Level level_min = sandbox::Level::kFull;
  std::vector<sandbox::Mount>
      mounts;  // host_path may hold {session.x}: one path component, checked
  std::vector<std::pair<std::string, std::string>> env;
  std::string work_dir = "/";
  // Places that it may reach through the broker, and networks among them that are not public.
  std::vector<sandbox::Destination> connect;
  std::vector<std::string> networks;
  std::optional<ArtifactSpec> artifacts;
};

// The process, or what answers at `http`, is an MCP server (Model Context Protocol, 2024-11-05 to
// 2025-11-25) and this is one of its tools. One box or session serves all such calls of a run.
struct McpSpec {
  std::string tool;                   // its name at the server
  core::Json pinned;                  // the array `tools` that the server must list, sorted by name
  std::int64_t session_ms = 600'000;  // the session's life; a later call begins another
};

// A request to one place that the manifest names; no part of the place comes from arguments.
struct HttpSpec {
  std::string method = "GET";
  // "https://host[:port]/path/{args.id}?q={session.x}": placeholders behind the host only, each
  // filled in as one percent-encoded component.
  std::string url;
  std::vector<std::pair<std::string, std::string>> headers;
  std::vector<std::pair<std::string, std::string>> header_files;  // name, file with its value
  bool sends_args = false;                                        // the arguments are the body
  std::vector<std::string> redirects;  // origins that a redirect may lead to, beside the first
  std::vector<std::string> networks;   // that may be reached though they are not public
};

// Where its requests may go, "https://host:port": its own place first, then its redirects.
// Precondition: of a manifest that loaded.
std::vector<std::string> HttpTargets(const HttpSpec& http);

struct Manifest {
  std::string name;  // "orders.get": [a-z0-9_]+(\.[a-z0-9_]+)*
  std::string description;
  core::Json input_schema;   // JSON Schema of an object
  core::Json result_schema;  // null: any JSON
  Effect effect = Effect::kWrite;
  std::string effect_key;          // template; mandatory for money (rule 8)
  std::vector<std::string> locks;  // templates (rule 3)
  Idempotency idempotency;
  std::optional<Reconcile> reconcile;
  FailureMeaning failure = FailureMeaning::kUnknown;
  CancelMeaning cancel = CancelMeaning::kNever;
  ResultTrust trust = ResultTrust::kUntrusted;
  std::optional<Compensate> compensate;
  std::optional<MoneyResult> money;
  sandbox::Limits limits;
  // Exactly one of process, http, builtin.
  std::optional<ProcessSpec> process;
  std::optional<HttpSpec> http;
  std::optional<McpSpec> mcp;  // beside `process` or `http`
  std::string builtin;         // name of a compiled-in builtin
  std::string source;          // "tools/refund.yaml:1", for messages; not part of the digest
};

// Limits of a manifest, beyond which loading fails.
inline constexpr std::size_t kToolNameBytesMax = 64;
inline constexpr std::size_t kDescriptionBytesMax = 4096;
inline constexpr std::size_t kLocksMax = 16;
inline constexpr std::size_t kMountsMax = 32;
inline constexpr std::size_t kEnvMax = 64;
inline constexpr std::size_t kCommandWordsMax = 64;
inline constexpr std::size_t kToolsMax = 1024;
inline constexpr std::size_t kArtifactsMax = 32;                // files of one call
inline constexpr std::int64_t kArtifactBytesDefault = 1 << 20;  // of all of them together
inline constexpr std::size_t kMcpPinnedBytesMax = 1 << 20;      // of a server's list of tools
inline constexpr std::int64_t kArtifactBytesMax = std::int64_t{8} << 20;

// Arguments that passed the schema, in their one canonical byte form.
struct CanonicalArgs {
  core::Json value;
  std::string text;  // RFC 8785
  core::Digest digest{};
};

// Immutable; thread-safe.
class Tool {
 public:
  // Errors: kInvalidArgument with file, line and what to do.
  static core::StatusOr<std::shared_ptr<const Tool>> FromManifest(Manifest manifest);
  virtual ~Tool() = default;

  virtual const Manifest& manifest() const = 0;
  virtual const core::Digest& digest() const = 0;  // of the canonical manifest
  virtual const std::string& canonical_manifest() const = 0;
  virtual const core::Digest& limits_digest() const = 0;  // of limits, profile, mounts, command

  // Strict parse (rule 17) and schema check. Errors: kInvalidArgument, one line naming the JSON
  // pointer.
  virtual core::StatusOr<CanonicalArgs> ValidateArgs(std::string_view args_text) const = 0;
  virtual core::StatusOr<CanonicalArgs> ValidateArgs(const core::Json& args) const = 0;
  virtual core::Status ValidateResult(const core::Json& result) const = 0;

  // Keys over {args, session, call, tenant}. Empty optional: the manifest names none.
  virtual core::StatusOr<std::optional<std::string>> EffectKey(const core::Json& scope) const = 0;
  virtual core::StatusOr<std::vector<std::string>> Locks(
      const core::Json& scope) const = 0;  // sorted
};

// All tools of a tenant. Immutable; thread-safe.
class Registry {
 public:
  // Reads every *.yaml of `folder` (one or more documents a file), sorted. Relative command and
  // mount paths are relative to the manifest's folder. `vars` replaces `${name}` in command, mount
  // and env values. Errors name file and line: unknown key, duplicate name, bad schema, missing
  // effect_key, reconcile to a non-read tool.
  static core::StatusOr<std::shared_ptr<const Registry>> Load(
      const std::string& folder, const std::vector<std::pair<std::string, std::string>>& vars);
  static core::StatusOr<std::shared_ptr<const Registry>> Of(
      std::vector<std::shared_ptr<const Tool>> tools);
  virtual ~Registry() = default;

  virtual std::shared_ptr<const Tool> Find(std::string_view name) const = 0;  // nullptr when absent
  virtual const std::vector<std::shared_ptr<const Tool>>& tools() const = 0;  // by name
};

}  // namespace interlock::tools
