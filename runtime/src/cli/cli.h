// The command line `interlock`: parses, picks the command, runs it, answers with an exit code (see
// io.h).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "cli/client.h"
#include "cli/io.h"
#include "core/status.h"

namespace CLI {  // NOLINT(readability-identifier-naming): the library's own name
class App;
class Validator;
}  // namespace CLI

namespace interlock::runtime::cli {

// What the commands of one invocation share. Not thread-safe.
struct Session {
  Io& io;
  std::string
      program_folder;  // where `interlock` itself lies: `interlockd` is looked for beside it
  Endpoint endpoint;
  std::string token_file;
  std::function<int()> action;  // set by the command that was given

  // A client for the options given. Errors: kInvalidArgument or kNotFound for the token file.
  core::StatusOr<std::unique_ptr<Client>> Connect();
};

// Runs one command line; `argv[0]` is the program. Throws nothing.
int RunCli(int argc, const char* const* argv, Io& io);

// Makes `action` what `command` does when it is the one given.
void Does(CLI::App* command, Session& session, std::function<int()> action);

// A group of commands: `interlock NAME COMMAND …`; one of them must be given.
CLI::App* AddGroup(CLI::App& app, const std::string& name, const std::string& description);

// Where each group registers itself.
void AddRunCommands(CLI::App& app, Session& session);
void AddReplayCommand(CLI::App& group, Session& session);  // of `runs`
void AddApprovalCommands(CLI::App& app, Session& session);
void AddCallCommands(CLI::App& app, Session& session);           // calls and budgets
void AddBudgetModelsCommand(CLI::App& group, Session& session);  // of `budgets`
void AddRolloutCommands(CLI::App& app, Session& session);
void AddSwitchCommands(CLI::App& app, Session& session);
void AddToolCommands(CLI::App& app, Session& session);
void AddAuditCommands(CLI::App& app, Session& session);
void AddSignerCommands(CLI::App& group, Session& session);        // of `audit`
void AddRotateCommand(CLI::App& group, Session& session);         // of `audit`
void AddRebuildCommand(CLI::App& group, Session& session);        // of `audit`
void AddAuditContentCommands(CLI::App& group, Session& session);  // query, search, erase, …
void AddPolicyCommands(CLI::App& app, Session& session);
void AddSandboxCommands(CLI::App& app, Session& session);
void AddDoctorCommand(CLI::App& app, Session& session);
void AddEvalCommand(CLI::App& app, Session& session);

// How a page ended: the token of the next one (empty: none) and how many items it held.
struct PageEnd {
  std::string next;
  int count = 0;
};
// Pages through a list until `limit` items were fetched, and says so on `io.err` when there are
// more. `fetch` takes a page size and a token.
core::Status EachPage(const Io& io, int limit,
                      const std::function<core::StatusOr<PageEnd>(int, const std::string&)>& fetch);
// "Only the first N are here": a list that was cut must not be read as all there is.
void SayCut(const Io& io, int limit);

// For an option that is an entry's number or a log's size: from `least` on.
CLI::Validator NumberFrom(std::int64_t least);
// For an option that is the id, or the whole name, of one of `group`: "runs", "calls" or
// "approvals".
CLI::Validator IdOfOne(const std::string& group);

// "name=value" options as pairs. Errors: kInvalidArgument.
core::StatusOr<std::vector<std::pair<std::string, std::string>>> ParsePairs(
    const std::vector<std::string>& texts);

// Prints an error and gives its exit code; for use as `if (!x.ok()) return Fail(session,
// x.status());`.
int Fail(const Session& session, const core::Status& status);

}  // namespace interlock::runtime::cli
