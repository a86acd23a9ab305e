// The same conversations by libcurl and nlohmann-json alone: nothing decided, nothing kept.
#pragma once

#include <string>

namespace interlock::bench {

struct FloorFigures {
  double steps = 0;
  double wall_us = 0;  // a step
  double cpu_us = 0;   // a step, of this process
};

// `runs` conversations against a ModelServer, `in_flight` at once, on one thread. Every step sends
// the whole conversation again, as an agent has to.
FloorFigures RunFloor(const std::string& base_url, const std::string& model, int in_flight,
                      int runs);

}  // namespace interlock::bench
