// tools list|show|call|check.
#include <CLI/CLI.hpp>
#include <filesystem>
#include <ostream>

#include "cli/calls.h"
#include "cli/cli.h"
#include "cli/message_json.h"
#include "cli/output_file.h"
#include "tools/tool.h"

namespace interlock::runtime::cli {
namespace {

struct CallOptions {
  std::string tool;
  std::string args;
  std::string user;
  std::string subject;
  std::string session;
  std::string request_id;
  std::vector<std::string> vars;
  std::string proof;  // file; empty: none is waited for
  bool cosigned = false;
};

core::StatusOr<std::vector<wire::Tool>> AllTools(const Io& io, const Client& client) {
  std::vector<wire::Tool> tools;
  wire::ListToolsRequest request;
  request.set_parent(client.parent());
  INTERLOCK_RETURN_IF_ERROR(
      EachPage(io, 1'000'000, [&](int size, const std::string& token) -> core::StatusOr<PageEnd> {
        request.set_page_size(size);
        request.set_page_token(token);
        INTERLOCK_ASSIGN_OR_RETURN(
            const wire::ListToolsResponse page,
            client.Call(client.tools, &wire::ToolService::Stub::ListTools, request));
        tools.insert(tools.end(), page.tools().begin(), page.tools().end());
        return PageEnd{page.next_page_token(), page.tools_size()};
      }));
  return tools;
}

std::string EffectText(const wire::Tool& tool) {
  return EnumText(*wire::Tool::Effect_descriptor(), tool.effect());
}

int ListTools(Session& session) {
  auto client = session.Connect();
  if (!client.ok()) return Fail(session, client.status());
  const auto tools = AllTools(session.io, **client);
  if (!tools.ok()) return Fail(session, tools.status());
  Table table({"TOOL", "EFFECT", "DIGEST", "DESCRIPTION"});
  core::Json list = core::Json::array();
  for (const wire::Tool& tool : *tools) {
    list.push_back(MessageJson(tool));
    table.Add({tool.tool(), EffectText(tool), tool.digest().substr(0, 12), tool.description()});
  }
  if (session.io.json) {
    PrintJson(session.io, {{"tools", list}});
  } else {
    table.Print(session.io);
  }
  return kYes;
}

int Show(Session& session, const std::string& name) {
  auto client = session.Connect();
  if (!client.ok()) return Fail(session, client.status());
  const auto tools = AllTools(session.io, **client);
  if (!tools.ok()) return Fail(session, tools.status());
  for (const wire::Tool& tool : *tools) {
    if (tool.tool() != name) continue;
    const Io& io = session.io;
    if (io.json) return PrintJson(io, MessageJson(tool)), kYes;
    io.out << io.Paint(Style::kBold, EscapeForTerminal(tool.tool())) << "  " << EffectText(tool)
           << '\n'
           << EscapeLines(tool.description(), 2) << '\n'
           << "digest     " << EscapeForTerminal(tool.digest()) << '\n'
           << "arguments  " << EscapeForTerminal(tool.input_schema_json()) << '\n';
    if (!tool.result_schema_json().empty()) {
      io.out << "result     " << EscapeForTerminal(tool.result_schema_json()) << '\n';
    }
    return kYes;
  }
  return Fail(session, core::NotFound("no tool `" + name + "`; see `interlock tools list`"));
}

void FillCall(const CallOptions& options, wire::ToolCall& call) {
  call.set_tool(options.tool);
  call.set_args_json(options.args);
  call.set_user(options.user);
  call.set_subject(options.subject);
  call.set_session_json(options.session);
}

wire::WaitCheckpoint WaitOf(const CallOptions& options) {
  if (options.proof.empty()) return wire::WAIT_CHECKPOINT_UNSPECIFIED;
  return options.cosigned ? wire::WAIT_CHECKPOINT_COSIGNED : wire::WAIT_CHECKPOINT_SIGNED;
}

// The call stands whether or not its proof came in time.
core::Status KeepProof(const wire::Call& call, const std::string& file) {
  const wire::Receipt& receipt = call.newest_entry();
  if (receipt.tlog_proof().empty()) {
    return core::Unavailable(
        "the call is done, its proof did not come in time; ask for it with "
        "`interlock audit proof " +
        std::to_string(receipt.index()) + "`");
  }
  return WriteWhole(file, receipt.tlog_proof());
}

// Before the call is made: afterwards it is too late to name another file.
core::Status CheckProofFile(const std::string& file) {
  if (file.empty()) return core::OkStatus();
  return OutputFile::Make(file, ReadableBy::kUmask, IfThere::kReplace).status();
}

int Execute(Session& session, const CallOptions& options) {
  if (const core::Status may = CheckProofFile(options.proof); !may.ok()) return Fail(session, may);
  auto client = session.Connect();
  if (!client.ok()) return Fail(session, client.status());
  wire::ExecuteToolCallRequest request;
  request.set_parent((*client)->parent());
  request.set_request_id(options.request_id.empty() ? NewRequestId() : options.request_id);
  FillCall(options, *request.mutable_call());
  request.set_wait_checkpoint(WaitOf(options));
  const auto call =
      (*client)->Call((*client)->tools, &wire::ToolService::Stub::ExecuteToolCall, request);
  if (!call.ok()) return Fail(session, call.status());
  PrintCall(session.io, *call);
  if (!options.proof.empty()) {
    if (const core::Status kept = KeepProof(*call, options.proof); !kept.ok()) {
      Fail(session, kept);
      return kIncomplete;
    }
  }
  if (call->state() == wire::Call::STATE_PARKED && !session.io.json) {
    session.io.err << "parked; once approved, ask again with --request-id " << request.request_id()
                   << '\n';
  }
  return ExitCodeOf(*call);
}

int DryRun(Session& session, const CallOptions& options) {
  auto client = session.Connect();
  if (!client.ok()) return Fail(session, client.status());
  wire::CheckToolCallRequest request;
  request.set_parent((*client)->parent());
  FillCall(options, *request.mutable_call());
  const auto call =
      (*client)->Call((*client)->tools, &wire::ToolService::Stub::CheckToolCall, request);
  if (!call.ok()) return Fail(session, call.status());
  PrintCall(session.io, *call);
  return ExitCodeOfCheck(*call);
}

// Reads a folder of manifests as the daemon would; no daemon is needed.
int CheckFolder(Session& session, const CallOptions& options) {
  const auto vars = ParsePairs(options.vars);
  if (!vars.ok()) return Fail(session, vars.status());
  const auto registry = interlock::tools::Registry::Load(options.tool, *vars);
  if (!registry.ok()) {
    PrintError(session.io, registry.status());
    return registry.status().code() == core::StatusCode::kInvalidArgument ? kNo : kCouldNotTell;
  }
  Table table({"TOOL", "EFFECT", "RUNS AS", "LEVEL", "DIGEST"});
  core::Json list = core::Json::array();
  for (const auto& tool : (*registry)->tools()) {
    const auto& manifest = tool->manifest();
    const std::string effect(interlock::tools::EffectName(manifest.effect));
    const bool process = manifest.process.has_value();
    const std::string level(process ? sandbox::LevelName(manifest.process->level_min) : "-");
    const std::string digest = core::Hex(tool->digest());
    table.Add({manifest.name, effect,
               process         ? "process"
               : manifest.http ? "http"
                               : "builtin",
               level, digest.substr(0, 12)});
    list.push_back(
        {{"tool", manifest.name}, {"effect", effect}, {"level_min", level}, {"digest", digest}});
  }
  if (session.io.json) {
    PrintJson(session.io, {{"tools", list}});
  } else {
    table.Print(session.io);
  }
  return kYes;
}

int Check(Session& session, const CallOptions& options) {
  std::error_code error;
  if (!options.args.empty()) return DryRun(session, options);
  if (std::filesystem::is_directory(options.tool, error)) return CheckFolder(session, options);
  return Fail(session, core::InvalidArgument(
                           "`" + options.tool +
                           "` is no folder of manifests; to check a call of a tool, add --args"));
}

void AddCallOptions(CLI::App* command, CallOptions& options) {
  command->add_option("--user", options.user, "The end user, as you have authenticated him");
  command->add_option("--subject", options.subject,
                      "Whose key seals the content (default: the user)");
  command->add_option("--session", options.session,
                      "Trusted values for policies and tools: a JSON object");
}

}  // namespace

void AddToolCommands(CLI::App& app, Session& session) {
  CLI::App* group = AddGroup(app, "tools", "Tools: list, show, call through the gate, check");
  CLI::App* list = group->add_subcommand("list", "List the tenant's tools");
  Does(list, session, [&session] { return ListTools(session); });

  auto options = std::make_shared<CallOptions>();
  CLI::App* show = group->add_subcommand("show", "Show a tool");
  show->add_option("TOOL", options->tool)->required();
  Does(show, session, [&session, options] { return Show(session, options->tool); });

  CLI::App* call = group->add_subcommand("call", "Make one call through the gate, without a run");
  call->add_option("TOOL", options->tool)->required();
  call->add_option("--args", options->args, "Arguments: a JSON object")->required();
  call->add_option("--request-id", options->request_id,
                   "UUID: a repeat attaches to the call and never runs it twice");
  call->add_option("--proof", options->proof,
                   "Wait for the proof that its newest entry is in the log, and keep it here");
  call->add_flag("--cosigned", options->cosigned,
                 "With --proof: under a head that a witness cosigned");
  AddCallOptions(call, *options);
  Does(call, session, [&session, options] { return Execute(session, *options); });

  CLI::App* check = group->add_subcommand(
      "check",
      "Check a folder of manifests, or (with --args) what the gate would say to a call now: policy "
      "and log, without what only shows while a call is made (calls at work on the same object, a "
      "place to run in, a record that is too long)");
  check->add_option("FOLDER_OR_TOOL", options->tool)->required();
  check->add_option("--args", options->args, "Arguments of the call to judge: a JSON object");
  check->add_option("--var", options->vars, "NAME=VALUE for ${NAME} in manifests; may be repeated");
  AddCallOptions(check, *options);
  Does(check, session, [&session, options] { return Check(session, *options); });
}

}  // namespace interlock::runtime::cli
