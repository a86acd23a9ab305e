// sandbox probe|exec.
#include <CLI/CLI.hpp>
#include <charconv>
#include <future>
#include <iterator>
#include <ostream>

#include "cli/cli.h"
#include "sandbox/launcher.h"
#include "tools/advice.h"

namespace interlock::runtime::cli {
namespace {

struct SandboxOptions {
  std::string launcher;
  std::string cap = "full";
  bool allow_none = false;
  // exec
  std::string level = "landlock-only";
  std::string profile = "static";
  std::vector<std::string> mounts;
  std::vector<std::string> env;
  std::string work_dir = "/";
  bool with_stdin = false;
  bool explain = false;
  std::vector<std::string> connect;
  std::vector<std::string> networks;
  sandbox::Limits limits;
  std::vector<std::string> argv;
};

core::StatusOr<std::unique_ptr<sandbox::Launcher>> Start(const Session& session,
                                                         const SandboxOptions& options) {
  sandbox::LauncherOptions launcher;
  launcher.program =
      options.launcher.empty() ? session.program_folder + "/interlock-launcher" : options.launcher;
  launcher.allow_none = options.allow_none;
  launcher.pool_per_profile = 0;
  launcher.name_refused = options.explain;
  INTERLOCK_ASSIGN_OR_RETURN(launcher.level_cap, sandbox::ParseLevel(options.cap));
  return sandbox::StartLauncher(launcher);
}

int Probe(Session& session, const SandboxOptions& options) {
  const auto launcher = Start(session, options);
  if (!launcher.ok()) return Fail(session, launcher.status());
  const sandbox::Capabilities& found = (*launcher)->capabilities();
  Table table({"FEATURE", "", "SEEN", "WHAT TO DO"});
  core::Json features = core::Json::array();
  for (const sandbox::Feature& feature : found.features) {
    table.Add({feature.name, feature.available ? "yes" : "no", feature.detail, feature.fix});
    features.push_back({{"name", feature.name},
                        {"available", feature.available},
                        {"detail", feature.detail},
                        {"fix", feature.fix}});
  }
  const Io& io = session.io;
  const bool boxed = found.level != sandbox::Level::kNone;
  if (io.json) {
    PrintJson(io, {{"level", sandbox::LevelName(found.level)}, {"features", features}});
  } else {
    table.Print(io);
    io.out << "level  "
           << io.Paint(boxed ? Style::kGreen : Style::kRed, sandbox::LevelName(found.level))
           << '\n';
  }
  return boxed ? kYes : kNo;
}

// HOST[:BOX][:rw]
core::StatusOr<sandbox::Mount> ParseMount(const std::string& text) {
  sandbox::Mount mount;
  std::string rest = text;
  if (rest.ends_with(":rw")) {
    mount.access = sandbox::Access::kReadWrite;
    rest.resize(rest.size() - 3);
  }
  const std::size_t colon = rest.find(':');
  mount.host_path = rest.substr(0, colon);
  mount.box_path = colon == std::string::npos ? mount.host_path : rest.substr(colon + 1);
  if (!mount.host_path.starts_with('/') || !mount.box_path.starts_with('/')) {
    return core::InvalidArgument("`" + text + "` is not /HOST[:/BOX][:rw]");
  }
  return mount;
}

core::StatusOr<sandbox::Destination> ParseDestination(const std::string& text) {
  const std::size_t colon = text.rfind(':');
  sandbox::Destination place{text.substr(0, colon), 0};
  const char* end = text.data() + text.size();
  const char* digits = colon == std::string::npos ? end : text.data() + colon + 1;
  const auto [stop, error] = std::from_chars(digits, end, place.port);
  if (error != std::errc() || stop != end || place.port == 0 || place.host.empty()) {
    return core::InvalidArgument("`" + text + "` is not host:port");
  }
  return place;
}

core::StatusOr<sandbox::BoxSpec> SpecOf(const Session& session, const SandboxOptions& options) {
  sandbox::BoxSpec spec;
  spec.argv = options.argv;
  spec.work_dir = options.work_dir;
  spec.limits = options.limits;
  INTERLOCK_ASSIGN_OR_RETURN(spec.level_min, sandbox::ParseLevel(options.level));
  INTERLOCK_ASSIGN_OR_RETURN(spec.profile, sandbox::ParseProfile(options.profile));
  INTERLOCK_ASSIGN_OR_RETURN(spec.env, ParsePairs(options.env));
  for (const std::string& text : options.mounts) {
    INTERLOCK_ASSIGN_OR_RETURN(sandbox::Mount mount, ParseMount(text));
    spec.mounts.push_back(std::move(mount));
  }
  for (const std::string& text : options.connect) {
    INTERLOCK_ASSIGN_OR_RETURN(sandbox::Destination place, ParseDestination(text));
    spec.destinations.push_back(std::move(place));
  }
  for (const std::string& text : options.networks) {
    INTERLOCK_ASSIGN_OR_RETURN(const sandbox::Network network, sandbox::Network::Parse(text));
    spec.addresses.networks.push_back(network);
  }
  if (options.with_stdin) {
    spec.stdin_bytes.assign(std::istreambuf_iterator<char>(session.io.in),
                            std::istreambuf_iterator<char>());
  }
  return spec;
}

core::Json ProgramName(const core::Digest& digest) {
  return digest == core::Digest{} ? core::Json() : core::Json(core::DigestName(digest));
}

core::Json ResultJson(const sandbox::BoxResult& result,
                      const std::vector<std::string>& explanation) {
  return {{"end", sandbox::EndKindName(result.kind)},
          {"value", result.value},
          {"detail", result.detail},
          {"stdout", result.stdout_bytes},
          {"stderr", result.stderr_bytes},
          {"stdout_dropped", result.stdout_dropped},
          {"stderr_dropped", result.stderr_dropped},
          {"wall_us", result.wall_us},
          {"cpu_us", result.cpu_us},
          {"memory_peak_bytes", result.memory_peak_bytes},
          {"level", sandbox::LevelName(result.level)},
          {"explanation", explanation},
          {"refused", result.refused},
          {"profile_digest", core::DigestName(result.profile_digest)},
          {"filter_digest", core::DigestName(result.filter_digest)},
          {"program_digest", ProgramName(result.program_digest)}};
}

// What a stream said, escaped, ended by exactly one line feed; nothing for an empty one.
std::string Shown(std::string_view bytes) {
  if (bytes.ends_with('\n')) bytes.remove_suffix(1);
  return bytes.empty() ? "" : EscapeLines(bytes, 0) + "\n";
}

void PrintResult(const Io& io, const sandbox::BoxResult& result) {
  io.out << Shown(result.stdout_bytes);
  io.err << Shown(result.stderr_bytes);
  io.err << sandbox::EndKindName(result.kind) << ' ' << result.value << ", level "
         << sandbox::LevelName(result.level) << ", " << FormatDuration(result.wall_us) << " wall, "
         << FormatDuration(result.cpu_us) << " cpu, " << result.memory_peak_bytes / 1024 << " KiB"
         << (result.detail.empty() ? "" : ": " + EscapeForTerminal(result.detail)) << '\n';
}

int CodeOf(const sandbox::BoxResult& result) {
  if (result.kind == sandbox::EndKind::kNotRun || result.kind == sandbox::EndKind::kLost)
    return kCouldNotTell;
  return result.kind == sandbox::EndKind::kExit && result.value == 0 ? kYes : kNo;
}

int Exec(Session& session, const SandboxOptions& options) {
  auto spec = SpecOf(session, options);
  if (!spec.ok()) return Fail(session, spec.status());
  const auto launcher = Start(session, options);
  if (!launcher.ok()) return Fail(session, launcher.status());
  std::promise<sandbox::BoxResult> ended;
  (*launcher)->Run(*spec, [&](sandbox::BoxResult result) { ended.set_value(std::move(result)); });
  const sandbox::BoxResult result = ended.get_future().get();
  const std::vector<std::string> explanation = tools::ExplainEnding(spec->limits, result);
  if (session.io.json) {
    PrintJson(session.io, ResultJson(result, explanation));
    return CodeOf(result);
  }
  PrintResult(session.io, result);
  for (const std::string& line : explanation) {
    if (options.explain) session.io.err << "  " << line << '\n';
  }
  return CodeOf(result);
}

void AddLauncherOptions(CLI::App* command, SandboxOptions& options) {
  command->add_option("--launcher", options.launcher,
                      "Path of interlock-launcher (default: beside interlock)");
  command->add_option("--cap", options.cap, "Use no stronger level than this")
      ->capture_default_str();
}

}  // namespace

void AddSandboxCommands(CLI::App& app, Session& session) {
  CLI::App* group =
      AddGroup(app, "sandbox", "The sandbox: what this machine can do, and one program in a box");
  auto options = std::make_shared<SandboxOptions>();
  CLI::App* probe =
      group->add_subcommand("probe", "Try what this machine can do; exit 1 when nothing holds");
  AddLauncherOptions(probe, *options);
  Does(probe, session, [&session, options] { return Probe(session, *options); });

  CLI::App* exec =
      group->add_subcommand("exec", "Run a program in a box: interlock sandbox exec -- /bin/true");
  AddLauncherOptions(exec, *options);
  exec->add_option("--level", options->level, "The least level that will do")
      ->capture_default_str();
  exec->add_option("--profile", options->profile, "static, shell, python or node")
      ->capture_default_str();
  exec->add_option("--mount", options->mounts, "/HOST[:/BOX][:rw]; may be repeated");
  exec->add_option("--env", options->env, "NAME=VALUE; may be repeated");
  exec->add_option("--work-dir", options->work_dir, "Where it starts, in the box")
      ->capture_default_str();
  exec->add_option("--wall-ms", options->limits.wall_ms, "Milliseconds of time")
      ->capture_default_str();
  exec->add_option("--cpu-ms", options->limits.cpu_ms, "Milliseconds of CPU")
      ->capture_default_str();
  exec->add_option("--memory-bytes", options->limits.memory_bytes, "Its memory")
      ->capture_default_str();
  exec->add_option("--pids", options->limits.pids, "Processes and threads at once")
      ->capture_default_str();
  exec->add_option("--stdout-bytes", options->limits.stdout_bytes, "Of its output")
      ->capture_default_str();
  exec->add_option("--stderr-bytes", options->limits.stderr_bytes, "Of its error output")
      ->capture_default_str();
  exec->add_option("--file-bytes", options->limits.file_bytes, "Of one file")
      ->capture_default_str();
  exec->add_option("--tmp-bytes", options->limits.tmp_bytes, "Of /tmp")->capture_default_str();
  exec->add_option("--tmp-inodes", options->limits.tmp_inodes, "Files in /tmp")
      ->capture_default_str();
  exec->add_option("--connect", options->connect, "HOST:PORT that it may reach; may be repeated");
  exec->add_option("--network", options->networks,
                   "10.1.0.0/16: may be reached although it is not public; may be repeated");
  exec->add_flag("--explain", options->explain,
                 "Say which rule ended it, what its output points to, and which system calls were "
                 "refused");
  exec->add_flag("--allow-none", options->allow_none, "Run it unboxed when nothing else works");
  exec->add_flag("--stdin", options->with_stdin, "Give standard input to it");
  exec->add_option("ARGV", options->argv, "Absolute path and arguments")->required();
  Does(exec, session, [&session, options] { return Exec(session, *options); });
}

}  // namespace interlock::runtime::cli
