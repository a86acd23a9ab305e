// What OpenAI's two dialects write alike.
#pragma once

#include <string>
#include <string_view>

#include "codec.h"
#include "conversation.h"
#include "tools/tool.h"

namespace interlock::runtime {

// How a dialect writes the parts of its request; each appends JSON to `out`.
struct OpenAiParts {
  void (*options)(const PlanRequest& request, const WireOptions& options, std::string& out);
  std::string_view messages;  // the member that holds the conversation
  void (*message)(const ChatMessage& message, const WireOptions& options, WireIds& ids,
                  std::string& out);
  void (*tool)(const tools::Manifest& manifest, std::string& out);
};

std::string OpenAiBody(const PlanRequest& request, const WireOptions& options,
                       const OpenAiParts& parts);
Headers BearerHeader(const std::string& api_key);

}  // namespace interlock::runtime
