// Tools that are compiled into the daemon: what the engine itself does for an agent that names it.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>
#include <vector>

#include "core/status.h"
#include "runtime/agent.h"
#include "tools/tool.h"

namespace interlock::runtime {

// Notes about the subject of a run (ADR 54).
inline constexpr std::string_view kMemoryWriteTool = "memory.write";
inline constexpr std::string_view kMemorySearchTool = "memory.search";
inline constexpr std::string_view kMemoryDeleteTool = "memory.delete";
inline constexpr std::size_t kNotesMax = 100;            // of one subject
inline constexpr std::size_t kUntrustedNotesMax = 50;    // of those
inline constexpr std::size_t kNoteTagsBytesMax = 2'048;  // of the tags of one
inline constexpr std::size_t kNoteBytesMax = 4'096;      // of the text of one
inline constexpr std::size_t kNotesShownMax = 20;        // by one search
inline constexpr std::size_t kNotesBytesMax = 32'768;    // of their texts
inline constexpr std::size_t kTopicLettersMax = 64;
inline constexpr std::size_t kNoteQueryLettersMax = 256;

inline bool IsMemoryTool(std::string_view tool) {
  return tool == kMemoryWriteTool || tool == kMemorySearchTool || tool == kMemoryDeleteTool;
}

// `registry` with the tools that these agents name and the engine provides: `read_result`, those of
// memory, and `agent.NAME` for each agent that another may call. They are decided on, recorded and
// cited like any tool (rule 6). Errors: kInvalidArgument when a manifest takes the name of any of
// them, or an agent calls one that is not there or, directly or not, itself.
core::StatusOr<std::shared_ptr<const tools::Registry>> WithOwnTools(
    std::shared_ptr<const tools::Registry> registry, const std::vector<AgentFile>& agents);

// The tool by which agents call `agent`. Its manifest does not depend on the rest of the file.
std::shared_ptr<const tools::Tool> MakeAgentTool(const std::string& agent,
                                                 const std::string& description);

}  // namespace interlock::runtime
