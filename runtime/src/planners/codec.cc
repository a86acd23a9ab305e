#include "codec.h"

#include <algorithm>
#include <array>

#include "wire_json.h"

namespace interlock::runtime {
namespace {

constexpr std::array<std::pair<Dialect, std::string_view>, 4> kNames = {{
    {Dialect::kChat, "openai"},
    {Dialect::kResponses, "openai_responses"},
    {Dialect::kAnthropic, "anthropic"},
    {Dialect::kGemini, "gemini"},
}};

}  // namespace

const Codec& CodecOf(Dialect dialect) {
  switch (dialect) {
    case Dialect::kChat:
      break;
    case Dialect::kResponses:
      return ResponsesCodec();
    case Dialect::kAnthropic:
      return AnthropicCodec();
    case Dialect::kGemini:
      return GeminiCodec();
  }
  return ChatCodec();
}

core::StatusOr<Plan> Codec::Read(std::string_view body, const PlanRequest& request,
                                 ReplyNotes& notes) const {
  core::Json reply;
  const core::Status parsed = ParseReply(body, reply);
  PlanBuilder builder(request);
  ReadUsage(reply, builder.plan());
  notes.used = builder.plan();
  INTERLOCK_RETURN_IF_ERROR(parsed);
  const core::Status read = ReadReply(reply, builder);
  notes.refusal = builder.refusal();
  INTERLOCK_RETURN_IF_ERROR(read);
  return builder.Finish(body);
}

std::string_view DialectName(Dialect dialect) {
  return std::find_if(kNames.begin(), kNames.end(),
                      [&](const auto& entry) { return entry.first == dialect; })
      ->second;
}

core::StatusOr<Dialect> DialectOfName(std::string_view name) {
  for (const auto& [dialect, known] : kNames) {
    if (name == known) return dialect;
  }
  return core::InvalidArgument("no dialect of that name");
}

std::string ErrorWord(std::string_view body) {
  const auto reply = core::ParseJson(body, kReplyLimits);
  return reply.ok() ? ErrorWordOf(*reply) : "";
}

}  // namespace interlock::runtime
