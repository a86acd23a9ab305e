// What a webhook is sent. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "audit/log.h"
#include "core/status.h"
#include "runtime/config.h"

namespace interlock::runtime {

struct Notice {
  std::string id;    // the same however often it is sent: the entry's leaf hash
  std::string body;  // JSON
};

// Nothing for an entry that the hook does not ask for. Only of the entry's own words, which hold no
// content (rule 20); with `details` the plain ones of its body too.
std::optional<Notice> NoticeOf(const WebhookConfig& hook, std::string_view tenant,
                               const audit::Entry& entry);

// "whsec_" and the base64 of 24 to 64 bytes, as the Standard Webhooks libraries read it. Gives the
// bytes. Errors: kInvalidArgument, without the secret.
core::StatusOr<std::string> SecretBytes(std::string_view text);

using Headers = std::vector<std::pair<std::string, std::string>>;
// webhook-id, webhook-timestamp and webhook-signature (Standard Webhooks 1.0.0: HMAC-SHA-256 over
// "<id>.<timestamp>.<body>", base64, behind "v1,").
Headers SignedHeaders(std::string_view secret, std::int64_t time_s, const Notice& notice);

// How long to wait after so many failures in a row: doubled up to the most, then between a half and
// the whole of it. `random` is any number.
std::int64_t BackoffMs(std::int64_t first_ms, std::int64_t most_ms, int failures,
                       std::uint32_t random);

}  // namespace interlock::runtime
