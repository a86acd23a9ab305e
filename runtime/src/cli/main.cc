// The program `interlock`.
#include <unistd.h>

#include <cstdlib>
#include <iostream>

#include "cli/cli.h"

namespace {

bool Colour(int fd) {
  const char* no_colour = std::getenv("NO_COLOR");
  return isatty(fd) == 1 && (no_colour == nullptr || *no_colour == '\0');
}

}  // namespace

int main(int argc, char** argv) {
  interlock::runtime::cli::Io io{std::cout, std::cerr, std::cin};
  io.colour_out = Colour(STDOUT_FILENO);
  io.colour_err = Colour(STDERR_FILENO);
  const int code = interlock::runtime::cli::RunCli(argc, argv, io);
  std::cout.flush();
  return code;
}
