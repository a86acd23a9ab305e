// Runs one command line in this process and keeps what it printed.
#pragma once

#include <sstream>
#include <string>
#include <vector>

#include "cli/cli.h"

namespace interlock::runtime::cli {

struct Ran {
  int code = -1;
  std::string out;
  std::string err;
};

inline Ran RunLine(const std::vector<std::string>& words) {
  std::ostringstream out;
  std::ostringstream err;
  std::istringstream in;
  Io io{out, err, in};
  std::vector<const char*> argv{"interlock"};
  for (const std::string& word : words) argv.push_back(word.c_str());
  const int code = RunCli(static_cast<int>(argv.size()), argv.data(), io);
  return {code, out.str(), err.str()};
}

}  // namespace interlock::runtime::cli
