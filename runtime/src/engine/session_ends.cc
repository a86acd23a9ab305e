// The end of an MCP server that served a run has an entry of its own (DESIGN rule 26).
#include "engine/hub.h"

namespace interlock::runtime {
namespace {

// Nothing in it is content: what the server wrote stays with the outcomes of its calls.
Draft DraftServerEnded(const tools::SessionEnd& end) {
  Draft draft;
  draft.kind = "server.ended";
  draft.actor = "engine";
  std::string exit;
  core::JsonObjectWriter writer(exit);
  writer.String("kind", sandbox::EndKindName(end.box.kind));
  writer.Int("value", end.box.value);
  writer.Close();
  BodyWriter body(draft);
  body.Bool("by_itself", end.by_itself)
      .Int("calls", end.calls)
      .Int("cpu_us", end.box.cpu_us)
      .Raw("exit", exit)
      .String("filter_digest", core::DigestName(end.box.filter_digest))
      .String("level", sandbox::LevelName(end.box.level))
      .Int("memory_peak_bytes", end.box.memory_peak_bytes);
  AddBoxDigests(body, end.box);
  body.String("target_run", end.run).Int("wall_us", end.box.wall_us).Close();
  return draft;
}

// What a caller is not told: it may be in a stranger's words. Of a server that took calls, those
// words may hold what the calls were about, and stand with their outcomes.
std::string LineFor(const tools::SessionEnd& end) {
  const bool good = end.why.empty() || (end.calls > 0 && !end.refused);
  if (good) return "";
  return "MCP server `" + end.command + "`" + (end.run.empty() ? "" : " of run " + end.run) + ": " +
         end.why;
}

}  // namespace

void Hub::HearOfServers() {
  parts.executor->OnSessionEnd([this](tools::SessionEnd end) {
    const std::string line = LineFor(end);
    if (!line.empty() && parts.warn) parts.warn(line);
    if (end.run.empty() || end.remote) return;  // the call's outcome says it all
    Worker& worker = WorkerOf(end.run);
    Spawn(worker, WriteServerEnd(std::move(end)));
  });
}

asio::awaitable<void> Hub::WriteServerEnd(tools::SessionEnd end) {
  Draft draft = DraftServerEnded(end);
  // A log that takes nothing more is known to be broken by whoever waits for it.
  core::Status ignored =
      co_await journal.Commit([&draft](Serial& serial) { return serial.Append(draft).status(); });
}

}  // namespace interlock::runtime
