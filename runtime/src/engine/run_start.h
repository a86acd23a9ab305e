// How a run begins: what a client's request and an agent's call of another have in common.
#pragma once

#include <string>

#include "engine/hub.h"
#include "engine/requests.h"

namespace interlock::runtime {

struct StartedFields {
  const CallIdentity& base;
  const AgentChoice& choice;
  const AgentLimits& limits;   // its own, or what is left of its caller's
  std::string_view session;    // canonical
  const RequestMark& request;  // empty: nobody outside asked
};
Draft DraftStarted(const Hub& hub, const StartedFields& fields, const Sealer& sealer);

// A run that a call starts; in the log with the intent of that call, or not at all.
struct RunStart {
  CallIdentity base;
  AgentChoice choice{};
  std::int64_t tokens = 0;  // that it is granted; 0: no limit
  std::optional<Sealer> sealer{};
  Draft started{};  // of no kind: a replay's, which starts nothing
  std::string text{};
  policies::Label label{};  // of the text
  JudgedText judged{};
  Draft message{};
};
Gate::TextCase CaseOf(const RunStart& start);
Draft MessageOf(const RunStart& start);

}  // namespace interlock::runtime
