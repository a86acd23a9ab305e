#include "mcp/sessions.h"

#include <algorithm>
#include <utility>

#include "canonical.h"
#include "core/digest.h"
#include "mcp/ends.h"
#include "outcome.h"
#include "text.h"
#include "tools/url.h"

namespace interlock::tools {
namespace {

using Clock = std::chrono::steady_clock;

// A server that was told to end may put its things away.
constexpr std::chrono::milliseconds kGrace{1000};
// Between two tries to give a slow server the rest of a line.
constexpr std::chrono::milliseconds kFlushPause{5};

// Equal for calls that one server may serve. What a call alone has, its time and its tool's name at
// the server, is left out.
std::string KeyOf(const CallSpec& call) {
  const Manifest& manifest = call.tool->manifest();
  core::Json server = LimitsJson(manifest);
  server["limits"].erase("wall_ms");
  return core::CanonicalJson(
      {{"pinned", core::DigestName(core::Sha256(core::CanonicalJson(manifest.mcp->pinned)))},
       {"run", call.run},
       {"server", std::move(server)},
       {"session", call.session},
       {"session_ms", manifest.mcp->session_ms}});
}

// Of a remote one, where it is.
std::string CommandOf(const Manifest& manifest) {
  if (manifest.http) return HttpTargets(*manifest.http).front();
  std::string line;
  for (const std::string& word : manifest.process->command) {
    line += (line.empty() ? "" : " ") + word;
  }
  return OneLine(line, 200);
}

}  // namespace

McpSessions::McpSessions(int sessions_max)
    : sessions_max_(static_cast<std::size_t>(std::max(1, sessions_max))) {}

McpSessions::~McpSessions() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

// ---- what the executor asks for

std::uint64_t McpSessions::Call(CallSpec call, const MakeLink& make_link, std::int64_t wall_ms,
                                Done done) {
  const std::string key = call.run.empty() ? "" : KeyOf(call);
  std::uint64_t handle = 0;
  std::string why;
  std::shared_ptr<McpLink> begun;  // to a server that is to be started
  std::uint64_t id = 0;
  After after;
  {
    const std::lock_guard lock(mutex_);
    handle = ++last_;
    Session* session = Find(key);
    if (session == nullptr) {
      session = Open(call, key, make_link, why);
      if (session != nullptr) begun = session->link;
    } else if (session->waiting.size() >= kMcpWaitingMax) {
      why = "too many calls wait for this MCP server";
    }
    if (session == nullptr || !why.empty()) {
      after.push_back([done = std::move(done), why] { done(NotStarted("REFUSED", why)); });
    } else {
      id = session->id;
      session->waiting.push_back({handle, std::move(call),
                                  Clock::now() + std::chrono::milliseconds(wall_ms),
                                  std::move(done)});
      Pump(*session, after);
      if (!thread_.joinable()) thread_ = std::thread([this] { Watch(); });
    }
    TakeGone(after);
  }
  changed_.notify_one();
  if (begun != nullptr) begun->Start(shared_from_this(), id);
  for (const auto& tell : after) tell();
  return handle;
}

void McpSessions::Cancel(std::uint64_t handle) {
  constexpr std::string_view kCancelled = "cancelled before it started";
  After after;
  {
    const std::lock_guard lock(mutex_);
    for (auto& [id, session] : sessions_) {
      if (session->current && session->current->handle == handle) {
        Abandon(*session, "a call was cancelled", "SETUP",
                CancelledCall(*session->current->call.tool));
        break;
      }
      const auto waits =
          std::find_if(session->waiting.begin(), session->waiting.end(),
                       [handle](const Asked& asked) { return asked.handle == handle; });
      if (waits == session->waiting.end()) continue;
      if (session->waiting.size() == 1 && !session->was_ready) {
        Abandon(*session, std::string(kCancelled), "CANCELLED", Outcome());
        break;
      }
      after.push_back([done = std::move(waits->done), kCancelled] {
        done(NotStarted("CANCELLED", kCancelled));
      });
      session->waiting.erase(waits);
      break;
    }
    TakeGone(after);
  }
  for (const auto& tell : after) tell();
}

void McpSessions::EndRun(std::string_view run) {
  EndThose([run](const Session& session) { return session.run == run; });
}

void McpSessions::EndAll() {
  EndThose([](const Session&) { return true; });
}

void McpSessions::EndThose(const std::function<bool(const Session&)>& those) {
  After after;
  {
    const std::lock_guard lock(mutex_);
    for (auto& [id, session] : sessions_) {
      if (those(*session)) EndWhenIdle(*session);
    }
    TakeGone(after);
  }
  changed_.notify_one();
  for (const auto& tell : after) tell();
}

void McpSessions::OnSessionEnd(std::function<void(SessionEnd)> told) {
  const std::lock_guard lock(told_mutex_);
  told_ = std::move(told);
}

// ---- servers

McpSessions::Session* McpSessions::Find(const std::string& key) {
  if (key.empty()) return nullptr;
  const auto found = std::find_if(sessions_.begin(), sessions_.end(), [&](const auto& item) {
    return item.second->key == key && !item.second->ending;
  });
  if (found == sessions_.end()) return nullptr;
  Session& session = *found->second;
  const bool idle = session.was_ready && !session.current && session.waiting.empty();
  if (!idle || session.old_at > Clock::now()) return &session;
  session.why = "it had lived for `session_ms`";
  Close(session);
  return nullptr;
}

bool McpSessions::MakeRoom() {
  std::size_t running = 0;
  Session* oldest = nullptr;
  for (auto& [id, session] : sessions_) {
    if (session->ending) continue;
    ++running;
    const bool idle = session->was_ready && !session->current && session->waiting.empty();
    if (idle && (oldest == nullptr || session->used < oldest->used)) oldest = session.get();
  }
  if (running < sessions_max_) return true;
  if (oldest == nullptr) return false;
  oldest->why = "another run needed its place";
  Close(*oldest);
  return true;
}

McpSessions::Session* McpSessions::Open(const CallSpec& call, const std::string& key,
                                        const MakeLink& make_link, std::string& why) {
  if (!MakeRoom()) {
    why = "all " + std::to_string(sessions_max_) + " MCP servers that may run at once are busy";
    return nullptr;
  }
  auto link = make_link();
  if (!link.ok()) {
    why = std::string(core::Message(link.status()));
    return nullptr;
  }
  const Manifest& manifest = call.tool->manifest();
  auto session = std::make_unique<Session>(manifest.mcp->pinned);
  session->id = ++last_;
  session->key = key;
  session->run = call.run;
  session->command = CommandOf(manifest);
  session->link = *std::move(link);
  session->used = Clock::now();
  session->old_at = session->used + std::chrono::milliseconds(manifest.mcp->session_ms);
  Session& opened = *session;
  sessions_.emplace(opened.id, std::move(session));
  Send(opened, opened.dialogue.Begin());
  return &opened;
}

void McpSessions::OnOutput(std::uint64_t id, const sandbox::Output& output) {
  After after;
  std::function<void(sandbox::Output)> watcher;
  {
    const std::lock_guard lock(mutex_);
    const auto found = sessions_.find(id);
    if (found == sessions_.end()) return;
    Session& session = *found->second;
    if (output.is_stderr) {
      if (session.current) watcher = session.current->call.on_output;
    } else if (!session.ending) {
      TakeStdout(session, output.bytes, after);
    }
    TakeGone(after);
  }
  changed_.notify_one();
  if (watcher) watcher(output);
  for (const auto& tell : after) tell();
}

bool McpSessions::OnMessage(std::uint64_t id, std::string_view text) {
  After after;
  bool is_reply = false;
  {
    const std::lock_guard lock(mutex_);
    const auto found = sessions_.find(id);
    if (found == sessions_.end() || found->second->ending) return false;
    Session& session = *found->second;
    std::string answers;
    const core::StatusOr<bool> heard = session.dialogue.FeedMessage(text, answers);
    is_reply = heard.ok() && *heard;
    TakeHeard(session, heard.status(), answers, after);
    TakeGone(after);
  }
  changed_.notify_one();
  for (const auto& tell : after) tell();
  return is_reply;
}

void McpSessions::TakeStdout(Session& session, std::string_view bytes, After& after) {
  session.fed += bytes.size();
  std::string answers;
  const core::Status status = session.dialogue.Feed(bytes, answers);
  TakeHeard(session, status, answers, after);
}

void McpSessions::TakeHeard(Session& session, const core::Status& status,
                            const std::string& answers, After& after) {
  if (!status.ok()) {
    const bool refused = status.code() == core::StatusCode::kFailedPrecondition;
    const std::string why(core::Message(status));
    return Abandon(session, why, refused ? "REFUSED" : "SETUP",
                   BadServer("the MCP server broke the protocol: " + why));
  }
  session.link->Agreed(session.dialogue.revision());
  if (!answers.empty()) Send(session, answers);
  if (session.ending) return;
  session.was_ready = session.was_ready || session.dialogue.ready();
  if (const auto reply = session.dialogue.TakeReply()) OnReply(session, *reply, after);
  Pump(session, after);
}

void McpSessions::TakeRest(Session& session, std::string_view stdout_bytes, After& after) {
  if (session.ending || stdout_bytes.size() <= session.fed) return;
  std::string answers;
  const core::Status status = session.dialogue.Feed(stdout_bytes.substr(session.fed), answers);
  const auto reply = session.dialogue.TakeReply();
  if (!status.ok() || !reply || !session.current) return;  // it ended before it answered
  OnReply(session, *reply, after);
}

void McpSessions::OnReply(Session& session, const McpReply& reply, After& after) {
  Outcome outcome = OutcomeOfMcp(*session.current->call.tool, reply);
  session.used = Clock::now();
  if (session.key.empty()) {  // told when the box has ended
    session.verdict = std::move(outcome);
    return Close(session);
  }
  after.push_back(
      [done = std::move(session.current->done), outcome = std::move(outcome)] { done(outcome); });
  session.current.reset();
}

// Gives the server its next call.
void McpSessions::Pump(Session& session, After& after) {
  while (!session.ending && !session.current && session.dialogue.idle()) {
    if (session.waiting.empty()) {
      if (session.run_ended) Close(session);
      return;
    }
    if (session.dialogue.stale()) return Send(session, session.dialogue.Relist());
    Asked next = std::move(session.waiting.front());
    session.waiting.pop_front();
    if (next.deadline <= Clock::now()) {
      after.push_back([done = std::move(next.done)] {
        done(NotStarted("DEADLINE", "the MCP server had no time for it before its deadline"));
      });
      continue;
    }
    session.current = std::move(next);
    ++session.calls;
    const CallSpec& call = session.current->call;
    Send(session, session.dialogue.Call(call.tool->manifest().mcp->tool, call.args.text,
                                        call.call_id, call.idempotency_key));
  }
}

void McpSessions::Send(Session& session, const std::string& line) {
  const core::Status status = session.link->Send(line);
  if (status.ok()) return;
  const std::string why(core::Message(status));
  Abandon(session, why, "SETUP", BadServer(why));
}

// ---- ends

void McpSessions::Abandon(Session& session, std::string why, std::string_view code,
                          Outcome verdict) {
  if (session.ending) return;
  session.ending = true;
  session.why = std::move(why);
  session.why_code = code;
  if (session.current && !session.verdict) session.verdict = std::move(verdict);
  Kill(session);
}

void McpSessions::Close(Session& session) {
  session.ending = true;
  session.gone = !session.link->Close();
  session.kill_at = Clock::now() + kGrace;
}

void McpSessions::EndWhenIdle(Session& session) {
  session.run_ended = true;
  if (!session.ending && !session.current && session.waiting.empty()) Close(session);
}

void McpSessions::Kill(Session& session) {
  session.kill_at.reset();
  session.gone = session.gone || !session.link->Kill();
}

void McpSessions::TakeGone(After& after) {
  for (auto it = sessions_.begin(); it != sessions_.end();) {
    if (!it->second->gone) {
      ++it;
      continue;
    }
    const std::shared_ptr<Session> session = std::move(it->second);
    it = sessions_.erase(it);
    after.push_back([this, session] { Conclude(*session, {}); });
  }
}

void McpSessions::OnEnd(std::uint64_t id, McpLinkEnd end) {
  std::unique_ptr<Session> session;
  After after;
  {
    const std::lock_guard lock(mutex_);
    const auto found = sessions_.find(id);
    if (found == sessions_.end()) return;
    session = std::move(found->second);
    sessions_.erase(found);
    TakeRest(*session, end.box.stdout_bytes, after);
  }
  for (const auto& tell : after) tell();
  Conclude(*session, std::move(end));
}

void McpSessions::Conclude(Session& session, McpLinkEnd end) {
  end.box.stdout_bytes.clear();  // the protocol's
  if (session.current) {
    Asked& asked = *session.current;
    const Tool& tool = *asked.call.tool;
    asked.done(tool.manifest().http
                   ? OutcomeOfRemoteEnd(tool, std::move(session.verdict), end)
                   : OutcomeOfServerEnd(tool, std::move(session.verdict), end.box));
  }
  for (const Asked& asked : session.waiting) {
    asked.done(OutcomeOfWaiting(*asked.call.tool, session.why_code, end));
  }
  TellOperator(session, std::move(end));
}

void McpSessions::TellOperator(const Session& session, McpLinkEnd end) {
  const std::lock_guard lock(told_mutex_);
  if (!told_) return;
  const bool ended_by_us = session.run_ended || (session.key.empty() && session.ending);
  const bool unasked = session.why.empty() && !ended_by_us;
  SessionEnd told{.run = session.run,
                  .command = session.command,
                  .calls = session.calls,
                  .by_itself = unasked,
                  .refused = session.why_code == "REFUSED",
                  .remote = !session.link->level(),
                  .why = unasked ? WhyLinkEnded(end) : session.why,
                  .box = std::move(end.box)};
  told.box.stderr_bytes.clear();
  told_(std::move(told));
}

// ---- time

void McpSessions::Expire(Session& session, Time now, After& after) {
  if (session.kill_at && *session.kill_at <= now) Kill(session);
  if (session.ending) return;
  (void)session.link->Flush();
  if (session.current && session.current->deadline <= now) {
    return Abandon(session, "a call ran into its wall limit", "SETUP",
                   TimedOut("the MCP server did not answer in time"));
  }
  constexpr std::string_view kLate = "the MCP server had no time for it before its deadline";
  for (auto it = session.waiting.begin(); it != session.waiting.end();) {
    if (it->deadline > now) {
      ++it;
      continue;
    }
    if (!session.dialogue.ready() && session.waiting.size() == 1) {  // nor will it be
      return Abandon(session, "the MCP server was not ready in time", "DEADLINE", Outcome());
    }
    after.push_back([done = std::move(it->done), kLate] { done(NotStarted("DEADLINE", kLate)); });
    it = session.waiting.erase(it);
  }
}

std::optional<McpSessions::Time> McpSessions::NextTime() {
  std::optional<Time> next;
  const auto at = [&next](Time time) { next = next ? std::min(*next, time) : time; };
  for (auto& [id, session] : sessions_) {
    if (session->kill_at) at(*session->kill_at);
    if (session->ending) continue;
    if (!session->link->Flush()) at(Clock::now() + kFlushPause);
    if (session->current) at(session->current->deadline);
    for (const Asked& asked : session->waiting) at(asked.deadline);
  }
  return next;
}

void McpSessions::Watch() {
  std::unique_lock lock(mutex_);
  while (!closing_) {
    After after;
    const Time now = Clock::now();
    for (auto& [id, session] : sessions_) Expire(*session, now, after);
    TakeGone(after);
    if (!after.empty()) {
      lock.unlock();
      for (const auto& tell : after) tell();
      lock.lock();
      continue;
    }
    if (const std::optional<Time> next = NextTime()) {
      changed_.wait_until(lock, *next);
    } else {
      changed_.wait(lock);
    }
  }
}

}  // namespace interlock::tools
