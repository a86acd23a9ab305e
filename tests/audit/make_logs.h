// What the programs share that make logs for both verifiers (agree.py).
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>

#include "core/json.h"

namespace interlock::audit {

// PROGRAM FOLDER COUNT SEED: makes log after log and prints what is known of each, a JSON object a
// line. Returns the exit status.
template <typename Maker>
int MakeLogs(int argc, char** argv) {
  if (argc != 4) return 2;
  Maker maker(argv[1], std::stoull(argv[3]));
  const std::uint64_t count = std::stoull(argv[2]);
  for (std::uint64_t i = 0; i < count; ++i) {
    const core::Json made = maker.Make(i);
    std::printf("%s\n", made.dump(-1, ' ', false, core::Json::error_handler_t::replace).c_str());
  }
  return 0;
}

}  // namespace interlock::audit
