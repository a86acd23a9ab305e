// Long results (ADR 41): an agent that names the tool `read_result` is shown their first part and a
// name, and reads the rest in parts. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/json.h"
#include "core/status.h"
#include "engine/provenance.h"
#include "runtime/agent.h"

namespace interlock::runtime {

// Of a long result, at first.
inline constexpr std::size_t kPreviewBytesMax = 2'048;

// Whether the planner of this agent (may be null) is shown the first part of `shown` alone.
bool IsLong(const AgentFile* agent, const core::Json& shown);

// The first bytes of a text, at most `bytes_max`, cut between characters, and how many are left
// out.
std::string CutText(const std::string& text, std::size_t bytes_max);

// The first part of a value, about `bytes_max` bytes of it: leading items and members, texts cut
// between characters. What is left out is said in its place.
core::Json CutJson(const core::Json& value, std::size_t bytes_max);

// What the planner reads of the long result of this number: its name, size, shape and first part.
std::string ObservationLong(std::size_t number, const core::Json& value);

// What `read_result` gives for arguments that fit its schema: at most about `bytes_max` bytes of
// the value. Errors: kInvalidArgument, one line for the planner.
core::StatusOr<core::Json> ReadPart(const Provenance& reads, const core::Json& args,
                                    std::size_t bytes_max);

// The part that a call of `read_result` with these arguments reads. Errors: as above.
core::StatusOr<HeldPart> PartOfCall(const Provenance& reads, const core::Json& args);

}  // namespace interlock::runtime
