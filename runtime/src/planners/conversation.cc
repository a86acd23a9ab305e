#include "conversation.h"

#include <algorithm>

#include "core/digest.h"
#include "core/json.h"

namespace interlock::runtime {
namespace {

constexpr std::string_view kNothing = "(empty)";  // endpoints refuse empty text

bool IsWireId(const std::string& id) {
  return !id.empty() && id.size() <= kWireIdBytesMax &&
         std::all_of(id.begin(), id.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '_' || c == '-';
         });
}

bool IsBlank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

std::vector<WireItem>& ItemsOf(bool model, WireTurns& out) {
  if (out.turns.empty() || out.turns.back().model != model) {
    out.turns.push_back({.model = model, .items = {}});
  }
  return out.turns.back().items;
}

void AddText(std::string_view text, bool model, WireTurns& out) {
  ItemsOf(model, out)
      .push_back({.text = IsBlank(text) ? kNothing : text, .call = nullptr, .id = {}, .tool = {}});
}

void AddAssistant(const ChatMessage& message, std::string_view author, WireIds& ids,
                  WireTurns& out) {
  ids.Begin(message);
  if (!IsBlank(message.text) || message.calls.empty()) AddText(message.text, true, out);
  for (const ProposedCall& call : message.calls) {
    const std::string_view echo = message.author == author ? call.echo : std::string_view();
    ItemsOf(true, out).push_back(
        {.text = {}, .call = &call, .id = ids.Of(call.id), .tool = {}, .echo = echo});
  }
}

}  // namespace

std::string WireIds::Fresh(const std::string& id) {
  std::string wire = IsWireId(id) ? id : "call_" + core::Hex(core::Sha256(id)).substr(0, 24);
  const std::string base = wire.substr(0, kWireIdBytesMax - 8);
  for (int number = 2; !used_.insert(wire).second; ++number) {
    wire = base + "_" + std::to_string(number);
  }
  return wire;
}

void WireIds::Begin(const ChatMessage& assistant) {
  ids_.clear();
  tools_.clear();
  for (const ProposedCall& call : assistant.calls) {
    ids_[call.id] = Fresh(call.id);
    tools_[call.id] = call.tool;
  }
}

const std::string& WireIds::Of(const std::string& call_id) {
  const auto it = ids_.find(call_id);
  if (it != ids_.end()) return it->second;
  return ids_[call_id] = Fresh(call_id);
}

std::string_view WireIds::ToolOf(const std::string& call_id) const {
  const auto it = tools_.find(call_id);
  return it == tools_.end() ? std::string_view() : it->second;
}

WireTurns TurnsOf(const PlanRequest& request, std::string_view author, WireIds& ids) {
  WireTurns out;
  for (const ChatMessage& message : request.messages) {
    switch (message.role) {
      case Role::kSystem:
        if (!out.system.empty()) out.system += "\n\n";
        out.system += message.text;
        break;
      case Role::kUser:
        AddText(message.text, false, out);
        break;
      case Role::kAssistant:
        AddAssistant(message, author, ids, out);
        break;
      case Role::kTool:
        ItemsOf(false, out)
            .push_back({.text = message.text.empty() ? kNothing : message.text,
                        .call = nullptr,
                        .id = ids.Of(message.call_id),
                        .tool = ids.ToolOf(message.call_id)});
        break;
    }
  }
  if (out.turns.empty() || out.turns.front().model) {
    WireTurn first;
    first.items.push_back({.text = kNothing, .call = nullptr, .id = {}, .tool = {}});
    out.turns.insert(out.turns.begin(), std::move(first));
  }
  return out;
}

std::string ArgsObject(const std::string& args_text) {
  const auto args = core::ParseJson(args_text, core::kArgsLimits);
  if (args.ok() && args->is_object()) return core::CanonicalJson(*args);
  std::string out = "{\"malformed\":";
  core::AppendJsonString(args_text, out);
  return out + '}';
}

}  // namespace interlock::runtime
