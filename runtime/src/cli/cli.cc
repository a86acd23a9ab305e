#include "cli/cli.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <ostream>

#include "core/random.h"

namespace interlock::runtime::cli {
namespace {

constexpr int kPageMax = 1000;
constexpr std::size_t kTokenBytesMax = 4096;

std::string ProgramFolder() {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  return error ? "." : self.parent_path().string();
}

// gRPC ends the program over a header that is no printable text.
core::StatusOr<std::string> CheckedToken(std::string token, const std::string& source) {
  while (!token.empty() && (token.back() == '\n' || token.back() == '\r')) token.pop_back();
  const bool plain =
      std::all_of(token.begin(), token.end(), [](char c) { return c > ' ' && c < 0x7f; });
  if (token.empty() || token.size() > kTokenBytesMax || !plain) {
    return core::InvalidArgument(source +
                                 " holds no token: one line of printable ASCII is expected");
  }
  return token;
}

core::StatusOr<std::string> ReadToken(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in || std::filesystem::is_directory(file)) {
    return core::NotFound("cannot read the token file `" + file + "`");
  }
  return CheckedToken({std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()},
                      "`" + file + "`");
}

void AddGlobals(CLI::App& app, Session& session) {
  app.add_flag("--json", session.io.json, "Print JSON");
  app.add_option("--address", session.endpoint.address, "Address of interlockd, HOST:PORT")
      ->envname("INTERLOCK_ADDRESS")
      ->capture_default_str();
  app.add_option("--token-file", session.token_file,
                 "File with the bearer token (else INTERLOCK_TOKEN)");
  app.add_option("--tenant", session.endpoint.tenant, "Tenant of names given without one")
      ->capture_default_str();
  app.add_option_function<std::int64_t>(
         "--timeout-ms",
         [&session](std::int64_t ms) {
           session.endpoint.call_limit = std::chrono::milliseconds(ms);
         },
         "How long to wait for one answer (30000)")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{600'000}));
}

// The deepest command given, for the hint under a usage error.
struct Deepest {
  const CLI::App* app;
  std::string path;
};

Deepest DeepestOf(const CLI::App& app) {
  Deepest at{&app, "interlock"};
  for (auto given = at.app->get_subcommands(); !given.empty(); given = at.app->get_subcommands()) {
    at.app = given.front();
    at.path += " " + at.app->get_name();
  }
  return at;
}

// The word where a command had to stand; empty: there was none.
std::string UnknownCommand(const CLI::App& app, const CLI::ParseError& error) {
  const bool takes_command =
      !DeepestOf(app).app->get_subcommands([](const CLI::App*) { return true; }).empty();
  if (!takes_command || dynamic_cast<const CLI::RequiredError*>(&error) == nullptr) return "";
  for (const std::string& word : app.remaining(/*recurse=*/true)) {
    if (!word.starts_with('-')) return word;
  }
  return "";
}

core::Status UsageError(const CLI::App& app, const CLI::ParseError& error) {
  std::string message = error.what();
  const std::string word = UnknownCommand(app, error);
  if (!word.empty())
    message = "`" + DeepestOf(app).path + "` has no command `" + EscapeForTerminal(word) + "`";
  std::replace(message.begin(), message.end(), '\n', ' ');
  return core::InvalidArgument(message + "; see `" + DeepestOf(app).path + " --help`");
}

int Parse(CLI::App& app, int argc, const char* const* argv, Session& session) {
  try {
    app.parse(argc, argv);
    return session.action ? session.action() : kCouldNotTell;
  } catch (const CLI::CallForHelp&) {
    session.io.out << app.help();
    return kYes;
  } catch (const CLI::CallForVersion& version) {
    session.io.out << version.what() << '\n';
    return kYes;
  } catch (const CLI::ParseError& error) {
    return PrintError(session.io, UsageError(app, error));
  }
}

}  // namespace

core::StatusOr<std::unique_ptr<Client>> Session::Connect() {
  if (!token_file.empty()) {
    INTERLOCK_ASSIGN_OR_RETURN(endpoint.token, ReadToken(token_file));
  } else if (const char* token = std::getenv("INTERLOCK_TOKEN");
             token != nullptr && *token != '\0') {
    INTERLOCK_ASSIGN_OR_RETURN(endpoint.token, CheckedToken(token, "INTERLOCK_TOKEN"));
  }
  if (endpoint.address.empty()) {
    return core::InvalidArgument(
        "the address of interlockd is empty; give --address HOST:PORT or INTERLOCK_ADDRESS");
  }
  return std::make_unique<Client>(endpoint);
}

int RunCli(int argc, const char* const* argv, Io& io) {
  Session session{io, ProgramFolder(), {}, {}, {}};
  try {
    CLI::App app("Interlock: a model proposes, deterministic code disposes.", "interlock");
    app.set_version_flag("--version", "interlock " INTERLOCK_VERSION);
    app.require_subcommand(1);
    app.fallthrough();
    AddGlobals(app, session);
    AddRunCommands(app, session);
    AddApprovalCommands(app, session);
    AddCallCommands(app, session);
    AddSwitchCommands(app, session);
    AddRolloutCommands(app, session);
    AddToolCommands(app, session);
    AddPolicyCommands(app, session);
    AddAuditCommands(app, session);
    AddSandboxCommands(app, session);
    AddEvalCommand(app, session);
    AddDoctorCommand(app, session);
    return Parse(app, argc, argv, session);
  } catch (const std::exception& error) {
    return PrintError(io, core::Internal(error.what()));
  }
}

void Does(CLI::App* command, Session& session, std::function<int()> action) {
  command->callback([&session, action = std::move(action)] { session.action = action; });
}

CLI::App* AddGroup(CLI::App& app, const std::string& name, const std::string& description) {
  CLI::App* group = app.add_subcommand(name, description);
  group->require_subcommand(1);
  return group;
}

core::Status EachPage(
    const Io& io, int limit,
    const std::function<core::StatusOr<PageEnd>(int, const std::string&)>& fetch) {
  PageEnd page;
  for (int taken = 0; taken < limit; taken += page.count) {
    INTERLOCK_ASSIGN_OR_RETURN(page, fetch(std::min(limit - taken, kPageMax), page.next));
    if (page.next.empty()) return core::OkStatus();
  }
  SayCut(io, limit);
  return core::OkStatus();
}

void SayCut(const Io& io, int limit) {
  io.err << "note: only the first " << limit << " are shown, there are more; give --limit\n";
}

CLI::Validator NumberFrom(std::int64_t least) {
  return CLI::Range(least, std::numeric_limits<std::int64_t>::max()).description("NUMBER");
}

CLI::Validator IdOfOne(const std::string& group) {
  const auto check = [group](const std::string& text) -> std::string {
    if (text.starts_with("tenants/") || core::IsUuid(text)) return "";
    const std::string noun = group.substr(0, group.size() - 1);
    return "`" + text + "` is no " + noun + " id (36 characters); `interlock " + group +
           " list` shows them";
  };
  return {check, "ID"};
}

core::StatusOr<std::vector<std::pair<std::string, std::string>>> ParsePairs(
    const std::vector<std::string>& texts) {
  std::vector<std::pair<std::string, std::string>> out;
  for (const std::string& text : texts) {
    const std::size_t equals = text.find('=');
    if (equals == 0 || equals == std::string::npos) {
      return core::InvalidArgument("`" + text + "` is not NAME=VALUE");
    }
    out.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  return out;
}

int Fail(const Session& session, const core::Status& status) {
  return PrintError(session.io, status);
}

}  // namespace interlock::runtime::cli
