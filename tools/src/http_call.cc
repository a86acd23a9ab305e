#include "http_call.h"

#include <algorithm>
#include <fstream>
#include <iterator>

#include "core/template.h"
#include "outcome.h"
#include "text.h"

namespace interlock::tools {
namespace {

using core::Json;

constexpr std::size_t kHeaderFileBytesMax = 8192;

// Text of the scope's scalars as URL components; what is not one may not stand in a URL.
core::StatusOr<std::string> FillUrl(const std::string& text, const Json& scope) {
  INTERLOCK_ASSIGN_OR_RETURN(const core::Template parsed,
                             core::Template::Parse(text, {"args", "session", "call"}));
  Json encoded = Json::object();
  for (const std::string& path : parsed.paths()) {
    const Json* value = core::FindPath(scope, path);
    const bool scalar = value != nullptr &&
                        (value->is_string() || value->is_number_integer() || value->is_boolean());
    if (!scalar) {
      return core::InvalidArgument("`" + OneLine(path, 80) +
                                   "` must be text, an integer or a bool to stand in the url");
    }
    const std::string plain =
        value->is_string() ? value->get<std::string>() : core::CanonicalJson(*value);
    // `..` and `.` are not changed by encoding, and would name another resource.
    if (plain.empty() || plain == "." || plain == "..") {
      return core::InvalidArgument("`" + OneLine(path, 80) + "` cannot stand in the url");
    }
    Json* at = &encoded;
    std::string_view rest = path;
    for (std::size_t dot = 0; (dot = rest.find('.')) != std::string_view::npos;) {
      at = &(*at)[std::string(rest.substr(0, dot))];
      rest.remove_prefix(dot + 1);
    }
    (*at)[std::string(rest)] = PercentEncode(plain);
  }
  return parsed.ExpandRaw(encoded);
}

// The first line; tokens are kept in files, so that no manifest, digest or entry holds them.
core::StatusOr<std::string> ReadHeader(const std::string& name, const std::string& path) {
  std::ifstream file(path);
  std::string line;
  if (!file || !std::getline(file, line) || line.empty() || line.size() > kHeaderFileBytesMax) {
    return core::InvalidArgument("header `" + name + "`: cannot read one line of `" + path + "`");
  }
  return line;
}

core::StatusOr<AddressPolicy> PolicyOf(const HttpSpec& http, const std::string& url) {
  AddressPolicy policy;
  INTERLOCK_ASSIGN_OR_RETURN(const Url first, Url::Parse(url));
  policy.ports = {first.port};
  for (const std::string& origin : http.redirects) {
    INTERLOCK_ASSIGN_OR_RETURN(const Url target, Url::Parse(origin));
    policy.ports.push_back(target.port);
  }
  for (const std::string& text : http.networks) {
    INTERLOCK_ASSIGN_OR_RETURN(const sandbox::Network network, sandbox::Network::Parse(text));
    policy.networks.push_back(network);
  }
  return policy;
}

// What a failed request means. Nothing sent: nothing happened. Sent and no reply: who knows.
Outcome Failed(const Tool& tool, const Followed& followed) {
  const core::Status& status = followed.reply.status();
  const bool reads = tool.manifest().effect == Effect::kRead;
  Outcome outcome;
  outcome.error = OneLine(core::Message(status));
  const bool refused = status.code() == core::StatusCode::kPermissionDenied;
  if (followed.refused_redirect) {
    // The first place answered, and may have done what was asked before it pointed elsewhere.
    outcome.kind = reads ? OutcomeKind::kFailed : OutcomeKind::kUnknown;
    outcome.error_code = "REFUSED_REDIRECT";
  } else if (!followed.sent) {
    outcome.kind = OutcomeKind::kNotStarted;
    outcome.error_code = refused || status.code() == core::StatusCode::kInvalidArgument ? "REFUSED"
                         : status.code() == core::StatusCode::kDeadlineExceeded         ? "DEADLINE"
                                                                                        : "SETUP";
  } else if (status.code() == core::StatusCode::kDeadlineExceeded) {
    outcome.kind = OutcomeKind::kTimeout;
    outcome.error_code = "TIMEOUT";
  } else if (status.code() == core::StatusCode::kResourceExhausted) {
    outcome.kind = OutcomeKind::kViolation;
    outcome.error_code = "OUTPUT";
  } else {
    outcome.kind = reads ? OutcomeKind::kFailed : OutcomeKind::kUnknown;
    outcome.error_code = status.code() == core::StatusCode::kCancelled ? "CANCELLED"
                         : reads                                       ? "TOOL_ERROR"
                                                                       : "LOST";
  }
  return outcome;
}

}  // namespace

namespace {

core::StatusOr<FetchRequest> BaseRequest(const CallSpec& call, std::int64_t timeout_ms) {
  const Manifest& manifest = call.tool->manifest();
  const HttpSpec& http = *manifest.http;
  const Json scope = {
      {"args", call.args.value}, {"session", call.session}, {"call", {{"id", call.call_id}}}};
  FetchRequest request;
  INTERLOCK_ASSIGN_OR_RETURN(request.url, FillUrl(http.url, scope));
  INTERLOCK_ASSIGN_OR_RETURN(request.addresses, PolicyOf(http, http.url));
  request.method = http.method;
  request.timeout_ms = timeout_ms;
  request.connect_timeout_ms = std::min(request.connect_timeout_ms, request.timeout_ms);
  request.body_bytes_max = static_cast<std::size_t>(manifest.limits.stdout_bytes);
  request.decompress = true;
  request.headers = http.headers;
  for (const auto& [name, path] : http.header_files) {
    INTERLOCK_ASSIGN_OR_RETURN(std::string value, ReadHeader(name, path));
    request.headers.emplace_back(name, std::move(value));
  }
  return request;
}

}  // namespace

core::StatusOr<HttpCall> MakeHttpCall(const CallSpec& call, std::int64_t wall_ms_max) {
  const Manifest& manifest = call.tool->manifest();
  const HttpSpec& http = *manifest.http;
  HttpCall made;
  FetchRequest& request = made.request;
  INTERLOCK_ASSIGN_OR_RETURN(request,
                             BaseRequest(call, std::min(manifest.limits.wall_ms, wall_ms_max)));
  request.headers.emplace_back("Accept", "application/json");
  request.headers.emplace_back("Idempotency-Key", call.idempotency_key);
  if (http.sends_args) {
    request.body = call.args.text;
    request.headers.emplace_back("Content-Type", "application/json");
  }
  for (const std::string& origin : http.redirects) {
    INTERLOCK_ASSIGN_OR_RETURN(const Url target, Url::Parse(origin));
    made.origins.push_back(target.Origin());
  }
  return made;
}

core::StatusOr<FetchRequest> MakeMcpRequest(const CallSpec& call) {
  INTERLOCK_ASSIGN_OR_RETURN(FetchRequest request,
                             BaseRequest(call, call.tool->manifest().limits.wall_ms));
  INTERLOCK_RETURN_IF_ERROR(Url::Parse(request.url).status());
  return request;
}

Outcome OutcomeOfHttp(const Tool& tool, Followed followed) {
  if (!followed.reply.ok()) return Failed(tool, followed);
  Outcome outcome = OutcomeOfReply(tool, followed.reply->status, followed.reply->body);
  // Who sent us on may have done what was asked; what the next one reports says nothing of it.
  const bool was_sent_on = followed.hops.size() > 1;
  if (was_sent_on && outcome.reported_failure && tool.manifest().effect != Effect::kRead) {
    outcome.kind = OutcomeKind::kUnknown;
    outcome.reported_failure = false;
  }
  return outcome;
}

}  // namespace interlock::tools
