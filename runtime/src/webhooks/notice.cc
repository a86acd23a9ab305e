#include "webhooks/notice.h"

#include <algorithm>
#include <cstdio>
#include <ctime>

#include "core/digest.h"
#include "core/glob.h"
#include "core/json.h"

namespace interlock::runtime {
namespace {

constexpr std::string_view kSecretPrefix = "whsec_";
constexpr std::size_t kSecretBytesMin = 24;
constexpr std::size_t kSecretBytesMax = 64;
constexpr int kDoublingsMax = 20;

// Fields of a body that say no more than ids, names of rules and tools, numbers and codes do. What
// is sealed is an object and never among them.
constexpr const char* kDetails[] = {
    "agent",       "approvers",  "by",  "code",    "complete", "count",    "editors",
    "escalate_to", "expires_us", "for", "hasty",   "missing",  "quorum",   "rule",
    "stage",       "stages",     "to",  "told_by", "tool",     "until_us", "why"};

std::string UtcMinutes(std::int64_t time_us) {
  const std::time_t seconds = time_us / 1'000'000;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[32];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%d %H:%M UTC", &parts)};
}

void Replace(std::string& text, std::string_view place, const std::string& value) {
  for (std::size_t at = text.find(place); at != std::string::npos; at = text.find(place, at)) {
    text.replace(at, place.size(), value);
    at += value.size();
  }
}

// False: there is such a place, and nothing to put there.
bool Fill(std::string& text, std::string_view place, const std::string& value) {
  if (text.find(place) == std::string::npos) return true;
  if (value.empty()) return false;
  Replace(text, place, value);
  return true;
}

std::string Text(const core::Json& body, const char* field) {
  const auto at = body.find(field);
  return at != body.end() && at->is_string() ? at->get<std::string>() : "";
}

// Empty where the entry does not have what the link needs: one to no approval leads nowhere.
std::string LinkOf(const WebhookConfig& hook, std::string_view tenant, const audit::Entry& entry,
                   const core::Json& body) {
  std::string link = hook.link;
  const bool whole = Fill(link, "{approval}", Text(body, "approval")) &&
                     Fill(link, "{call}", Text(body, "call")) && Fill(link, "{run}", entry.run) &&
                     Fill(link, "{tenant}", std::string(tenant));
  return whole ? link : "";
}

// The same entry hands a right on and takes it back.
std::string Handed(const core::Json& body) {
  const std::string what =
      Text(body, "approval").empty() ? "What somebody may approve" : "An approval";
  const bool ended = body.value("until_us", std::int64_t{0}) == 0;
  return what + (ended ? " was taken back from a deputy" : " was handed to a deputy");
}

// One yes of several says what is missing: else whoever is asked next takes it for settled.
std::string Granted(const core::Json& body, std::string line) {
  if (body.value("complete", true)) return line;
  const std::int64_t stage = body.value("stage", std::int64_t{0});
  const std::string in_stage = stage == 0 ? "" : " in stage " + std::to_string(stage);
  if (body.value("stage_complete", false)) return line + in_stage + ", the next is asked";
  const std::int64_t missing = body.value("missing", std::int64_t{1});
  line.replace(line.rfind(" was granted"), std::string::npos, " has a yes");
  return line + in_stage + " and needs " + std::to_string(missing) + " more";
}

// Where to read on: the link, or the command that shows it. Empty: an entry of no run.
std::string WhereOf(const audit::Entry& entry, const core::Json& body, const std::string& link) {
  if (!link.empty()) return link;
  if (const std::string approval = Text(body, "approval"); !approval.empty()) {
    return "`interlock approvals show " + approval + "`";
  }
  return entry.run.empty() ? "" : "`interlock runs show " + entry.run + "`";
}

// "An approval of refunds.create was requested (refund/large), until 2026-11-22 14:00 UTC: LINK"
std::string ChatLine(const WebhookConfig& hook, const audit::Entry& entry, const core::Json& body,
                     const std::string& link) {
  constexpr std::string_view kApproval = "approval.";
  const std::string tool = hook.details ? Text(body, "tool") : "";
  std::string line = entry.kind;
  Replace(line, ".", " ");
  if (entry.kind.starts_with(kApproval)) {
    line = "An approval" + (tool.empty() ? "" : " of " + tool) + " was " +
           entry.kind.substr(kApproval.size());
  }
  if (entry.kind == "approval.delegated") line = Handed(body);
  if (entry.kind == "approval.reminded") {
    line = "An approval still waits (reminder " + std::to_string(body.value("count", 0)) + ")";
  }
  if (entry.kind == "approval.granted") line = Granted(body, std::move(line));
  if (entry.kind == "approval.requested") {
    if (const std::string rule = Text(body, "rule"); hook.details && !rule.empty()) {
      line += " (" + rule + ")";
    }
    line += ", until " + UtcMinutes(body.value("expires_us", std::int64_t{0}));
  }
  const std::string where = WhereOf(entry, body, link);
  return line + (where.empty() ? "." : ": " + where);
}

core::Json JsonBody(const WebhookConfig& hook, std::string_view tenant, const audit::Entry& entry,
                    const core::Json& body, const std::string& link) {
  core::Json data = {{"index", entry.index}, {"tenant", tenant}};
  if (!entry.run.empty()) data["run"] = entry.run;
  for (const char* id : {"approval", "call"}) {
    if (const std::string value = Text(body, id); !value.empty()) data[id] = value;
  }
  if (!link.empty()) data["link"] = link;
  for (const char* name : kDetails) {
    const auto at = body.find(name);
    if (hook.details && at != body.end() && !at->is_object()) data[name] = *at;
  }
  return {{"data", std::move(data)}, {"time_us", entry.time_us}, {"type", entry.kind}};
}

}  // namespace

std::optional<Notice> NoticeOf(const WebhookConfig& hook, std::string_view tenant,
                               const audit::Entry& entry) {
  const bool wanted =
      std::any_of(hook.events.begin(), hook.events.end(),
                  [&](const std::string& glob) { return core::GlobMatches(glob, entry.kind); });
  if (!wanted) return std::nullopt;
  const auto json = core::ParseJson(entry.bytes, core::kPayloadLimits);
  const core::Json body = json.ok() ? json->value("body", core::Json::object()) : core::Json();
  if (!body.is_object()) return std::nullopt;
  const std::string link = LinkOf(hook, tenant, entry, body);
  const core::Json sent = hook.body == WebhookBody::kChat
                              ? core::Json{{"text", ChatLine(hook, entry, body, link)}}
                              : JsonBody(hook, tenant, entry, body, link);
  return Notice{.id = core::Hex(entry.leaf_hash), .body = core::CanonicalJson(sent)};
}

core::StatusOr<std::string> SecretBytes(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.remove_suffix(1);
  const bool prefixed = text.starts_with(kSecretPrefix);
  auto bytes = core::BytesFromBase64(prefixed ? text.substr(kSecretPrefix.size()) : "?");
  const bool fits =
      bytes.ok() && bytes->size() >= kSecretBytesMin && bytes->size() <= kSecretBytesMax;
  if (fits) return bytes;
  return core::InvalidArgument(
      "a webhook's secret is one line, `whsec_` and the base64 of 24 to 64 random bytes; make one "
      "with `echo whsec_$(openssl rand -base64 32)`");
}

Headers SignedHeaders(std::string_view secret, std::int64_t time_s, const Notice& notice) {
  const std::string time = std::to_string(time_s);
  const core::Digest mac = core::HmacSha256(secret, notice.id + "." + time + "." + notice.body);
  return {{"content-type", "application/json"},
          {"webhook-id", notice.id},
          {"webhook-signature", "v1," + core::Base64(core::AsBytes(mac))},
          {"webhook-timestamp", time}};
}

std::int64_t BackoffMs(std::int64_t first_ms, std::int64_t most_ms, int failures,
                       std::uint32_t random) {
  const int doublings = std::clamp(failures - 1, 0, kDoublingsMax);
  const std::int64_t whole = std::min(first_ms << doublings, most_ms);
  return whole / 2 + static_cast<std::int64_t>(random) % (whole / 2 + 1);
}

}  // namespace interlock::runtime
