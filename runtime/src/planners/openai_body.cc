#include "openai_body.h"

#include "answer_form.h"
#include "core/json.h"
#include "wire_write.h"

namespace interlock::runtime {

std::string OpenAiBody(const PlanRequest& request, const WireOptions& options,
                       const OpenAiParts& parts) {
  std::string out = "{\"model\":";
  core::AppendJsonString(options.model, out);
  parts.options(request, options, out);
  out += ",\"";
  out += parts.messages;
  out += "\":[";
  WireIds ids;
  AppendList(request.messages, out,
             [&](const ChatMessage& message) { parts.message(message, options, ids, out); });
  out += ']';
  if (!request.tools.empty() || request.ends_by_tool) {
    out += ",\"tools\":[";
    AppendList(request.tools, out, [&](const auto& tool) { parts.tool(tool->manifest(), out); });
    if (!request.tools.empty() && request.ends_by_tool) out += ',';
    if (request.ends_by_tool) parts.tool(AnswerToolOf(request), out);
    out += ']';
  }
  return out + '}';
}

Headers BearerHeader(const std::string& api_key) {
  return {{"Authorization", "Bearer " + api_key}};
}

}  // namespace interlock::runtime
