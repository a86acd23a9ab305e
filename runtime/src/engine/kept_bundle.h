// Bundles that were in force once: the log keeps their files by digest (rule 22).
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "audit/log.h"
#include "core/digest.h"
#include "policies/bundle.h"
#include "tools/tool.h"

namespace interlock::runtime {

// Of "sha256:…", as entries cite it. Errors: kInvalidArgument.
core::StatusOr<core::Digest> DigestOfBundle(std::string_view id);

// The tools that the rules of a bundle may name.
std::vector<policies::KnownTool> KnownTools(const tools::Registry& registry);

// The bundle of that manifest. Errors: kFailedPrecondition: it cannot be loaded with these tools.
core::StatusOr<std::shared_ptr<const policies::Bundle>> KeptBundle(const audit::Log& log,
                                                                   const core::Digest& id,
                                                                   const tools::Registry& registry);

}  // namespace interlock::runtime
