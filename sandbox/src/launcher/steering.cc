#include "steering.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

namespace interlock::sandbox {
namespace {

constexpr std::string_view kNames[] = {
    ".bash_login", ".bash_logout", ".bash_profile", ".bashrc",    ".claude",     ".codex",
    ".cursor",     ".envrc",       ".git",          ".gitconfig", ".gitmodules", ".idea",
    ".mcp.json",   ".netrc",       ".profile",      ".ssh",       ".vscode",     ".zlogin",
    ".zprofile",   ".zshenv",      ".zshrc"};
constexpr int kAsideMax = 1000;

bool Exists(int folder, std::string_view name) {
  struct stat info {};
  return ::fstatat(folder, std::string(name).c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0;
}

bool Shielded(const Mount& folder, std::string_view name, const BoxSpec& spec) {
  const std::string host = folder.host_path + "/" + std::string(name);
  const std::string inside = folder.box_path + "/" + std::string(name);
  const auto after = spec.mounts.begin() + (&folder - spec.mounts.data()) + 1;
  return std::any_of(after, spec.mounts.end(), [&](const Mount& mount) {
    return mount.access == Access::kReadOnly && mount.host_path == host && mount.box_path == inside;
  });
}

// The new name, or empty with errno.
std::string Rename(int folder, std::string_view name) {
  for (int i = 1; i <= kAsideMax; ++i) {
    const std::string aside = "set-aside" + std::string(name) + "." + std::to_string(i);
    if (::renameat2(folder, std::string(name).c_str(), folder, aside.c_str(), RENAME_NOREPLACE) ==
        0) {
      return aside;
    }
    if (errno != EEXIST) break;
  }
  return "";
}

}  // namespace

bool CheckSteering(WritableFolder& folder, const Mount& mount, const BoxSpec& spec, bool namespaces,
                   std::string& problem) {
  for (const std::string_view name : kNames) {
    if (!Exists(folder.fd.get(), name)) continue;
    if (namespaces && Shielded(mount, name, spec)) {
      folder.shielded.push_back(name);
      continue;
    }
    problem = "mount `" + mount.host_path + "` is writable and holds `" + std::string(name) +
              "`, which steers programs outside the box: ";
    problem += namespaces ? "mount `" + mount.host_path + "/" + std::string(name) +
                                "` read-only after it, or give the program a folder of its own"
                          : "give the program a folder of its own";
    return false;
  }
  return true;
}

std::string SetAside(const std::vector<WritableFolder>& folders) {
  std::string line;
  for (const WritableFolder& folder : folders) {
    for (const std::string_view name : kNames) {
      const auto& shielded = folder.shielded;
      if (std::find(shielded.begin(), shielded.end(), name) != shielded.end()) continue;
      if (!Exists(folder.fd.get(), name)) continue;
      const std::string aside = Rename(folder.fd.get(), name);
      line += line.empty() ? "it left " : ", ";
      line += "`" + folder.path + "/" + std::string(name) + "` (";
      line += aside.empty() ? std::string("still there: ") + std::strerror(errno) : "now " + aside;
      line += ")";
    }
  }
  return line.empty() ? line : line + ", which steers programs outside the box";
}

}  // namespace interlock::sandbox
