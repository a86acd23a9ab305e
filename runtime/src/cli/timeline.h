// A run's entries as lines that a person likes to read: what was planned, decided by which rule,
// held, asked, run at which sandbox level, and how it ended.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "cli/io.h"
#include "core/json.h"

namespace interlock::runtime::cli {

// Opened content of an entry by body field ("args", "text", "result").
using Content = std::map<std::string, std::string>;

// One per run; keeps the short names (c1, c2, …) that calls get in order of proposal. Not
// thread-safe.
class Timeline {
 public:
  explicit Timeline(const Io& io) : io_(io) {}

  // Lines for one entry (parsed), without line feeds; none for entries that only the auditor cares
  // for. All content is escaped. Content that may not be read shows as its size: "(41 bytes)".
  std::vector<std::string> Lines(const core::Json& entry, const Content& content);

  // Takes an entry without showing it, so that calls keep their names in a timeline that starts
  // later.
  void Learn(const core::Json& entry);

  // The short name of a call, for other lines about it.
  std::string NameOfCall(const std::string& id) { return CallName(id); }

 private:
  struct Part;  // what a handler needs
  using Handler = void (Timeline::*)(const Part&);

  void Run(const Part& part);
  void Message(const Part& part);
  void Answer(const Part& part);
  void Plan(const Part& part);
  void Proposed(const Part& part);
  void Facts(const Part& part);
  void Decided(const Part& part);
  void Budget(const Part& part);
  void Approval(const Part& part);
  void Edited(const Part& part);
  void Intended(const Part& part);
  void Outcome(const Part& part);
  void Resolved(const Part& part);
  void Compensated(const Part& part);
  void Released(const Part& part);
  void Other(const Part& part);

  static Handler HandlerOf(std::string_view kind);
  void LearnHold(std::string_view kind, const core::Json& body);
  std::string CallName(const std::string& id);
  std::string Names(const core::Json& body, const char* field);  // of a list of calls
  std::string NamesOrSize(const Part& part, const char* field);
  void Say(const Part& part, Style style, std::string_view label, const std::string& text);
  void More(const std::string& text);

  const Io& io_;
  std::map<std::string, int> calls_;
  std::map<std::string, std::int64_t> held_;  // amounts by hold, until it is settled
  std::vector<std::string> lines_;
};

}  // namespace interlock::runtime::cli
