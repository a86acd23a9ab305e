// The chat-completions format: what we send, and what a reply means. Replies are hostile: strict
// JSON, capped, and nothing is guessed. Field names: OpenAI API reference, "Create chat
// completion".
#pragma once

#include <string>
#include <string_view>

#include "core/status.h"
#include "runtime/planner.h"

namespace interlock::runtime {

inline constexpr std::size_t kPlannerCallIdBytesMax = 256;
inline constexpr std::size_t kPlannerToolNameBytesMax = 256;

struct WireOptions {
  std::string_view model;
  double temperature = 0.0;
  bool send_temperature = false;
};

std::string ChatRequestBody(const PlanRequest& request, const WireOptions& options);

// Errors: kInvalidArgument saying what about the reply makes no sense.
core::StatusOr<Plan> PlanOfChatReply(std::string_view body, const PlanRequest& request);

// The machine-readable word of an error reply ("rate_limit_exceeded"), or nothing: its prose may
// repeat secrets and is never shown.
std::string ErrorWord(std::string_view body);

}  // namespace interlock::runtime
