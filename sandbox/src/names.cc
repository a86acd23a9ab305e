#include <array>
#include <optional>
#include <string>

#include "sandbox/launcher.h"

namespace interlock::sandbox {
namespace {
constexpr std::array<std::string_view, 4> kLevels = {"none", "landlock-only", "full-nocgroup",
                                                     "full"};
constexpr std::array<std::string_view, 4> kProfileNames = {"static", "shell", "python", "node"};
constexpr std::array<std::string_view, 12> kEnds = {"exit",      "signal",    "timeout", "cpu",
                                                    "memory",    "output",    "pids",    "disk",
                                                    "violation", "cancelled", "not_run", "lost"};

template <std::size_t N>
std::optional<int> Find(const std::array<std::string_view, N>& names, std::string_view name) {
  for (std::size_t i = 0; i < N; ++i) {
    if (names[i] == name) return static_cast<int>(i);
  }
  return std::nullopt;
}
}  // namespace

std::string_view LevelName(Level level) { return kLevels[static_cast<std::size_t>(level)]; }
std::string_view ProfileName(Profile profile) {
  return kProfileNames[static_cast<std::size_t>(profile)];
}
std::string_view EndKindName(EndKind kind) { return kEnds[static_cast<std::size_t>(kind)]; }

core::StatusOr<Level> ParseLevel(std::string_view name) {
  if (const auto i = Find(kLevels, name)) return static_cast<Level>(*i);
  return core::InvalidArgument("unknown sandbox level `" + std::string(name) +
                               "`; one of full, full-nocgroup, landlock-only, none");
}

core::StatusOr<Profile> ParseProfile(std::string_view name) {
  if (const auto i = Find(kProfileNames, name)) return static_cast<Profile>(*i);
  return core::InvalidArgument("unknown sandbox profile `" + std::string(name) +
                               "`; one of static, shell, python, node");
}

}  // namespace interlock::sandbox
