// The final answer as providers are asked for it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/json.h"
#include "core/status.h"
#include "runtime/planner.h"
#include "tools/tool.h"

namespace interlock::runtime {

// Where a provider takes no schema beside tools, or text goes to the user, the final answer is a
// call of this tool. Our names hold no `-`, so no tool is called so.
inline constexpr std::string_view kAnswerTool = "final--answer";

// Whether a call of kAnswerTool is the answer.
bool TakesAnswerTool(const PlanRequest& request);

// The schema that goes out: an object at its root, as providers demand. Any other stands as the
// member `answer` of one; so does the text of an answer without a schema. Null: none is asked for.
core::Json AnswerSchemaOf(const PlanRequest& request);
// kAnswerTool, with that schema.
tools::Manifest AnswerToolOf(const PlanRequest& request);

// What the model means by the arguments of kAnswerTool, or by a text that keeps to the schema that
// went out. Errors: kOutOfRange when the tool was called without its text.
core::StatusOr<std::string> AnswerOfArgs(std::string args, const PlanRequest& request);
std::string AnswerOfText(std::string text, const PlanRequest& request);

// Whether OpenAI's strict mode takes the schema: every object closed, every property required, and
// no keyword that it does not know (OpenAI, "Structured outputs", supported schemas).
bool IsStrictSchema(const core::Json& schema);

}  // namespace interlock::runtime
