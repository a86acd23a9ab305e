#include "flows.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <iterator>
#include <utility>

#include "world.h"

namespace interlock::runtime::sim {
namespace {

constexpr std::size_t kChanceBytes = 8;  // shorter words of others than the user are chance

bool GoesOn(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte >= 0x80 || std::isalnum(byte) != 0 || c == '_';
}

std::string Words(const core::Json& body, const char* name, std::string_view tag) {
  std::string words;
  for (const core::Json& word : body.value(name, core::Json::array())) {
    if (word.get<std::string>().starts_with(tag)) words += word.get<std::string>() + " ";
  }
  return words;
}

std::set<std::string> TagsIn(const core::Json& body) {
  std::set<std::string> tags;
  for (const core::Json& word : body.value("labels", core::Json::array())) {
    const std::string text = word;
    if (text.starts_with("tag:")) tags.insert(text.substr(4));
  }
  return tags;
}

// Told in the engine's own words.
bool IsOurs(std::string_view outcome) {
  return outcome == "not_started" || outcome == "unknown" || outcome == "reconciled_not_done" ||
         outcome.starts_with("resolved_");
}

bool WentWell(std::string_view outcome) { return outcome == "ok" || outcome == "reconciled_done"; }

}  // namespace

// ---------------------------------------------------------------- labels

Flows::Label Flows::Join(const Label& a, const Label& b) {
  Label both = a;
  both.trusted = a.trusted && b.trusted;
  both.sources.insert(b.sources.begin(), b.sources.end());
  both.tags.insert(b.tags.begin(), b.tags.end());
  if (a.readers.contains("*")) {
    both.readers = b.readers;
  } else if (!b.readers.contains("*")) {
    std::erase_if(both.readers, [&b](const auto& reader) { return !b.readers.contains(reader); });
  }
  return both;
}

Flows::Label Flows::LabelFrom(const core::Json& json) {
  return {.trusted = json.value("trusted", false),
          .sources = json.value("sources", std::set<std::string>{}),
          .tags = json.value("tags", std::set<std::string>{}),
          .readers = json.value("readers", std::set<std::string>{})};
}

core::Json Flows::JsonOf(const Label& label) {
  return {{"readers", label.readers},
          {"sources", label.sources},
          {"tags", label.tags},
          {"trusted", label.trusted}};
}

// Neither end in the middle of a word.
bool Flows::Holds(std::string_view text, std::string_view words) {
  for (std::size_t at = text.find(words); at != std::string_view::npos;
       at = text.find(words, at + 1)) {
    const std::size_t end = at + words.size();
    const bool before = at > 0 && GoesOn(text[at - 1]) && GoesOn(words.front());
    const bool behind = end < text.size() && GoesOn(text[end]) && GoesOn(words.back());
    if (!before && !behind) return true;
  }
  return false;
}

void Flows::Leaves(const core::Json& value, std::string& words) {
  for (const auto& [name, member] : value.items()) {
    if (value.is_object()) words += name + "\n";
    if (member.is_structured()) Leaves(member, words);
    if (member.is_string()) words += member.get<std::string>() + "\n";
  }
}

Flows::Label Flows::OfModel(const Run& run) {
  return Join(run.all, {.trusted = true, .sources = {"model"}});
}

// The user's own words before those of others; nobody's when untrusted words hold them.
Flows::Label Flows::LabelOf(const Run& run, const core::Json& leaf) {
  if (!leaf.is_string() || leaf.get<std::string>().empty()) return OfModel(run);
  const std::string words = leaf;
  const Text* origin = nullptr;
  for (const Text& text : run.texts) {
    if (!text.label.trusted && text.words.find(words) != std::string::npos) return OfModel(run);
    const bool counts = text.label.trusted && (text.user || words.size() >= kChanceBytes);
    const bool better = origin == nullptr || (text.user && !origin->user);
    if (counts && better && Holds(text.words, words)) origin = &text;
  }
  return origin == nullptr ? OfModel(run) : origin->label;
}

void Flows::Walk(const Run& run, const core::Json& value, const std::string& path,
                 std::map<std::string, Label>& labels) {
  if (!value.is_object() || value.empty()) {
    labels[path] = LabelOf(run, value);
    return;
  }
  for (const auto& [name, member] : value.items()) Walk(run, member, path + "." + name, labels);
}

// As rules see it: what nobody labelled is nobody's.
Flows::Label Flows::OfArgument(const Call& call, const std::string& path) {
  const auto at = call.labels.find(path);
  return at == call.labels.end() ? Label{.trusted = false} : at->second;
}

void Flows::Take(Run& run, Text text) {
  run.all = Join(run.all, text.label);
  run.texts.push_back(std::move(text));
}

// ---------------------------------------------------------------- the log

std::string Flows::TextIn(const audit::Entry& entry, const core::Json& body, const char* field) {
  if (!body.contains(field)) return "";
  auto text = open_(entry.index, body[field].value("slot", 0));
  if (!text) {
    breaches_.push_back("LABELS: entry " + std::to_string(entry.index) + ": its `" + field +
                        "` cannot be opened");
  }
  return std::move(text).value_or("");
}

core::Json Flows::JsonIn(const audit::Entry& entry, const core::Json& body, const char* field) {
  const std::string text = TextIn(entry, body, field);
  auto json = text.empty() ? core::StatusOr<core::Json>(core::Json())
                           : core::ParseJson(text, core::kPayloadLimits);
  return json.ok() ? *std::move(json) : core::Json();
}

void Flows::Compare(const audit::Entry& entry, const std::string& what, const core::Json& recorded,
                    const core::Json& model) {
  ++seen_[what];
  if (recorded == model) return;
  breaches_.push_back("LABELS: run " + entry.run + " entry " + std::to_string(entry.index) + " " +
                      entry.kind + ": " + what + "\nrecorded " + recorded.dump() + "\nmodel    " +
                      model.dump());
}

void Flows::Read(const audit::Entry& entry) {
  constexpr std::array kKinds = {
      "run.started",   "message.received", "answer.checked", "call.decided",  "call.edited",
      "call.intended", "call.outcome",     "call.proposed",  "call.resolved", "result.released"};
  const bool matters = std::find(kKinds.begin(), kKinds.end(), entry.kind) != kKinds.end();
  if (entry.run.empty() || !matters) return;
  const auto parsed = core::ParseJson(entry.bytes, core::kPayloadLimits);
  if (!parsed.ok()) return;  // which the verifier finds
  const core::Json& body = (*parsed)["body"];
  if (entry.kind == "run.started") return Start(entry, body);
  if (entry.kind == "message.received") return Message(entry, body);
  if (entry.kind == "answer.checked") return Answer(entry, body);
  ReadCall(entry, body);
}

void Flows::Start(const audit::Entry& entry, const core::Json& body) {
  Run& run = runs_[entry.run];
  run.agent = body.value("agent", "");
  run.reader = JsonIn(entry, body, "who").value("user", "");
  if (run.reader.empty()) run.reader = body.value("principal", "");
  run.above = body.value("lineage", core::Json::object()).value("call", "");
  Text session{.words = "", .label = {.trusted = true, .sources = {"session"}}};
  Leaves(JsonIn(entry, body, "session"), session.words);
  if (!session.words.empty()) Take(run, std::move(session));
}

// Of what an agent told another: as its arguments were, untrusted where its run had read such.
void Flows::Message(const audit::Entry& entry, const core::Json& body) {
  Run& run = runs_[entry.run];
  const std::string from = body.value("from", "");
  const std::string came = TextIn(entry, body, "text");
  Text text{.words = body.contains("read") ? TextIn(entry, body, "read") : came,
            .label = {.trusted = true, .sources = {from}}};
  if (from == "agent") {
    const Call& call = calls_[run.above];
    const Run& above = runs_[call.run];
    text.label = {};
    for (const auto& [path, label] : call.labels) text.label = Join(text.label, label);
    text.label.trusted = text.label.trusted && above.all.trusted;
    text.label.sources.insert("agent:" + above.agent);
    Compare(entry, "label", JsonOf(LabelFrom(JsonIn(entry, body, "label"))), JsonOf(text.label));
  }
  const bool foreign = came.find("fwd:") != std::string::npos;
  const bool withheld = came.find("private:") != std::string::npos;
  if (!withheld && foreign) {
    ++seen_["foreign message"];
    text.label.trusted = false;
    text.label.tags.insert("fwd");
  }
  Compare(entry, "withheld", body.value("withheld", false), withheld);
  if (withheld) return;
  Compare(entry, "untrusted", !Words(body, "labels", "untrusted").empty(), !text.label.trusted);
  Compare(entry, "tags", TagsIn(body), text.label.tags);
  text.user = from == "user" && text.label.trusted;
  Take(run, std::move(text));
}

void Flows::ReadCall(const audit::Entry& entry, const core::Json& body) {
  Call& call = calls_[body.value("call", "")];
  if (entry.kind == "call.proposed") {
    call.run = entry.run;
    call.tool = body.value("tool", "");
    call.proposed = TextIn(entry, body, "args");
  } else if (entry.kind == "call.edited") {
    call.edited = TextIn(entry, body, "args");
  } else if (entry.kind == "call.decided") {
    Decide(entry, body, call);
  } else if (entry.kind == "call.intended") {
    call.outcome.clear();
    call.error.clear();
  } else if (entry.kind == "call.outcome") {
    End(entry, body, call);
  } else if (entry.kind == "call.resolved" && body.value("complete", false)) {
    const bool happened = body.value("happened", false);
    call.outcome = happened ? "resolved_done" : "resolved_not_done";
    call.error = happened ? "" : "a person found that it did not take effect";
  } else if (entry.kind == "result.released") {
    Release(entry, body, call);
  }
}

void Flows::Decide(const audit::Entry& entry, const core::Json& body, Call& call) {
  const Run& run = runs_[entry.run];
  if (body.contains("now_us")) {  // otherwise no rule was asked
    Compare(entry, "untrusted", body.value("untrusted", false), !run.all.trusted);
  }
  call.labels.clear();
  if (!body.contains("labels")) return;
  const std::string text = body.contains("args")
                               ? TextIn(entry, body, "args")
                               : (call.edited.empty() ? call.proposed : call.edited);
  const auto args = core::ParseJson(text, core::kPayloadLimits);
  if (args.ok()) Walk(run, *args, "args", call.labels);
  core::Json model = core::Json::object();
  for (const auto& [path, label] : call.labels) model[path] = JsonOf(label);
  Compare(entry, "labels of arguments", JsonIn(entry, body, "labels"), model);
  if (call.tool == kPost) Obey(entry, body, call, run);
}

// What the rules say of a letter, whatever else stands against it.
void Flows::Obey(const audit::Entry& entry, const core::Json& body, const Call& call,
                 const Run& run) {
  const bool known = OfArgument(call, "args.to").trusted;
  const bool quoted = OfArgument(call, "args.text").tags.contains("fwd");
  std::set<std::string> fired;
  for (const core::Json& rule : body.value("rules", core::Json::array())) {
    const std::string id = rule.value("id", "");
    fired.insert(id.substr(id.rfind('/') + 1));
  }
  const std::string effect = body.value("effect", "");
  const bool passes = effect == "allow" || effect == "ask";
  if (passes) Compare(entry, "passes", true, known && !quoted);
  if (effect == "ask") Compare(entry, "asked for what was read", true, !run.all.trusted);
  const bool unasked = effect == "allow" && body.value("code", "") != "APPROVED";
  if (unasked) Compare(entry, "unasked", true, run.all.trusted);
  const std::string code = body.value("code", "");
  if (code == "UNKNOWN_TO") Compare(entry, "known", false, known);
  if (code == "QUOTED") Compare(entry, "quoted", true, quoted);
  if (passes) Compare(entry, "after-mail", fired.contains("after-mail"), !run.all.trusted);
}

void Flows::End(const audit::Entry& entry, const core::Json& body, Call& call) {
  call.outcome = body.value("kind", "");
  call.error = TextIn(entry, body, "detail");
  call.result = JsonIn(entry, body, "result");
  call.flow_then = !runs_[entry.run].all.trusted;
  if (!body.contains("ended_label")) return;
  call.ended = LabelFrom(JsonIn(entry, body, "ended_label"));
  const std::string below = body["ended"].value("run", "");
  Label model = OfModel(runs_[below]);
  model.sources.insert("tool:" + call.tool);
  Compare(entry, "label of what it started", JsonOf(*call.ended), JsonOf(model));
}

// A look-up says for a tool what came of its call; it is one of ours.
Flows::Shown Flows::Judge(const Call& call, const Run& run) {
  Shown shown;
  shown.label.sources = {"tool:" + call.tool};
  shown.label.readers = {run.reader};
  if (call.ended) shown.label = *call.ended;
  if (IsOurs(call.outcome)) return shown;
  if (call.tool == kReadMail) {
    shown.label.trusted = false;
    shown.label.tags.insert("mail");
  }
  if (call.tool != kFindPayee) return shown;
  const Label id = OfArgument(call, "args.id");
  shown.withheld = call.flow_then && !id.trusted;
  if (shown.withheld) return shown;
  if (call.flow_then) shown.label.tags.insert("late");
  if (!call.flow_then && !id.sources.contains("user")) shown.label.tags.insert("unasked");
  shown.changed = WentWell(call.outcome) && id.sources.contains("session");
  return shown;
}

void Flows::Release(const audit::Entry& entry, const core::Json& body, const Call& call) {
  Run& run = runs_[entry.run];
  const Shown shown = Judge(call, run);
  const bool withheld = body.value("withheld", true);
  Compare(entry, "withheld", withheld, shown.withheld);
  if (withheld) Compare(entry, "code of a withheld result", body.value("code", ""), "NOT_ASKED");
  if (shown.changed) ++seen_["changed result"];
  Compare(entry, "changed", body.contains("result"), shown.changed);
  Compare(entry, "untrusted", !Words(body, "labels", "untrusted").empty(), !shown.label.trusted);
  Compare(entry, "tags", TagsIn(body), shown.label.tags);
  Text text{.words = "", .label = shown.label};
  const std::string say = TextIn(entry, body, "say");
  if (!call.error.empty()) {
    text.words = (withheld ? say : call.error) + "\n";
  } else if (withheld) {
    Leaves({{"withheld", {{"code", body.value("code", "")}, {"say", say}}}}, text.words);
  } else if (WentWell(call.outcome)) {
    Leaves(body.contains("result") ? JsonIn(entry, body, "result") : call.result, text.words);
  }
  Take(run, std::move(text));
}

// The planner's secret goes out of no run that has read what nobody trusts.
void Flows::Answer(const audit::Entry& entry, const core::Json& body) {
  const bool refused = body.value("code", "") == "SECRET";
  if (refused || body.contains("text")) {
    Compare(entry, "kept secret", refused, !runs_[entry.run].all.trusted);
  }
}

}  // namespace interlock::runtime::sim
