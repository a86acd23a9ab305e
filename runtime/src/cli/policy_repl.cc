// policy repl: one call, changed and decided again, line by line.
#include <CLI/CLI.hpp>
#include <iostream>
#include <ostream>

#include "cli/policy_record.h"
#include "config/utf8.h"
#include "policies/explain.h"
#include "policies/flip.h"

namespace interlock::runtime::cli {
namespace {

constexpr std::size_t kLineBytesMax = 64 * 1024;

struct ReplOptions : PolicyFolder, RecordedOptions {
  std::string call;
  std::string tool;
};

constexpr char kHelp[] =
    "PATH = JSON    set a value (args.amount = 20); null takes it away\n"
    "show           the call as it is now\n"
    "rules          every rule, and why it had nothing to say\n"
    "flips          the smallest changes that turn the verdict\n"
    "reset          the call as it was recorded\n"
    "reload         the policies as they are on disk now\n"
    "quit\n";

class Repl {
 public:
  Repl(Session& session, const ReplOptions& options, policies::RecordedDecision first)
      : session_(session), options_(options), first_(std::move(first)), stated_(first_.input) {}

  // The bundle as it was where the new one cannot stand in its place.
  core::Status Reload() {
    INTERLOCK_ASSIGN_OR_RETURN(const auto registry, LoadTools(options_));
    INTERLOCK_ASSIGN_OR_RETURN(auto bundle, LoadBundle(options_, *registry, nullptr));
    INTERLOCK_ASSIGN_OR_RETURN(auto engine, policies::Engine::Make(bundle));
    const std::string why = first_.call.empty() ? "" : policies::WhyUndecidable(*bundle, first_);
    if (!why.empty()) return core::FailedPrecondition(why);
    bundle_ = std::move(bundle);
    engine_ = std::move(engine);
    return core::OkStatus();
  }

  // False: no more lines.
  bool Take(const std::string& line) {
    const core::Status done = Do(line);
    if (!done.ok()) out() << "error: " << EscapeForTerminal(core::Message(done)) << '\n';
    return !quit_;
  }

  core::Status Decide() {
    INTERLOCK_ASSIGN_OR_RETURN(const auto call, policies::StatedCall::Make(*bundle_, stated_));
    for (const std::string& fact : call->missing_facts()) {
      out() << "no fact `" << EscapeForTerminal(fact) << "` is stated; set facts."
            << EscapeForTerminal(fact) << '\n';
    }
    out() << EscapeLines(policies::Explain(engine_->Decide(call->input())), 0) << '\n';
    return core::OkStatus();
  }

 private:
  core::Status Do(const std::string& line) {
    if (!IsUtf8(line)) return core::InvalidArgument("a line of other than UTF-8 text");
    const std::size_t equals = line.find('=');
    const std::string word = Trim(line.substr(0, equals));
    if (equals != std::string::npos) return Set(word, Trim(line.substr(equals + 1)));
    if (word.empty()) return Decide();
    if (word == "show") return Show();
    if (word == "rules") return Rules();
    if (word == "flips") return Flips();
    if (word == "quit" || word == "exit") return Quit();
    if (word == "help") return Help();
    if (word == "reset") {
      stated_ = first_.input;
      return Decide();
    }
    if (word == "reload") {
      INTERLOCK_RETURN_IF_ERROR(Reload());
      return Decide();
    }
    return core::InvalidArgument("`" + word + "` is no command; type help");
  }

  static std::string Trim(const std::string& text) {
    const std::size_t first = text.find_first_not_of(" \t\r");
    if (first == std::string::npos) return "";
    return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
  }

  core::Status Set(const std::string& path, const std::string& text) {
    auto value = core::ParseJson(text, core::kArgsLimits);
    if (!value.ok()) {
      return core::InvalidArgument("`" + text + "` is no JSON value; texts stand in quotes");
    }
    if (!policies::SetStatedPath(stated_, path, *value)) {
      return core::InvalidArgument("a call has no `" + path +
                                   "`; write args.x, facts.x, session.x, user, agent or "
                                   "flow.untrusted");
    }
    return Decide();
  }

  core::Status Show() {
    out() << EscapeLines(PrettyJson(stated_), 0) << '\n';
    return core::OkStatus();
  }

  core::Status Rules() {
    INTERLOCK_ASSIGN_OR_RETURN(const auto call, policies::StatedCall::Make(*bundle_, stated_));
    for (const policies::RuleTrace& trace : engine_->Trace(call->input())) {
      out() << EscapeForTerminal(trace.outcome) << "  " << EscapeForTerminal(trace.id) << " ("
            << EscapeForTerminal(trace.file) << ':' << trace.line << ")"
            << (trace.why.empty() ? "" : ": ") << EscapeForTerminal(trace.why) << '\n';
    }
    return core::OkStatus();
  }

  core::Status Flips() {
    INTERLOCK_ASSIGN_OR_RETURN(const auto call, policies::StatedCall::Make(*bundle_, stated_));
    for (const policies::Flip& flip : policies::FindFlips(bundle_, call->input())) {
      out() << EscapeForTerminal(flip.verdict) << " with " << EscapeForTerminal(flip.path) << " = "
            << EscapeForTerminal(core::CanonicalJson(flip.to)) << '\n';
    }
    return core::OkStatus();
  }

  core::Status Help() {
    out() << kHelp;
    return core::OkStatus();
  }

  core::Status Quit() {
    quit_ = true;
    return core::OkStatus();
  }

  std::ostream& out() { return session_.io.out; }

  Session& session_;
  const ReplOptions& options_;
  const policies::RecordedDecision first_;  // without a call: begun anew
  core::Json stated_;
  std::shared_ptr<const policies::Bundle> bundle_;
  std::unique_ptr<policies::Engine> engine_;
  bool quit_ = false;
};

core::StatusOr<policies::RecordedDecision> FirstCall(Session& session, const ReplOptions& options) {
  if (options.call.empty()) {
    policies::RecordedDecision anew;
    anew.tool = options.tool;
    anew.input = {{"tool", options.tool}};
    if (!options.tool.empty()) return anew;
    return core::InvalidArgument("give --call of a recorded decision, or --tool to begin anew");
  }
  return LoadRecordedCall(session, options, options.call);
}

int Run(Session& session, const ReplOptions& options) {
  const auto first = FirstCall(session, options);
  if (!first.ok()) return Fail(session, first.status());
  Repl repl(session, options, *first);
  core::Status ready = repl.Reload();
  if (ready.ok()) ready = repl.Decide();
  if (!ready.ok()) return Fail(session, ready);
  for (std::string line; std::getline(std::cin, line);) {
    if (line.size() > kLineBytesMax) return Fail(session, core::InvalidArgument("a line too long"));
    if (!repl.Take(line)) break;
  }
  return kYes;
}

}  // namespace

void AddPolicyReplCommand(CLI::App& group, Session& session) {
  auto options = std::make_shared<ReplOptions>();
  CLI::App* repl =
      group.add_subcommand("repl", "Change a call and see what is decided, line by line");
  AddFolder(repl, *options);
  AddRecorded(repl, *options);
  repl->add_option("--call", options->call, "The call to begin with, as it was recorded");
  repl->add_option("--tool", options->tool, "Or a tool, with nothing stated yet");
  Does(repl, session, [&session, options] { return Run(session, *options); });
}

}  // namespace interlock::runtime::cli
