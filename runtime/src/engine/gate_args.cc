// What is proposed: the tool, its arguments with what their handles name, its keys and locks.
#include <algorithm>

#include "engine/gate.h"
#include "engine/handles.h"
#include "engine/memory.h"
#include "runtime/own_tools.h"

namespace interlock::runtime {

// ---------------------------------------------------------------- 1: what is proposed

void Gate::Refuse(Ticket& ticket, std::string code, std::string say) const {
  ticket.verdict = "refuse";
  ticket.code = std::move(code);
  ticket.say = std::move(say);
}

bool Gate::Prepare(Ticket& ticket) const {
  ticket.tool = parts_.registry->Find(ticket.id.tool);
  const bool allowed = ticket.agent == nullptr
                           ? !IsOwnTool(ticket.id.tool) && !IsAgentTool(ticket.id.tool)
                           : AgentMayUse(*ticket.agent, ticket.id.tool);
  if (ticket.tool == nullptr || !allowed) {
    Refuse(ticket, ticket.tool == nullptr ? "UNKNOWN_TOOL" : "TOOL_NOT_ALLOWED",
           "There is no such tool here; use one of the listed tools.");
    return false;
  }
  if (!ticket.cannot.empty()) {
    Refuse(ticket, kCallLost, ticket.cannot);
    return false;
  }
  if (IsMemoryTool(ticket.id.tool) && !HasSubject(ticket.id)) {
    Refuse(ticket, "NO_SUBJECT",
           "This run is about nobody: there are no notes to read or write. Go on without them.");
    return false;
  }
  if (IsAgents(ticket) && !MayCallAgent(ticket)) return false;
  auto args = CheckedArgs(ticket);
  if (!args.ok()) {
    Refuse(ticket, "BAD_ARGUMENTS",
           "The call does not fit: " + std::string(core::Message(args.status())));
    return false;
  }
  ticket.args = std::move(*args);
  const tools::Manifest& manifest = ticket.tool->manifest();
  const bool has_keys = !manifest.effect_key.empty() || !manifest.locks.empty();
  const core::Json scope = has_keys ? KeyScope(ticket) : core::Json();
  const auto effect_key = ticket.tool->EffectKey(scope);
  const auto locks = ticket.tool->Locks(scope);
  if (!effect_key.ok() || !locks.ok()) {
    const core::Status bad = effect_key.ok() ? locks.status() : effect_key.status();
    Refuse(ticket, "BAD_KEY",
           "A key of this call cannot be made: " + std::string(core::Message(bad)));
    return false;
  }
  // Without a template the effect is the call itself: nothing that an HMAC would have to hide.
  ticket.effect_key =
      effect_key->has_value() ? parts_.keys->Hmac("effect", **effect_key) : ticket.id.call;
  ticket.locks.clear();
  for (const std::string& lock : *locks) ticket.locks.push_back(parts_.keys->Hmac("lock", lock));
  if (IsMemoryTool(ticket.id.tool) && manifest.effect != tools::Effect::kRead) {
    ticket.locks.push_back(parts_.keys->Hmac("lock", MemoryLock(ticket.id)));
  }
  std::sort(ticket.locks.begin(), ticket.locks.end());
  ticket.locks.erase(std::unique(ticket.locks.begin(), ticket.locks.end()), ticket.locks.end());
  return true;
}

// What a person made of them, else what was proposed.
core::StatusOr<tools::CanonicalArgs> Gate::CheckedArgs(Ticket& ticket) const {
  auto args = ProposedArgs(ticket);
  if (!args.ok() || ticket.edited.empty()) return args;
  BearAllLabels(ticket, ticket.reads);
  return ticket.tool->ValidateArgs(std::string_view(ticket.edited));
}

// With what its handles name in their place, if the caller may have any.
core::StatusOr<tools::CanonicalArgs> Gate::ProposedArgs(Ticket& ticket) const {
  const std::string_view text = ticket.id.args_text;
  // What takes a call back was written by a manifest; tools' words in it name nothing.
  const bool may_name = ticket.reads != nullptr && ticket.id.compensates.empty();
  if (!may_name || text.find(kHandleKey) == std::string_view::npos) {
    return ticket.tool->ValidateArgs(text);
  }
  INTERLOCK_ASSIGN_OR_RETURN(core::Json args, core::ParseJson(text, core::kPayloadLimits));
  INTERLOCK_ASSIGN_OR_RETURN(const bool named, ExpandHandles(*ticket.reads, args, ticket.handles));
  return named ? ticket.tool->ValidateArgs(args) : ticket.tool->ValidateArgs(text);
}

core::Json Gate::KeyScope(const Ticket& ticket) const {
  return {{"args", ticket.args.value},
          {"call", {{"id", ticket.id.call}, {"idempotency_key", ticket.id.call}}},
          {"session", *ticket.id.session},
          {"tenant", parts_.tenant}};
}

// What was named stands in the arguments already. A rule or a person may have moved it, so all of
// it bears all labels.
void Gate::BearAllLabels(Ticket& ticket, const Provenance* reads) {
  if (ticket.handles.empty()) return;
  policies::Label whole = reads->ModelLabel();
  for (const auto& [ignored, label] : ticket.handles) whole = policies::Join(whole, label);
  ticket.handles.clear();
  ticket.handles.emplace("args", std::move(whole));
}

}  // namespace interlock::runtime
