// A conversation for the codecs' tests, and the ways to look at what they make of it.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "codec.h"
#include "core/json.h"
#include "stream_reader.h"

namespace interlock::runtime {

inline std::shared_ptr<const tools::Tool> ToolNamed(std::string name) {
  tools::Manifest manifest;
  manifest.name = std::move(name);
  manifest.description = "Reads \"it\".";
  manifest.input_schema = {{"type", "object"}, {"required", {"id"}}};
  manifest.effect = tools::Effect::kRead;
  manifest.builtin = "b";
  auto tool = tools::Tool::FromManifest(std::move(manifest));
  EXPECT_TRUE(tool.ok()) << tool.status();
  return *tool;
}

// A question, one call of `orders.get`, its result.
inline PlanRequest Request() {
  PlanRequest request;
  request.tools = {ToolNamed("orders.get"), ToolNamed("think")};
  request.messages = {
      {.role = Role::kSystem, .text = "Be kind.", .calls = {}, .call_id = {}},
      {.role = Role::kUser, .text = "Hello\n\"you\"", .calls = {}, .call_id = {}},
      {.role = Role::kAssistant,
       .text = "",
       .calls = {{.id = "c1", .tool = "orders.get", .args_text = R"({"id":1})"}},
       .call_id = {}},
      {.role = Role::kTool, .text = R"({"ok":true})", .calls = {}, .call_id = "c1"}};
  return request;
}

inline core::Json AnswerSchema() {
  core::Json schema = {{"type", "object"}, {"additionalProperties", false}};
  schema["properties"]["n"]["type"] = "integer";
  schema["required"] = core::Json::array({"n"});
  return schema;
}

inline core::Json Parsed(std::string_view text) {
  const auto json = core::ParseJson(text, core::kPayloadLimits);
  EXPECT_TRUE(json.ok()) << json.status() << text;
  return json.ok() ? *json : core::Json();
}

// The body that the codec writes, as JSON.
inline core::Json BodyOf(const Codec& codec, const PlanRequest& request,
                         const WireOptions& options) {
  const auto wire = codec.Write(request, options);
  EXPECT_TRUE(wire.ok()) << wire.status();
  return wire.ok() ? Parsed(wire->body) : core::Json();
}

struct Streamed {
  std::string text;  // that was forwarded
  core::StatusOr<Plan> plan;
};

// Feeds a stream in pieces of that many bytes.
inline Streamed Stream(const Codec& codec, std::string_view bytes, std::size_t piece) {
  std::string text;
  StreamReader reader(
      codec, [&](const TextDelta& delta) { text += delta.text; }, false);
  core::Status status;
  for (std::size_t at = 0; at < bytes.size() && status.ok(); at += piece) {
    status = reader.Feed(bytes.substr(at, piece));
  }
  if (!status.ok()) return {std::move(text), status};
  const auto whole = reader.Whole();
  if (!whole.ok()) return {std::move(text), whole.status()};
  return {std::move(text), codec.Read(*whole, Request())};
}

// What is wrong with a reply: one line.
inline std::string WrongWith(const Codec& codec, std::string_view body, core::StatusCode code) {
  const auto plan = codec.Read(body, Request());
  EXPECT_EQ(plan.status().code(), code) << body.substr(0, 200);
  const std::string message(core::Message(plan.status()));
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  return message;
}

// Of bytes that are no reply, of one that the model may do better, and of one that was refused.
inline std::string NonsenseOf(const Codec& codec, std::string_view body) {
  return WrongWith(codec, body, core::StatusCode::kDataLoss);
}
inline std::string FaultOf(const Codec& codec, std::string_view body) {
  return WrongWith(codec, body, core::StatusCode::kOutOfRange);
}
inline std::string RefusalOf(const Codec& codec, std::string_view body) {
  return WrongWith(codec, body, core::StatusCode::kPermissionDenied);
}

}  // namespace interlock::runtime
