// sandbox_daemon LEVEL STATE_FILE PROGRAM ARGS…: three boxes of PROGRAM, then waits. Prints the
// level, so that the reader knows that the boxes were asked for.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "sandbox/launcher.h"

int main(int argc, char** argv) {
  using namespace interlock::sandbox;
  if (argc < 4) return 2;
  LauncherOptions options;
  options.program = INTERLOCK_LAUNCHER;
  options.level_cap = static_cast<Level>(std::atoi(argv[1]));
  options.state_file = argv[2];
  auto launcher = StartLauncher(options);
  if (!launcher.ok()) return 1;
  BoxSpec spec;
  spec.level_min = Level::kLandlockOnly;
  for (int i = 3; i < argc; ++i) spec.argv.push_back(argv[i]);
  spec.mounts = {{argv[3], argv[3], Access::kReadOnly}};
  spec.limits.wall_ms = 60'000;
  for (int i = 0; i < 3; ++i) (*launcher)->Run(spec, [](BoxResult) {});
  std::printf("%s\n", std::string(LevelName((*launcher)->capabilities().level)).c_str());
  std::fflush(stdout);
  for (;;) ::pause();
}
