// Calls worth trying of a tool: the values that its rules compare with, and their neighbours, on
// top of the calls that examples and tests state.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "program.h"

namespace interlock::policies {

struct CaseSpace {
  std::map<std::string, std::vector<core::Json>> values{};  // by path of the context
  std::vector<core::Json> seeds{};                          // stated cases
};

// Adds what the program's rules and examples say about the tool. Call it for each program.
void AddRules(const Program& program, const std::string& tool, const std::string& effect,
              CaseSpace& space);
// The same of its invariants.
void AddInvariants(const Program& program, const std::string& tool, const std::string& effect,
                   CaseSpace& space);
// Adds the cases of test files about calls of the tool.
void AddTests(const Program& tests, const std::string& tool, CaseSpace& space);
// A case in which every path has the first of its values; put before the other seeds.
void AddPlainSeed(const std::string& tool, CaseSpace& space);

// Tools that the bundle knows, and those that its rules about calls name.
void AddToolNames(const std::vector<KnownTool>& known, const Program& program,
                  std::set<std::string>& tools);

// Sets what a path of the context names in a stated case; null takes it away. False where a case
// cannot state it.
bool SetStated(core::Json& stated, const std::string& path, const core::Json& value);

// What stands there; nullptr if nothing does.
const core::Json* StatedAt(const core::Json& stated, const std::string& path);

}  // namespace interlock::policies
