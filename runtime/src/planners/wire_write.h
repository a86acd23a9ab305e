// Pieces of requests that dialects write alike.
#pragma once

#include <string>
#include <string_view>

namespace interlock::runtime {

// Calls `append` for each; commas go between them.
template <typename List, typename Append>
void AppendList(const List& list, std::string& out, Append append) {
  bool first = true;
  for (const auto& item : list) {
    if (!first) out += ',';
    first = false;
    append(item);
  }
}

// `temperature`: a JSON number as text; empty: nothing is written.
inline void AppendTemperature(std::string_view temperature, std::string& out) {
  if (temperature.empty()) return;
  out += ",\"temperature\":";
  out += temperature;
}

}  // namespace interlock::runtime
