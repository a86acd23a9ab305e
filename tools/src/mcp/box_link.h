// An MCP server in a box of its own, over stdin and stdout.
#pragma once

#include <memory>
#include <mutex>
#include <optional>

#include "mcp/link.h"
#include "sandbox/input_pipe.h"

namespace interlock::tools {

class McpBoxLink final : public McpLink {
 public:
  // Errors: as InputPipe::Make.
  static core::StatusOr<std::shared_ptr<McpLink>> Make(sandbox::Launcher& launcher,
                                                       sandbox::BoxSpec box);
  McpBoxLink(sandbox::Launcher& launcher, sandbox::BoxSpec box,
             std::shared_ptr<sandbox::InputPipe> input);

  void Start(std::shared_ptr<McpEars> ears, std::uint64_t id) override;
  core::Status Send(const std::string& lines) override;
  bool Flush() override;
  bool Close() override;
  bool Kill() override;
  std::optional<sandbox::Level> level() const override;

 private:
  sandbox::Launcher& launcher_;
  sandbox::BoxSpec box_;  // until Start
  const std::shared_ptr<sandbox::InputPipe> input_;
  std::mutex mutex_;                     // guards what follows
  std::optional<std::uint64_t> handle_;  // once the launcher has it
  bool killed_ = false;
};

}  // namespace interlock::tools
