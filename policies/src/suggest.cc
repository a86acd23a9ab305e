#include "policies/suggest.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

namespace interlock::policies {
namespace {

// A Lua text: only what both JSON and Lua write alike is left as it is.
std::string LuaText(const std::string& text) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out.append("\\").push_back(c);
    } else if (byte < 0x20 || byte == 0x7f) {
      out.append("\\x").append({kHex[byte >> 4], kHex[byte & 15]});
    } else {
      out.push_back(c);
    }
  }
  return out + "\"";
}

bool IsName(const std::string& text) {
  const auto word = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  };
  return !text.empty() && !(text[0] >= '0' && text[0] <= '9') &&
         std::all_of(text.begin(), text.end(), word);
}

std::string LuaValue(const core::Json& value) {
  if (value.is_string()) return LuaText(value.get<std::string>());
  if (value.is_array() || value.is_object()) {
    std::string out = "{";
    for (const auto& [name, member] : value.items()) {
      const std::string key = value.is_object() ? "[" + LuaText(name) + "] = " : "";
      out += (out.size() > 1 ? ", " : " ") + key + LuaValue(member);
    }
    return out + " }";
  }
  return value.is_null() ? "nil" : value.dump();
}

// What one argument was in all the granted calls.
struct Argument {
  std::set<std::string> texts{};
  std::optional<core::Json> most{};  // of numbers
  std::size_t seen = 0;
  bool mixed = false;  // of several kinds, or of one that no bound is made from
};

void Look(const core::Json& value, Argument& argument) {
  ++argument.seen;
  if (value.is_string() && !argument.most) {
    argument.texts.insert(value.get<std::string>());
  } else if (value.is_number() && argument.texts.empty()) {
    if (!argument.most || *argument.most < value) argument.most = value;
  } else {
    argument.mixed = true;
  }
}

// A condition and how the call would have to be to fall outside.
struct Bound {
  std::string name{};
  std::string condition{};
  core::Json outside{};
};

std::optional<Bound> BoundOf(const std::string& name, const Argument& argument, std::size_t calls) {
  if (argument.mixed || argument.seen != calls || !IsName(name)) return std::nullopt;
  if (argument.most) {
    core::Json outside = argument.most->is_number_integer()
                             ? core::Json(argument.most->get<std::int64_t>() + 1)
                             : core::Json(argument.most->get<double>() + 1);
    return Bound{name, "le(" + argument.most->dump() + ")", std::move(outside)};
  }
  if (argument.texts.empty() || argument.texts.size() > kSuggestValuesMax) return std::nullopt;
  std::string list;
  std::string outside = "other";
  for (const std::string& text : argument.texts) {
    list += (list.empty() ? "" : ", ") + LuaText(text);
    if (text == outside) outside += "-one";
  }
  return Bound{name, "one_of(" + list + ")", outside};
}

// The members of a test case that a record states, on one line.
std::string Case(const std::string& name, const core::Json& input, const std::string& expect) {
  std::string out = "test " + LuaText(name) + " {";
  for (const char* member : {"tool", "user", "args", "facts", "session", "untrusted", "labels"}) {
    const auto found = input.find(member);
    if (found == input.end() || found->is_null() || (found->is_structured() && found->empty())) {
      continue;
    }
    out += std::string(out.back() == '{' ? " " : ", ") + member + " = " + LuaValue(*found);
  }
  return out + ", " + expect + " }\n";
}

struct Group {
  std::vector<const RecordedDecision*> granted{};
  bool refused = false;
};

// A call of unknown effect may.
bool MayCost(const Group& group) {
  return std::any_of(group.granted.begin(), group.granted.end(), [](const RecordedDecision* one) {
    return !one->currency.empty() || (one->effect != "read" && one->effect != "write");
  });
}

std::optional<Suggestion> SuggestionOf(const std::string& tool, const std::string& rule,
                                       const Group& group) {
  std::map<std::string, Argument> arguments;
  for (const RecordedDecision* one : group.granted) {
    const auto args = one->input.find("args");
    if (args == one->input.end() || !args->is_object()) return std::nullopt;
    for (const auto& [name, value] : args->items()) Look(value, arguments[name]);
  }
  std::vector<Bound> bounds;
  std::string unbound;
  for (const auto& [name, argument] : arguments) {
    if (auto bound = BoundOf(name, argument, group.granted.size())) {
      bounds.push_back(*std::move(bound));
    } else {
      unbound += "-- any value: " + LuaText("args." + name) + "\n";
    }
  }
  if (bounds.empty()) return std::nullopt;  // it would be for any call of the tool
  // Where money or content may go is not left to whoever fills an argument in.
  if (!unbound.empty() && MayCost(group)) return std::nullopt;
  Suggestion out{
      .rule = rule, .tool = tool, .granted = group.granted.size(), .policy = "", .tests = ""};
  const std::string short_name = rule.substr(rule.find('/') + 1);
  out.policy = "-- " + std::to_string(out.granted) + " of " + std::to_string(out.granted) +
               " demands were granted. Who may loosen it signs here: owner, ticket and end.\n" +
               unbound + "exception " + LuaText("usual-" + short_name) +
               " {\n  rule = " + LuaText(rule) +
               ", owner = \"?\", ticket = \"?\", expires = \"?\",\n  on = " + LuaText(tool) +
               ",\n  where = {\n";
  const core::Json& input = group.granted.front()->input;
  out.tests = Case("a usual " + tool, input, "expect = \"allow\"");
  for (const Bound& bound : bounds) {
    out.policy += "    [\"args." + bound.name + "\"] = " + bound.condition + ",\n";
    core::Json other = input;
    other["args"][bound.name] = bound.outside;
    out.tests += Case("another " + bound.name + " of " + tool, other,
                      "expect = \"ask\", rule = " + LuaText(rule));
  }
  out.policy += "  },\n}\n";
  return out;
}

}  // namespace

std::vector<Suggestion> SuggestExceptions(const std::vector<RecordedDecision>& recorded,
                                          const SuggestOptions& options) {
  std::map<std::pair<std::string, std::string>, Group> groups;
  for (const RecordedDecision& one : recorded) {
    if (one.verdict != "ask" || !one.input.is_object()) continue;
    for (const std::string& rule : one.asked_by) {
      Group& group = groups[{one.tool, rule}];
      group.refused = group.refused || one.rejected;
      if (one.granted) group.granted.push_back(&one);
    }
  }
  std::vector<Suggestion> out;
  for (const auto& [key, group] : groups) {
    if (group.refused || group.granted.size() < options.least) continue;
    if (auto one = SuggestionOf(key.first, key.second, group)) out.push_back(*std::move(one));
  }
  return out;
}

}  // namespace interlock::policies
