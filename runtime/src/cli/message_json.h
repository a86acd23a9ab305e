// Wire messages as JSON for `--json`, one form for all commands.
#pragma once

#include <google/protobuf/message.h>

#include <string>

#include "core/json.h"

namespace interlock::runtime::cli {

// Snake case names; unset fields are left out, but for scalars and lists, which are always there.
// Integers are numbers, bytes are hex, timestamps RFC 3339 text, enum values lower case without
// prefix ("completed"; not set:
// ""). A field `x_json` becomes `x`, parsed; `entry_json` also stays verbatim, because its bytes
// are the leaf.
core::Json MessageJson(const google::protobuf::Message& message);

// "waiting_for_approval" for Run::STATE_WAITING_FOR_APPROVAL; empty for the zero value.
std::string EnumText(const google::protobuf::EnumDescriptor& type, int number);
// All of them, for a message: "running, completed".
std::string EnumTexts(const google::protobuf::EnumDescriptor& type);
// The way back. -1 when there is no such value.
int EnumNumber(const google::protobuf::EnumDescriptor& type, const std::string& text);

}  // namespace interlock::runtime::cli
