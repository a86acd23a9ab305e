#include "mcp/box_link.h"

#include <utility>

namespace interlock::tools {

core::StatusOr<std::shared_ptr<McpLink>> McpBoxLink::Make(sandbox::Launcher& launcher,
                                                          sandbox::BoxSpec box) {
  INTERLOCK_ASSIGN_OR_RETURN(std::shared_ptr<sandbox::InputPipe> input, sandbox::InputPipe::Make());
  return std::make_shared<McpBoxLink>(launcher, std::move(box), std::move(input));
}

McpBoxLink::McpBoxLink(sandbox::Launcher& launcher, sandbox::BoxSpec box,
                       std::shared_ptr<sandbox::InputPipe> input)
    : launcher_(launcher), box_(std::move(box)), input_(std::move(input)) {}

void McpBoxLink::Start(std::shared_ptr<McpEars> ears, std::uint64_t id) {
  sandbox::BoxSpec box = std::move(box_);
  box.input = input_;
  box.on_output = [ears, id](const sandbox::Output& output) { ears->OnOutput(id, output); };
  const std::uint64_t handle = launcher_.Run(std::move(box), [ears, id](sandbox::BoxResult result) {
    McpLinkEnd end;
    end.box = std::move(result);
    ears->OnEnd(id, std::move(end));
  });
  const std::lock_guard lock(mutex_);
  handle_ = handle;
  if (killed_) launcher_.Cancel(handle);
}

core::Status McpBoxLink::Send(const std::string& lines) {
  if (input_->Write(lines).ok()) return core::OkStatus();
  return core::ResourceExhausted("the MCP server does not read its input");
}

bool McpBoxLink::Flush() { return input_->Flush(); }

bool McpBoxLink::Close() {
  input_->Close();
  return true;
}

bool McpBoxLink::Kill() {
  const std::lock_guard lock(mutex_);
  killed_ = true;
  if (handle_) launcher_.Cancel(*handle_);
  return true;
}

std::optional<sandbox::Level> McpBoxLink::level() const { return launcher_.capabilities().level; }

}  // namespace interlock::tools
