#include "tools/advice.h"

#include <algorithm>
#include <initializer_list>
#include <string_view>

namespace interlock::tools {
namespace {

// What C libraries, Python, Node and shells write, and where it comes from in a box.
struct Hint {
  std::initializer_list<std::string_view> said;
  const char* means;
};
const Hint kHints[] = {
    {{"Read-only file system", "EROFS"},
     "only /tmp and writable mounts can be written: `mounts` with `access: read-write` (--mount "
     "PATH:rw)"},
    {{"error while loading shared libraries", "cannot open shared object file"},
     "a library outside /usr and /lib: `mounts` (--mount FOLDER), and LD_LIBRARY_PATH is not "
     "passed, so link with an rpath"},
    {{"No module named", "Cannot find module"},
     "a module outside /usr: `mounts` (--mount FOLDER), and `env` PYTHONPATH or NODE_PATH"},
    {{"No such file or directory", "ENOENT", "not found"},
     "a path that the box does not have: it has /usr and its kin, a small /etc, /tmp and what "
     "`mounts` names (--mount PATH)"},
    {{"Name or service not known", "Temporary failure in name resolution", "Could not resolve",
      "Name does not resolve", "EAI_AGAIN", "ENOTFOUND"},
     "there is no resolver in the box: name the place in `connect` (--connect HOST:PORT) and ask "
     "descriptor INTERLOCK_NET_FD for it"},
    {{"is refused: "},
     "the broker judged that address: `networks` (--network BLOCK) names those that may be "
     "reached although they are not public"},
    {{"is not among the call's"},
     "a place must be asked for exactly as `connect` (--connect) writes it"},
    {{"Operation not permitted", "EPERM"},
     "the system call filter, or a right that no box has. Sockets: `connect` (--connect "
     "HOST:PORT). Mounts, namespaces, devices, set-id modes, memfd: never"},
    {{"Permission denied", "EACCES"},
     "a file that its user may not use, or a program where it may write: only profile `shell` "
     "runs those; at landlock-only, also every path outside `mounts`"},
    {{"Resource temporarily unavailable", "EAGAIN", "can't start new thread"},
     "processes and threads together: `limits.pids` (--pids)"},
    {{"Cannot allocate memory", "MemoryError", "bad_alloc", "heap out of memory", "ENOMEM"},
     "`limits.memory_bytes` (--memory-bytes)"},
    {{"No space left on device", "ENOSPC"},
     "/tmp: `limits.tmp_bytes`, `limits.tmp_inodes` (--tmp-bytes, --tmp-inodes)"},
    {{"File too large", "File size limit exceeded", "EFBIG"}, "`limits.file_bytes` (--file-bytes)"},
    {{"Too many open files", "EMFILE"}, "a box has 256 descriptors, whatever the manifest says"},
    {{"KeyError: 'HOME'", "HOME not set", "HOME is not set"},
     "the environment is what `env` names, and PATH (--env HOME=/tmp)"},
};

std::string Rule(const sandbox::Limits& limits, const sandbox::BoxResult& result) {
  using sandbox::EndKind;
  switch (result.kind) {
    case EndKind::kExit:
      return result.value == 0 ? "it ran to its end" : "no rule of the box ended it: it gave up";
    case EndKind::kSignal:
      return "no rule of the box ended it: a signal did, its own or of a process beside it";
    case EndKind::kTimeout:
      return "limits.wall_ms (--wall-ms " + std::to_string(limits.wall_ms) +
             ") ended it; the clock runs from exec";
    case EndKind::kCpu:
      return "limits.cpu_ms (--cpu-ms " + std::to_string(limits.cpu_ms) +
             ") ended it: all its processes together";
    case EndKind::kMemory:
      return "limits.memory_bytes (--memory-bytes " + std::to_string(limits.memory_bytes) +
             ") ended it; files in /tmp count too";
    case EndKind::kOutput:
      return "limits.stdout_bytes or limits.stderr_bytes (--stdout-bytes, --stderr-bytes) ended it";
    case EndKind::kPids:
      return "limits.pids (--pids " + std::to_string(limits.pids) +
             ") refused it a process or thread, and it failed";
    case EndKind::kDisk:
      return "a limit on files ended it: limits.file_bytes, tmp_bytes, tmp_inodes (--file-bytes, "
             "--tmp-bytes, --tmp-inodes), or a name that no program may leave";
    case EndKind::kViolation:
      return "the system call filter ended it; no manifest allows this call";
    case EndKind::kCancelled:
      return "it was cancelled";
    case EndKind::kNotRun:
      return "nothing of it ran; the detail says what to change";
    case EndKind::kLost:
      return "the launcher lost it; what it did is not known";
  }
  return "";
}

bool Says(const sandbox::BoxResult& result, std::string_view text) {
  return result.stderr_bytes.find(text) != std::string::npos ||
         result.stdout_bytes.find(text) != std::string::npos;
}

// It ended by itself, and not well.
bool GaveUp(const sandbox::BoxResult& result) {
  return result.kind == sandbox::EndKind::kSignal ||
         (result.kind == sandbox::EndKind::kExit && result.value != 0);
}

std::string Refused(const sandbox::BoxResult& result) {
  std::string names;
  for (const std::string& name : result.refused)
    names += (names.empty() ? "`" : ", `") + name + "`";
  return "the system call filter refused " + names;
}

}  // namespace

std::vector<std::string> ExplainEnding(const sandbox::Limits& limits,
                                       const sandbox::BoxResult& result) {
  std::vector<std::string> lines = {Rule(limits, result)};
  if (!result.refused.empty()) lines.push_back(Refused(result));
  if (!GaveUp(result)) return lines;
  for (const Hint& hint : kHints) {
    const auto* said = std::find_if(hint.said.begin(), hint.said.end(),
                                    [&](std::string_view text) { return Says(result, text); });
    if (said == hint.said.end()) continue;
    lines.push_back("it says `" + std::string(*said) + "`: " + hint.means);
  }
  return lines;
}

std::string AdviceOn(const sandbox::Limits& limits, const sandbox::BoxResult& result) {
  using sandbox::EndKind;
  const bool by_itself = result.kind == EndKind::kExit || result.kind == EndKind::kSignal;
  if (result.kind == EndKind::kNotRun || result.kind == EndKind::kCancelled) return "";
  std::vector<std::string> lines = ExplainEnding(limits, result);
  if (by_itself) lines.erase(lines.begin());  // the outcome says that much
  std::string text;
  for (const std::string& line : lines) text += (text.empty() ? "" : "; ") + line;
  return text;
}

}  // namespace interlock::tools
