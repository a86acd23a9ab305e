// policy explain: one call, what every rule said of it, and what would turn the verdict.
#include <CLI/CLI.hpp>
#include <ostream>

#include "cli/policy_folder.h"
#include "cli/policy_record.h"
#include "core/clock.h"
#include "policies/explain.h"
#include "policies/flip.h"

namespace interlock::runtime::cli {
namespace {

struct ExplainOptions : PolicyFolder, RecordedOptions {
  std::string call;  // of a recorded decision; then nothing else is stated
  std::string tool;
  std::string args;
  std::string user;
  std::string session;
  std::string facts;
  std::string agent = "cli";
  std::string principal = "cli";
  std::vector<std::string> roles;
  std::string now;
  bool untrusted = false;
};

// A world in which nothing was spent or counted yet.
class EmptyState final : public policies::StateReader {
 public:
  policies::VersionedRead BudgetUsed(const policies::BudgetDecl& budget,
                                     std::string_view scope) const override {
    return {"budget/" + budget.name + "/" + std::string(scope), 0, 0};
  }
  policies::VersionedRead Count(std::string_view key, std::int64_t, std::int64_t) const override {
    return {"counter/" + std::string(key), 0, 0};
  }
  policies::VersionedRead Sum(std::string_view key, std::int64_t, std::int64_t) const override {
    return {"counter/" + std::string(key), 0, 0};
  }
};

// What DecisionInput borrows from.
struct StatedInput {
  tools::CanonicalArgs args;
  core::Json session = core::Json::object();
  std::vector<policies::Fact> facts;
  std::int64_t now_us = 0;
};

core::StatusOr<core::Json> ParseObject(const std::string& text, const char* option) {
  if (text.empty()) return core::Json::object();
  auto value = core::ParseJson(text, core::kArgsLimits);
  if (!value.ok() || !value->is_object()) {
    return core::InvalidArgument(
        std::string(option) + " is no JSON object" +
        (value.ok() ? "" : ": " + std::string(core::Message(value.status()))));
  }
  return value;
}

core::StatusOr<StatedInput> ReadInput(const ExplainOptions& options,
                                      const tools::Registry& registry) {
  StatedInput input;
  const auto tool = registry.Find(options.tool);
  if (tool == nullptr) {
    return core::NotFound("no tool `" + options.tool +
                          "` among the manifests; give their folder with --tools");
  }
  INTERLOCK_ASSIGN_OR_RETURN(input.args, tool->ValidateArgs(std::string_view(options.args)));
  INTERLOCK_ASSIGN_OR_RETURN(input.session, ParseObject(options.session, "--session"));
  INTERLOCK_ASSIGN_OR_RETURN(const core::Json facts, ParseObject(options.facts, "--facts"));
  for (const auto& [name, value] : facts.items()) input.facts.push_back({name, true, value, ""});
  input.now_us = core::SystemClock().WallMicros();
  if (!options.now.empty()) {
    INTERLOCK_ASSIGN_OR_RETURN(input.now_us, ParseTime(options.now));
  }
  return input;
}

// Borrows from all of its arguments.
policies::DecisionInput InputOf(const ExplainOptions& options, const StatedInput& input,
                                std::string_view effect, const policies::StateReader& state) {
  policies::DecisionInput in;
  in.call = {"00000000-0000-7000-8000-000000000000", "", options.tool, effect, options.agent, 0};
  in.tenant = "main";
  in.principal = options.principal;
  in.principal_roles = &options.roles;
  in.user = options.user;
  in.args = &input.args.value;
  in.args_text = input.args.text;
  in.session = &input.session;
  in.facts = &input.facts;
  in.now_us = input.now_us;
  in.flow_untrusted = options.untrusted;
  in.state = &state;
  return in;
}

void PrintTraces(const Io& io, const std::vector<policies::RuleTrace>& traces) {
  for (const policies::RuleTrace& trace : traces) {
    const bool quiet = trace.outcome == "abstained" || trace.outcome == "not applicable";
    if (!quiet) continue;
    io.out << io.Paint(Style::kDim, "  " + EscapeForTerminal(trace.outcome)) << "  "
           << EscapeForTerminal(trace.id) << " (" << EscapeForTerminal(trace.file) << ':'
           << trace.line << "): " << EscapeForTerminal(trace.why) << '\n';
  }
}

void PrintFlips(const Io& io, const std::vector<policies::Flip>& flips) {
  for (const policies::Flip& flip : flips) {
    io.out << io.Paint(Style::kDim, "  it would be ") << EscapeForTerminal(flip.verdict)
           << io.Paint(Style::kDim, " with ") << EscapeForTerminal(flip.path) << " = "
           << EscapeForTerminal(core::CanonicalJson(flip.to))
           << io.Paint(Style::kDim, " instead of ")
           << EscapeForTerminal(core::CanonicalJson(flip.from)) << '\n';
  }
}

core::Json FlipsJson(const std::vector<policies::Flip>& flips) {
  core::Json list = core::Json::array();
  for (const policies::Flip& flip : flips) {
    list.push_back(
        {{"path", flip.path}, {"from", flip.from}, {"to", flip.to}, {"verdict", flip.verdict}});
  }
  return list;
}

core::Json TracesJson(const std::vector<policies::RuleTrace>& traces) {
  core::Json list = core::Json::array();
  for (const policies::RuleTrace& trace : traces) {
    list.push_back({{"id", trace.id},
                    {"outcome", trace.outcome},
                    {"why", trace.why},
                    {"file", trace.file},
                    {"line", trace.line}});
  }
  return list;
}

// `then`: what the record says of it, null where there is none.
int PrintExplained(Session& session, const std::shared_ptr<const policies::Bundle>& bundle,
                   policies::Engine& engine, const policies::DecisionInput& in,
                   policies::Decision decision, const core::Json& then) {
  decision.input_digest = policies::InputDigest(in);
  const std::vector<policies::RuleTrace> traces = engine.Trace(in);
  const std::vector<policies::Flip> flips = policies::FindFlips(bundle, in);
  if (session.io.json) {
    core::Json json = core::Json::parse(policies::CanonicalDecision(decision));
    json["considered"] = TracesJson(traces);
    json["flips"] = FlipsJson(flips);
    if (!then.is_null()) json["then"] = then;
    PrintJson(session.io, json);
  } else {
    session.io.out << EscapeLines(policies::Explain(decision), 0) << '\n';
    PrintTraces(session.io, traces);
    PrintFlips(session.io, flips);
  }
  if (decision.verdict == policies::Verdict::kDeny) return kNo;
  return decision.verdict == policies::Verdict::kAsk ? kIncomplete : kYes;
}

// What was decided then, and whether the same is decided about now.
core::Json ThenJson(const policies::RecordedDecision& recorded, const policies::Bundle& bundle,
                    const policies::DecisionInput& in) {
  core::Json then = {
      {"verdict", recorded.verdict},
      {"code", recorded.code},
      {"same_bundle", recorded.bundle == core::DigestName(bundle.id())},
      {"same_input", recorded.digest == core::DigestName(policies::InputDigest(in))}};
  if (!recorded.bundle.empty()) then["bundle"] = recorded.bundle;
  if (!recorded.gate.empty()) then["gate"] = recorded.gate;
  return then;
}

std::string ThenText(const policies::RecordedDecision& recorded, const core::Json& then) {
  std::string text = "then: " + recorded.verdict + " " + recorded.code;
  if (!recorded.gate.empty()) text += ", refused by the gate (" + recorded.gate + ")";
  if (then["same_bundle"] == true) text += ", by this bundle";
  if (then["same_bundle"] == false && !recorded.bundle.empty()) text += ", by " + recorded.bundle;
  if (then["same_input"] == true) return text + ", from the same input";
  return text + (recorded.digest.empty() ? "; its record does not say from what"
                                         : "; its input cannot be rebuilt byte for byte");
}

// A decision of the log, by these policies: the ones in force then give the same one again.
int ExplainRecorded(Session& session, const ExplainOptions& options,
                    const std::shared_ptr<const policies::Bundle>& bundle) {
  const auto recorded = LoadRecordedCall(session, options, options.call);
  if (!recorded.ok()) return Fail(session, recorded.status());
  if (const std::string why = policies::WhyUndecidable(*bundle, *recorded); !why.empty()) {
    return Fail(session, core::FailedPrecondition(why));
  }
  const auto engine = policies::Engine::Make(bundle);
  if (!engine.ok()) return Fail(session, engine.status());
  const auto first = policies::StatedCall::Make(*bundle, recorded->input);
  if (!first.ok()) return Fail(session, first.status());
  const auto is = policies::DecideInRounds(
      *bundle, recorded->input,
      [&](const policies::DecisionInput& in) { return (*engine)->Decide(in); });
  if (!is.ok()) return Fail(session, is.status());
  const core::Json then = ThenJson(*recorded, *bundle, (*first)->input());
  if (!session.io.json) {
    std::string text = ThenText(*recorded, then);
    if (is->rounds > 0) text += "; below, as rules changed it";
    session.io.out << session.io.Paint(Style::kDim, EscapeForTerminal(text)) << '\n';
  }
  return PrintExplained(session, bundle, **engine, is->call->input(), is->decision, then);
}

int Explain(Session& session, const ExplainOptions& options) {
  const auto registry = LoadTools(options);
  if (!registry.ok()) return Fail(session, registry.status());
  const auto bundle = LoadBundle(options, **registry, nullptr);
  if (!bundle.ok()) return Fail(session, bundle.status());
  if (!options.call.empty()) {
    if (!options.tool.empty() || !options.args.empty()) {
      return Fail(session, core::InvalidArgument("give --call, or --tool and --args, not both"));
    }
    return ExplainRecorded(session, options, *bundle);
  }
  const auto engine = policies::Engine::Make(*bundle);
  if (!engine.ok()) return Fail(session, engine.status());
  if (options.tool.empty() || options.args.empty()) {
    return Fail(session, core::InvalidArgument("give --call, or --tool and --args"));
  }
  const auto input = ReadInput(options, **registry);
  if (!input.ok()) return Fail(session, input.status());
  const auto effect = tools::EffectName((*registry)->Find(options.tool)->manifest().effect);
  const EmptyState state;
  const policies::DecisionInput in = InputOf(options, *input, effect, state);
  return PrintExplained(session, *bundle, **engine, in, (*engine)->Decide(in), core::Json());
}

}  // namespace

void AddPolicyExplainCommand(CLI::App& group, Session& session) {
  auto options = std::make_shared<ExplainOptions>();
  CLI::App* explain =
      group.add_subcommand("explain", "Decide one call and say which rule said what");
  AddFolder(explain, *options);
  AddRecorded(explain, *options);
  explain->add_option("--call", options->call, "A recorded decision, instead of all below");
  explain->add_option("--tool", options->tool, "The tool");
  explain->add_option("--args", options->args, "Its arguments: a JSON object");
  explain->add_option("--user", options->user, "The authenticated user");
  explain->add_option("--session", options->session, "Trusted session values: a JSON object");
  explain->add_option("--facts", options->facts,
                      "What look-ups gave: a JSON object, name to value");
  explain->add_option("--agent", options->agent, "The agent that proposes it")
      ->capture_default_str();
  explain->add_option("--principal", options->principal, "Who made the run")->capture_default_str();
  explain->add_option("--role", options->roles, "A role of the principal; may be repeated");
  explain->add_flag("--untrusted", options->untrusted, "The plan has read untrusted content");
  explain->add_option("--now", options->now, "Time of the decision (default: now)");
  Does(explain, session, [&session, options] { return Explain(session, *options); });
}

}  // namespace interlock::runtime::cli
