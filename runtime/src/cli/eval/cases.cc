#include "cli/eval/cases.h"

#include <array>
#include <cstdio>

namespace interlock::runtime::cli {
namespace {

using core::Json;

core::StatusOr<Expected> ParseExpected(const Json& value) {
  if (value.is_null()) return Expected::kSkip;
  const std::string name = value.is_string() ? value.get<std::string>() : value.dump();
  if (name == "ALLOW") return Expected::kAllow;
  if (name == "DENY") return Expected::kDeny;
  if (name == "REQUIRE_APPROVAL") return Expected::kApproval;
  if (name == "ANY") return Expected::kAny;
  return core::InvalidArgument("`expected` is `" + name +
                               "`; it is ALLOW, DENY, REQUIRE_APPROVAL, ANY or null");
}

core::StatusOr<CaseStep> ParseCall(const Json& call) {
  if (!call.is_object() || !call.contains("name") || !call["name"].is_string() ||
      !call.contains("arguments") || !call["arguments"].is_object()) {
    return core::InvalidArgument("a call needs `name` (text) and `arguments` (an object)");
  }
  CaseStep step;
  step.tool = call["name"].get<std::string>();
  step.args = call["arguments"].dump();
  return step;
}

std::vector<std::string> RulesOf(const Json& json) {
  std::vector<std::string> rules;
  const auto all = json.find("all_rules");
  if (all != json.end() && all->is_array()) {
    for (const Json& rule : *all) {
      if (rule.is_string()) rules.push_back(rule.get<std::string>());
    }
  }
  if (rules.empty() && json.contains("rule") && json["rule"].is_string()) {
    rules.push_back(json["rule"].get<std::string>());
  }
  return rules;
}

bool Flag(const Json& json, const char* name, bool fallback) {
  const auto it = json.find(name);
  return it != json.end() && it->is_boolean() ? it->get<bool>() : fallback;
}

core::StatusOr<CaseStep> ParseGoldStep(const Json& json, bool confirmed) {
  INTERLOCK_ASSIGN_OR_RETURN(CaseStep step, ParseCall(json));
  if (!json.contains("expected")) return core::InvalidArgument("a step lacks `expected`");
  INTERLOCK_ASSIGN_OR_RETURN(step.expected, ParseExpected(json["expected"]));
  step.confirmed = Flag(json, "confirmed", confirmed);
  step.attack = Flag(json, "attack", false);
  step.rules = RulesOf(json);
  if (json.contains("result")) step.recorded = json["result"].dump();
  if (json.contains("tool_ok")) step.tool_ok = Flag(json, "tool_ok", true);
  if (json.contains("state_after")) step.state_after = json["state_after"];
  return step;
}

core::StatusOr<CaseStep> ParseDecided(const Json& line, bool confirmed) {
  if (!line.contains("call") || !line.contains("expected")) {
    return core::InvalidArgument("a case needs `steps`, or `call` and `expected`");
  }
  INTERLOCK_ASSIGN_OR_RETURN(CaseStep step, ParseCall(line["call"]));
  INTERLOCK_ASSIGN_OR_RETURN(step.expected, ParseExpected(line["expected"]));
  step.confirmed = confirmed;
  step.rules = RulesOf(line);
  if (line.contains("state_after")) step.state_after = line["state_after"];
  return step;
}

void Add(Case& the_case, CaseStep step, int number) {
  if (step.expected == Expected::kSkip) return;
  the_case.steps.push_back(std::move(step));
  the_case.numbers.push_back(number);
}

// Splits the session: the authenticated user and his confirmation are facts of the case, not
// session values.
core::StatusOr<bool> ReadSession(const Json& line, Case& the_case) {
  the_case.session = Json::object();
  if (!line.contains("session")) return false;
  const Json& session = line["session"];
  if (!session.is_object()) return core::InvalidArgument("`session` is not an object");
  bool confirmed = false;
  for (const auto& [key, value] : session.items()) {
    if (key == "confirmed") {
      confirmed = value.is_boolean() && value.get<bool>();
    } else if (key == "user_id") {
      if (value.is_string()) the_case.user = value.get<std::string>();
    } else {
      the_case.session[key] = value;
    }
  }
  return confirmed;
}

core::Status ReadSteps(const Json& line, bool confirmed, Case& the_case) {
  int number = 0;
  if (line.contains("steps")) {
    for (const Json& json : line["steps"]) {
      INTERLOCK_ASSIGN_OR_RETURN(CaseStep step, ParseGoldStep(json, confirmed));
      Add(the_case, std::move(step), number++);
    }
    return core::OkStatus();
  }
  const Json prefix = line.value("prefix", Json::array());
  for (const Json& json : prefix) {
    INTERLOCK_ASSIGN_OR_RETURN(CaseStep step, ParseCall(json));
    step.prefix = true;
    step.confirmed = true;
    Add(the_case, std::move(step), number++);
  }
  INTERLOCK_ASSIGN_OR_RETURN(CaseStep step, ParseDecided(line, confirmed));
  Add(the_case, std::move(step), number);
  return core::OkStatus();
}

}  // namespace

core::StatusOr<Case> ParseCase(const Json& line, int ordinal) {
  if (!line.is_object() || !line.contains("id") || !line["id"].is_string()) {
    return core::InvalidArgument("a case is an object with an `id`");
  }
  Case the_case;
  the_case.id = line["id"].get<std::string>();
  std::array<char, 16> name{};
  std::snprintf(name.data(), name.size(), "c%04d", ordinal);
  the_case.name = name.data();
  if (line.contains("message") && line["message"].is_string()) {
    the_case.message = line["message"].get<std::string>();
  }
  INTERLOCK_ASSIGN_OR_RETURN(const bool confirmed, ReadSession(line, the_case));
  INTERLOCK_RETURN_IF_ERROR(ReadSteps(line, confirmed, the_case));
  return the_case;
}

core::StatusOr<std::vector<Case>> ReadCases(std::istream& in) {
  std::vector<Case> cases;
  std::string text;
  for (int number = 1; std::getline(in, text); ++number) {
    if (text.find_first_not_of(" \t\r") == std::string::npos) continue;
    const Json line = Json::parse(text, nullptr, /*allow_exceptions=*/false);
    auto parsed = line.is_discarded() ? core::StatusOr<Case>(core::InvalidArgument("not JSON"))
                                      : ParseCase(line, static_cast<int>(cases.size()));
    if (!parsed.ok()) {
      return core::InvalidArgument("cases line " + std::to_string(number) + ": " +
                                   std::string(core::Message(parsed.status())));
    }
    cases.push_back(std::move(parsed).value());
  }
  return cases;
}

std::string ScriptOf(const Case& the_case) {
  Json steps = Json::array();
  for (const CaseStep& step : the_case.steps) {
    steps.push_back({{"calls", Json::array({{{"tool", step.tool}, {"args_text", step.args}}})}});
    if (the_case.message.empty()) steps.push_back({{"ask", "next?"}});
  }
  steps.push_back({{"answer", "done"}});
  return Json{{"steps", std::move(steps)}}.dump(1);
}

std::string RecordedOf(const Case& the_case) {
  Json list = Json::array();
  for (const CaseStep& step : the_case.steps) {
    if (!step.recorded) continue;
    Json one = {{"tool", step.tool}, {"args", Json::parse(step.args)}};
    one[step.tool_ok.value_or(true) ? "result" : "error"] = Json::parse(*step.recorded);
    list.push_back(std::move(one));
  }
  return list.dump();
}

std::string_view ExpectedName(Expected expected) {
  switch (expected) {
    case Expected::kAllow:
      return "ALLOW";
    case Expected::kDeny:
      return "DENY";
    case Expected::kApproval:
      return "REQUIRE_APPROVAL";
    case Expected::kAny:
      return "ANY";
    case Expected::kSkip:
      return "null";
  }
  return "?";
}

}  // namespace interlock::runtime::cli
