// The MCP servers that are spoken to now: one box, or one session with a remote one, per run and
// server, which ends with the run (DESIGN rule 26); a call without a run has one of its own.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "mcp/dialogue.h"
#include "mcp/link.h"
#include "tools/executor.h"

namespace interlock::tools {

inline constexpr std::size_t kMcpWaitingMax = 64;  // calls that wait for one server

// Thread-safe. A server answers one call at a time; the others of its run wait. What it gets wrong
// ends it, and the call that it was at; those that waited are told that nothing of them ran.
class McpSessions final : public McpEars, public std::enable_shared_from_this<McpSessions> {
 public:
  using Done = std::function<void(Outcome)>;
  using MakeLink = std::function<core::StatusOr<std::shared_ptr<McpLink>>()>;

  explicit McpSessions(int sessions_max);
  ~McpSessions() override;

  // Precondition: a tool with `mcp`; `make_link` leads to its server, and is asked when there is no
  // session yet. `done` comes once, also from within. Returns a handle for Cancel.
  std::uint64_t Call(CallSpec call, const MakeLink& make_link, std::int64_t wall_ms, Done done);
  // Ends the server when it is at this call.
  void Cancel(std::uint64_t handle);
  // Each server ends when no call waits for it.
  void EndRun(std::string_view run);
  void EndAll();
  void OnSessionEnd(std::function<void(SessionEnd)> told);

  void OnOutput(std::uint64_t id, const sandbox::Output& output) override;
  bool OnMessage(std::uint64_t id, std::string_view text) override;
  void OnEnd(std::uint64_t id, McpLinkEnd end) override;

 private:
  using Time = std::chrono::steady_clock::time_point;
  using After = std::vector<std::function<void()>>;  // what is told once nothing is held

  struct Asked {
    std::uint64_t handle = 0;
    CallSpec call;
    Time deadline;
    Done done;
  };
  struct Session {
    explicit Session(core::Json pinned) : dialogue(std::move(pinned)) {}
    std::uint64_t id = 0;
    std::string key;  // empty: of one call alone
    std::string run;
    std::string command;
    std::shared_ptr<McpLink> link;
    McpDialogue dialogue;
    std::size_t fed = 0;  // bytes of stdout
    std::deque<Asked> waiting;
    std::optional<Asked> current;    // the server is at it
    std::optional<Outcome> verdict;  // of `current`, told when the box has ended
    std::int64_t calls = 0;
    bool was_ready = false;
    bool run_ended = false;
    bool ending = false;
    bool gone = false;  // its link has ended and tells nothing more
    std::optional<Time> kill_at;
    std::string why;  // it is ended by us
    std::string_view why_code;
    Time used;
    Time old_at;  // for calls that come later there is a new one
  };
  using Sessions = std::map<std::uint64_t, std::unique_ptr<Session>>;

  // nullptr: none, or none that is not too old.
  Session* Find(const std::string& key);
  // Ends the one that is idle longest when there are too many. False: none is idle.
  bool MakeRoom();
  // nullptr with `why`.
  Session* Open(const CallSpec& call, const std::string& key, const MakeLink& make_link,
                std::string& why);
  void EndThose(const std::function<bool(const Session&)>& those);
  // Everybody who waits is told. Not with the lock held.
  void Conclude(Session& session, McpLinkEnd end);
  void TellOperator(const Session& session, McpLinkEnd end);
  // All with the lock held.
  void TakeGone(After& after);  // last of all that may end a session
  void TakeStdout(Session& session, std::string_view bytes, After& after);
  void TakeHeard(Session& session, const core::Status& status, const std::string& answers,
                 After& after);
  // What the launcher did not tell while it ran. The box is dead: nothing more is asked of it.
  void TakeRest(Session& session, std::string_view stdout_bytes, After& after);
  void Pump(Session& session, After& after);
  void OnReply(Session& session, const McpReply& reply, After& after);
  void Send(Session& session, const std::string& line);
  void Abandon(Session& session, std::string why, std::string_view code, Outcome verdict);
  // Lets it end: its input ends, and it is killed when it does not.
  void Close(Session& session);
  void EndWhenIdle(Session& session);
  void Kill(Session& session);
  void Expire(Session& session, Time now, After& after);
  std::optional<Time> NextTime();
  void Watch();  // the thread's

  const std::size_t sessions_max_;
  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  Sessions sessions_;
  std::uint64_t last_ = 0;
  bool closing_ = false;
  std::thread thread_;  // from the first call on
  std::mutex told_mutex_;
  std::function<void(SessionEnd)> told_;
};

}  // namespace interlock::tools
