// A suite: what `interlock eval` runs cases against (YAML). docs/cli.md lists the keys.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/eval/compare.h"
#include "core/status.h"

namespace interlock::runtime::cli {

using Vars = std::vector<std::pair<std::string, std::string>>;

// Paths are absolute after loading; command words still hold ${…}.
struct Suite {
  std::string name;
  std::string agent;
  std::string folder;                 // of the suite file
  std::vector<std::string> policies;  // folders; their files act together
  std::string tools;                  // empty where `prepare` writes them
  std::string agents;
  Vars vars;                              // extra ones for manifests
  std::string data_marker;                // a file that the data folder holds
  std::vector<std::string> data_folders;  // below --data, in the order in which they are tried
  // Writes ${made}/tools and ${made}/cases.jsonl from ${data} and ${cases}; empty: the suite has
  // its own tools and the cases are in the form of docs/cli.md already.
  std::vector<std::string> prepare_command;
  std::string database_file;  // "shop.db"; empty: the suite's tools keep nothing
  std::vector<std::string> import_command;
  std::vector<std::string> export_command;
  AskingTerms asking;
};

// Errors: kNotFound when it cannot be read; kInvalidArgument with `file:line: …` for an unknown
// key, a missing key or a wrong type.
core::StatusOr<Suite> LoadSuite(const std::string& path);

// The first of data/<folder> that holds the marker, absolute. Errors: kNotFound saying where it
// looked.
core::StatusOr<std::string> FindData(const Suite& suite, const std::string& data);

// Replaces ${name}. Errors: kInvalidArgument for an unknown name or an open brace.
core::StatusOr<std::string> ExpandVars(std::string_view text, const Vars& vars);
core::StatusOr<std::vector<std::string>> ExpandCommand(const std::vector<std::string>& words,
                                                       const Vars& vars);

}  // namespace interlock::runtime::cli
