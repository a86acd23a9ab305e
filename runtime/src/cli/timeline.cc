#include "cli/timeline.h"

#include <algorithm>
#include <charconv>
#include <utility>

namespace interlock::runtime::cli {
namespace {

using core::Json;

constexpr std::size_t kTextColumns = 160;  // of one piece of content in a line
constexpr std::size_t kLabelColumns = 9;
constexpr std::size_t kIndentColumns = 14;  // under the text of an entry: time and a space

std::string TextIn(const Json& object, const char* key) {
  const auto it = object.find(key);
  return it != object.end() && it->is_string() ? it->get<std::string>() : std::string();
}

// Amounts are decimal strings, counts are numbers.
std::int64_t Number(const Json& object, const char* key) {
  const auto it = object.find(key);
  if (it == object.end()) return 0;
  if (it->is_number_integer()) return it->get<std::int64_t>();
  if (!it->is_string()) return 0;
  const auto& text = it->get_ref<const std::string&>();
  std::int64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

bool Flag(const Json& object, const char* key, bool fallback) {
  const auto it = object.find(key);
  return it != object.end() && it->is_boolean() ? it->get<bool>() : fallback;
}

std::string Joined(const Json& list, const char* separator) {
  std::string out;
  for (const Json& item : list) {
    out +=
        (out.empty() ? "" : separator) + (item.is_string() ? item.get<std::string>() : item.dump());
  }
  return out;
}

std::string Padded(std::string text, std::size_t columns) {
  const std::size_t have = ColumnsOf(text);
  if (have < columns) text.append(columns - have, ' ');
  return text;
}

std::string ShortDigest(const std::string& name) {
  constexpr std::size_t kPrefix = 7;  // "sha256:"
  return name.starts_with("sha256:") ? name.substr(kPrefix, 12) : name.substr(0, 12);
}

// "refund/cap:54 deny, …": first the rules that said what came of it, then the others.
std::string Rules(const Json& body) {
  const std::string effect = TextIn(body, "effect");
  std::string settling;
  std::string others;
  for (const Json& rule : body.value("rules", Json::array())) {
    if (!rule.is_object()) continue;
    const std::string verdict = TextIn(rule, "verdict");
    std::string& out = verdict == effect || verdict == "error" ? settling : others;
    out += (out.empty() ? "" : ", ") + TextIn(rule, "id");
    if (const auto line = Number(rule, "line"); line > 0) out += ":" + std::to_string(line);
    if (!verdict.empty()) out += " " + verdict;
  }
  if (settling.empty() && others.empty()) return "no rule spoke";
  return settling + (settling.empty() || others.empty() ? "" : ", ") + others;
}

// What the planner said beside its calls; it is in the opened plan.
// Of an entry's `level`.
std::string Where(const std::string& level) {
  if (level == "http" || level == "builtin") return level;
  return level == "none" ? "NO SANDBOX" : "sandbox " + level;
}

std::string PlanText(const Content& content) {
  const auto plan = content.find("plan");
  if (plan == content.end()) return "";
  const Json parsed = Json::parse(plan->second, nullptr, /*allow_exceptions=*/false);
  return parsed.is_object() ? EscapeAndCut(TextIn(parsed, "text"), kTextColumns) : "";
}

Style StyleOfEffect(const std::string& effect) {
  if (effect == "allow") return Style::kGreen;
  if (effect == "deny" || effect == "refuse") return Style::kRed;
  return Style::kYellow;
}

Style StyleOfOutcome(const std::string& kind) {
  if (kind == "ok" || kind == "reconciled_done") return Style::kGreen;
  if (kind == "unknown") return Style::kYellow;
  return Style::kRed;
}

std::string Upper(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) {
    return static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c);
  });
  return text;
}

}  // namespace

namespace {

// The texts of a list, ready to print.
std::string Listed(const Json& body, const char* field) {
  std::string text;
  for (const Json& one : body.value(field, Json::array())) {
    if (!one.is_string()) continue;
    text += (text.empty() ? "" : ", ") + EscapeForTerminal(one.get<std::string>());
  }
  return text;
}

// How many a parked run waits for; a list that is too long for its entry is content of it.
std::string ApprovalsIn(const Json& body) {
  const Json list = body.value("approvals", Json::array());
  if (!list.is_array()) return "many approvals";
  return Plural(static_cast<std::int64_t>(list.size()), "approval");
}

}  // namespace

struct Timeline::Part {
  std::string kind;
  std::int64_t time_us = 0;
  std::string actor;
  const Json& body;
  const Content& content;

  // The opened content of a field, ready to print; its size where it cannot be read; empty when
  // there is none.
  std::string Shown(const std::string& field) const {
    if (const auto it = content.find(field); it != content.end()) {
      return EscapeAndCut(it->second, kTextColumns);
    }
    const auto it = body.find(field);
    if (it == body.end() || !it->is_object()) return "";
    return "(" + Plural(Number(*it, "bytes"), "byte") + ")";
  }
  std::string Text(const char* key) const { return EscapeForTerminal(TextIn(body, key)); }
};

Timeline::Handler Timeline::HandlerOf(std::string_view kind) {
  static constexpr std::pair<std::string_view, Handler> kHandlers[] = {
      {"message.received", &Timeline::Message},     {"plan.received", &Timeline::Plan},
      {"call.proposed", &Timeline::Proposed},       {"facts.gathered", &Timeline::Facts},
      {"call.decided", &Timeline::Decided},         {"call.intended", &Timeline::Intended},
      {"call.outcome", &Timeline::Outcome},         {"call.resolved", &Timeline::Resolved},
      {"result.released", &Timeline::Released},     {"answer.checked", &Timeline::Answer},
      {"call.edited", &Timeline::Edited},           {"call.edit_refused", &Timeline::Edited},
      {"call.compensated", &Timeline::Compensated},
  };
  for (const auto& [name, handler] : kHandlers) {
    if (name == kind) return handler;
  }
  if (kind.starts_with("run.")) return &Timeline::Run;
  if (kind.starts_with("budget.")) return &Timeline::Budget;
  if (kind.starts_with("approval.")) return &Timeline::Approval;
  return &Timeline::Other;
}

std::vector<std::string> Timeline::Lines(const Json& entry, const Content& content) {
  static const Json kNoBody = Json::object();
  const auto body = entry.find("body");
  const Part part{TextIn(entry, "kind"), Number(entry, "time_us"), TextIn(entry, "actor"),
                  body != entry.end() && body->is_object() ? *body : kNoBody, content};
  lines_.clear();
  (this->*HandlerOf(part.kind))(part);
  return std::exchange(lines_, {});
}

void Timeline::Learn(const core::Json& entry) {
  const auto body = entry.find("body");
  if (TextIn(entry, "kind") == "call.proposed" && body != entry.end())
    CallName(TextIn(*body, "call"));
  if (body != entry.end()) LearnHold(TextIn(entry, "kind"), *body);
}

void Timeline::LearnHold(std::string_view kind, const Json& body) {
  if (kind == "budget.held") held_[TextIn(body, "hold")] = Number(body, "amount");
}

void Timeline::Say(const Part& part, Style style, std::string_view label, const std::string& text) {
  lines_.push_back(io_.Paint(Style::kDim, FormatTimeOfDay(part.time_us)) + "  " +
                   io_.Paint(style, Padded(std::string(label), kLabelColumns)) + " " + text);
}

void Timeline::More(const std::string& text) {
  lines_.push_back(std::string(kIndentColumns + kLabelColumns + 1, ' ') +
                   io_.Paint(Style::kDim, text));
}

std::string Timeline::CallName(const std::string& id) {
  const int next = static_cast<int>(calls_.size()) + 1;
  return "c" + std::to_string(calls_.emplace(id, next).first->second);
}

void Timeline::Run(const Part& part) {
  if (part.kind == "run.started") {
    Say(part, Style::kBold, "run",
        "started: agent " + part.Text("agent") + " (" + ShortDigest(part.Text("agent_digest")) +
            ") for " + part.Text("principal"));
    if (const Json lineage = part.body.value("lineage", Json()); lineage.is_object()) {
      Say(part, Style::kDim, "run",
          "called by " + Listed(lineage, "agents") + " of run " +
              EscapeForTerminal(TextIn(lineage, "root")));
    }
  } else if (part.kind == "run.parked") {
    Say(part, Style::kYellow, "parked",
        "waits for " + ApprovalsIn(part.body) + "; holds nothing meanwhile");
  } else if (part.kind == "run.resumed") {
    Say(part, Style::kBold, "run", "goes on: " + part.Text("why"));
  } else if (part.kind == "run.waiting") {
    const std::string which = part.Text("switch") + part.Text("planner");
    const std::string runs = Listed(part.body, "runs");
    const std::string text = part.Shown("text");
    Say(part, Style::kYellow, "waiting",
        "for " + part.Text("for") +
            (!runs.empty()    ? " " + runs
             : !which.empty() ? " `" + which + "`"
             : !text.empty()  ? ": " + text
                              : ""));
    if (part.Text("for") == "person") More("interlock calls list --unknown");
  } else if (part.kind == "run.completed") {
    Say(part, Style::kGreen, "answer", part.Shown("answer"));
  } else if (part.kind == "run.failed") {
    Say(part, Style::kRed, "failed", part.Text("code") + ": " + part.Shown("reason"));
  } else if (part.kind == "run.compensating") {
    Say(part, Style::kRed, part.Text("as"), part.Text("code") + ": " + part.Shown("reason"));
    Say(part, Style::kYellow, "takes back", NamesOrSize(part, "calls"));
  } else {
    const std::string word = part.kind.substr(part.kind.find('.') + 1);
    Say(part, Style::kYellow, EscapeForTerminal(word),
        part.Shown("summary") + part.Shown("reason"));
  }
  if (part.body.contains("uncompensated")) {
    Say(part, Style::kRed, "stands", NamesOrSize(part, "uncompensated") + ": see to it yourself");
  }
}

// A list that is too long for its entry is content of it.
std::string Timeline::NamesOrSize(const Part& part, const char* field) {
  const std::string shown = part.Shown(field);
  return shown.empty() ? Names(part.body, field) : "many calls " + shown;
}

std::string Timeline::Names(const Json& body, const char* field) {
  std::string names;
  for (const Json& call : body.value(field, Json::array())) {
    if (call.is_string()) {
      names += (names.empty() ? "" : ", ") + CallName(call.get<std::string>());
    }
  }
  return names;
}

void Timeline::Message(const Part& part) {
  Say(part, Style::kCyan, part.Text("from"), part.Shown("text"));
  if (Flag(part.body, "withheld", false)) {
    Say(part, Style::kRed, "withheld", part.Text("code") + " " + part.Shown("say"));
  } else if (part.body.contains("read")) {
    More("read as: " + part.Shown("read"));
  }
}

void Timeline::Answer(const Part& part) {
  if (!Flag(part.body, "passes", false)) {
    return Say(part, Style::kRed, "refused",
               "the " + part.Text("what") + ": " + part.Text("code") + " " + part.Shown("say"));
  }
  if (part.body.contains("text")) {
    Say(part, Style::kYellow, "changed", "the " + part.Text("what") + " by rules");
  }
}

void Timeline::Plan(const Part& part) {
  const std::string finish = part.Text("finish");
  const Json spent = part.body.value("spent", Json::object());
  std::int64_t tokens = Number(spent, "tokens_in") + Number(spent, "tokens_out");
  if (finish == "error") {
    const std::string used = tokens > 0 ? " (" + Plural(tokens, "token") + ")" : "";
    Say(part, Style::kRed, "plan",
        "the planner failed: " + part.Text("code") + " " + part.Shown("reason") + used);
    return;
  }
  const bool calls = finish == "calls";
  std::string text = "step " + std::to_string(Number(part.body, "step")) + ": ";
  text += calls ? Plural(Number(part.body, "calls"), "call") : finish;
  tokens += Number(part.body, "tokens_in") + Number(part.body, "tokens_out");
  if (tokens > 0) text += ", " + Plural(tokens, "token");
  const std::string said = calls ? PlanText(part.content) : "";
  Say(part, Style::kBlue, "plan", text + (said.empty() ? "" : "  “" + said + "”"));
}

void Timeline::Proposed(const Part& part) {
  const std::string name = CallName(TextIn(part.body, "call"));
  const std::string of = TextIn(part.body, "compensates");
  Say(part, Style::kPlain, "proposed",
      io_.Paint(Style::kBold, name + " " + part.Text("tool")) + " " + part.Shown("args") +
          (of.empty() ? "" : "  by the engine, to take back " + CallName(of)));
}

void Timeline::Facts(const Part& part) {
  const Json names = part.body.value("names", Json::array());
  if (names.empty()) return;
  Say(part, Style::kDim, "facts",
      CallName(TextIn(part.body, "call")) + " looked up " + EscapeForTerminal(Joined(names, ", ")));
}

void Timeline::Decided(const Part& part) {
  const std::string effect = TextIn(part.body, "effect");
  const Style style = StyleOfEffect(effect);
  std::string text = CallName(TextIn(part.body, "call")) + " " +
                     io_.Paint(style, Upper(EscapeForTerminal(effect)));
  if (effect != "allow") text += " " + part.Text("code");
  Say(part, style, "decision", text + "  " + EscapeForTerminal(Rules(part.body)));
  if (effect == "allow") return;
  if (const std::string say = part.Shown("say"); !say.empty()) More("“" + say + "”");
}

void Timeline::Budget(const Part& part) {
  LearnHold(part.kind, part.body);
  const std::string word = part.kind.substr(part.kind.find('.') + 1);
  const std::string call = TextIn(part.body, "call");  // none: a request to the planner's model
  std::string text = (call.empty() ? "model" : CallName(call)) + " " +
                     FormatAmount(Number(part.body, "amount"), TextIn(part.body, "unit")) + " of " +
                     part.Text("budget");
  if (part.body.contains("limit")) {
    text += " (limit " + FormatAmount(Number(part.body, "limit"), TextIn(part.body, "unit")) + ")";
  }
  const bool flagged = Flag(part.body, "flagged", false);
  const auto hold = held_.find(TextIn(part.body, "hold"));
  const bool more = hold != held_.end() && Number(part.body, "amount") > hold->second;
  if (word != "held" && hold != held_.end()) held_.erase(hold);
  Say(part, Style::kCyan, word == "held" ? "hold" : EscapeForTerminal(word),
      text + (!flagged       ? ""
              : more         ? ", flagged: more than was held"
              : call.empty() ? ", flagged: nobody knows what was used"
                             : ", flagged: the tool did not report a usable amount"));
}

void Timeline::Approval(const Part& part) {
  const std::string word = part.kind.substr(part.kind.find('.') + 1);
  const std::string call = CallName(TextIn(part.body, "call"));
  const std::string id = part.Text("approval");
  if (word == "requested") {
    const Json who = part.body.value("approvers", Json::array());
    Say(part, Style::kYellow, "approval",
        call + " needs " + std::to_string(Number(part.body, "quorum")) + " of " +
            EscapeForTerminal(Joined(who, " or ")) + ", asked by " + part.Text("rule"));
    More("interlock approvals show " + id);
    return;
  }
  const bool taken_back = word == "delegated" && Number(part.body, "until_us") == 0;
  std::string text = call + " " + (taken_back ? "taken back" : EscapeForTerminal(word));
  if (const std::string by = part.Text("by"); !by.empty()) text += " by " + by;
  if (const std::string of = part.Text("for"); !of.empty()) text += " for " + of;
  const std::string to = part.Text("to");
  if (!to.empty()) text += (taken_back ? " from " : " to ") + to;
  if (word == "granted" && !Flag(part.body, "complete", true)) text += ", more are needed";
  if (const std::string why = part.Text("why"); !why.empty()) text += ": " + why;
  const bool no = word == "rejected" || word == "expired" || word == "voided";
  Say(part, no ? Style::kRed : Style::kGreen, "approval", text);
}

void Timeline::Edited(const Part& part) {
  const bool refused = part.kind == "call.edit_refused";
  Say(part, refused ? Style::kRed : Style::kYellow, "edit",
      CallName(TextIn(part.body, "call")) + (refused ? " not edited by " : " edited by ") +
          part.Text("by") + (refused ? ": " + part.Text("code") : ""));
  More(part.Shown("args"));
}

void Timeline::Intended(const Part& part) {
  const std::int64_t attempt = Number(part.body, "attempt");
  std::string text = CallName(TextIn(part.body, "call")) + " " + part.Text("effect");
  std::string level = part.Text("level");
  const std::string least = part.Text("level_min");
  if (level.empty() && least.empty()) {
    level = Flag(part.body, "builtin", false) ? "builtin" : "http";
  }
  if (const std::string started = part.Text("starts"); !started.empty()) {
    text += ", starts run " + started;
  } else {
    text += ", " + (level.empty() ? "sandbox" : Where(level));
    if (!least.empty())
      text += level.empty() ? " " + least + " or better" : " (at least " + least + ")";
  }
  Say(part, Style::kPlain, "intent",
      text + (attempt > 1 ? ", attempt " + std::to_string(attempt) : ""));
}

void Timeline::Outcome(const Part& part) {
  const std::string kind = TextIn(part.body, "kind");
  const Style style = StyleOfOutcome(kind);
  std::string text =
      CallName(TextIn(part.body, "call")) + " " + io_.Paint(style, Upper(EscapeForTerminal(kind)));
  if (const std::string code = part.Text("code"); !code.empty()) text += " " + code;
  if (const std::string level = part.Text("level"); !level.empty()) text += "  " + Where(level);
  if (const auto wall = Number(part.body, "wall_us"); wall > 0) text += ", " + FormatDuration(wall);
  if (const auto money = part.body.find("money"); money != part.body.end() && money->is_object()) {
    text += ", moved " + FormatAmount(Number(*money, "amount"), TextIn(*money, "unit"));
  }
  Say(part, style, "outcome", text);
  const std::string result = part.Shown(kind == "ok" ? "result" : "detail");
  if (!result.empty()) More(result);
  const std::string advice = part.Shown("advice");
  if (!advice.empty()) More("advice: " + advice);
}

void Timeline::Resolved(const Part& part) {
  Say(part, Style::kYellow, "resolved",
      CallName(TextIn(part.body, "call")) +
          (Flag(part.body, "happened", false) ? " happened" : " did not happen") + ", says " +
          part.Text("by") + (Flag(part.body, "complete", true) ? "" : "; one more is needed"));
}

void Timeline::Compensated(const Part& part) {
  Say(part, Style::kGreen, "undone",
      CallName(TextIn(part.body, "compensates")) + " was taken back by " +
          CallName(TextIn(part.body, "call")));
}

void Timeline::Released(const Part& part) {
  const std::string call = CallName(TextIn(part.body, "call"));
  if (Flag(part.body, "withheld", false)) {
    return Say(part, Style::kRed, "withheld",
               call + "'s result: " + part.Text("code") + " " + part.Shown("say"));
  }
  if (!part.content.contains("result")) return;
  Say(part, Style::kPlain, "result", call + " " + part.Shown("result"));
}

void Timeline::Other(const Part& part) {
  if (part.kind == "plan.requested") return;
  std::string text;
  if (part.body.contains("call")) text = CallName(TextIn(part.body, "call")) + " ";
  Say(part, Style::kDim, EscapeForTerminal(part.kind), text + part.Text("why"));
}

}  // namespace interlock::runtime::cli
