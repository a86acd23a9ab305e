// One sealed payload against the commitment object that names it.
#pragma once

#include "audit/keys.h"
#include "commitments.h"
#include "core/status.h"

namespace interlock::audit {

// Opens it; key, commitment, length and each committed field must be the named ones. Errors:
// kNotFound: keys.db does not have the key; kDataLoss: it is something else, or does not open.
core::Status CheckOpens(KeyStore& keys, const SealedPayload& payload, const NamedCommitment& named);

// Content that is shown whole falls into just the fields that were committed to one by one: or a
// field shown elsewhere could be another than the one in here.
bool SplitHolds(const NamedCommitment& commitment, std::string_view content, std::string_view salt);

}  // namespace interlock::audit
