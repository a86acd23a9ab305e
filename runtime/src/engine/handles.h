// Results by name (rule 16): `{"$handle":"r3.items[0].email"}` in arguments stands for that part of
// the run's third result, with the very label of that part. Only an object of this one member is
// one; a text that looks like it is a text.
#pragma once

#include <string>
#include <string_view>

#include "core/json.h"
#include "core/status.h"
#include "engine/provenance.h"

namespace interlock::runtime {

inline constexpr std::string_view kHandleKey = "$handle";
inline constexpr std::size_t kHandlesMax = 64;  // of one call

// What the planner is told of an untrusted result or failure that it is not shown.
inline constexpr const char* kNamedOnly = R"({"ok":true})";
inline constexpr const char* kUnshownFailure = "what it said is not shown";
inline constexpr const char* kUnshownCode = "TOOL_FAILED";

// The words of a failure as rules changed them; empty when they left none.
std::string FailureMessage(const core::Json& changed);

// Puts what handles name in their place; `labels` gets one for each. False: there was none, and
// nothing has changed. Errors: kInvalidArgument, one line for the planner.
core::StatusOr<bool> ExpandHandles(const Provenance& reads, core::Json& args, HandleLabels& labels);

// The shape of a value without its texts: kinds, lengths, and names of members that are short and
// plain ("text of 17 bytes").
core::Json OutlineOf(const core::Json& value);

}  // namespace interlock::runtime
