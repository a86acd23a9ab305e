// run AGENT …, runs list|show|watch|cancel|message.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <ostream>
#include <sstream>
#include <thread>
#include <utility>

#include "cli/cli.h"
#include "cli/message_json.h"
#include "cli/model_cost.h"
#include "cli/timeline.h"

namespace interlock::runtime::cli {
namespace {

constexpr std::chrono::milliseconds kRetryPause{200};
constexpr std::chrono::seconds kRetryLimit{60};  // a daemon takes up to 30 to stop, and then starts

struct RunOptions {
  std::string agent;
  std::string message;
  std::string user;
  std::string subject;
  std::string session;
  std::string request_id;
  bool watch = false;
  bool until_waiting = false;
  bool output = false;
  bool stream = false;
};

struct WatchOptions {
  std::string run;
  std::int64_t after = -1;
  bool until_waiting = false;
  bool no_content = false;
  bool output = false;
  bool stream = false;
};

struct ListOptions {
  std::string state;
  int limit = 50;
};

std::string StateText(const wire::Run& run) {
  return EnumText(*wire::Run::State_descriptor(), run.state());
}

bool Final(const wire::Run& run) {
  return run.state() == wire::Run::STATE_COMPLETED || run.state() == wire::Run::STATE_FAILED ||
         run.state() == wire::Run::STATE_CANCELLED || run.state() == wire::Run::STATE_ESCALATED ||
         run.state() == wire::Run::STATE_UNCOMPENSATED;
}

bool WaitsForSomebody(const wire::OpenCall& open) {
  return open.waits_for() == wire::OpenCall::WAITS_FOR_PERSON ||
         open.waits_for() == wire::OpenCall::WAITS_FOR_APPROVAL ||
         open.waits_for() == wire::OpenCall::WAITS_FOR_SWITCH;
}

bool Waiting(const wire::Run& run) {
  if (run.state() == wire::Run::STATE_CANCELLING || run.state() == wire::Run::STATE_COMPENSATING) {
    return std::any_of(run.open_calls().begin(), run.open_calls().end(), WaitsForSomebody);
  }
  return run.state() == wire::Run::STATE_WAITING_FOR_APPROVAL ||
         run.state() == wire::Run::STATE_WAITING_FOR_USER ||
         run.state() == wire::Run::STATE_WAITING_FOR_PERSON ||
         run.state() == wire::Run::STATE_WAITING_FOR_SWITCH ||
         run.state() == wire::Run::STATE_WAITING_FOR_RUN ||
         run.state() == wire::Run::STATE_WAITING_FOR_PLANNER;
}

int CodeOf(const wire::Run& run) {
  if (run.state() == wire::Run::STATE_FAILED || run.state() == wire::Run::STATE_CANCELLED ||
      run.state() == wire::Run::STATE_UNCOMPENSATED)
    return kNo;
  return Final(run) ? kYes : kIncomplete;
}

// "call ID of orders.book, whose outcome is being looked up".
std::string OpenText(const wire::OpenCall& open) {
  const std::string call = " call " + IdOf(open.call()) + " of " + open.tool();
  switch (open.waits_for()) {
    case wire::OpenCall::WAITS_FOR_LOOK_UP:
      return call + ", whose outcome is being looked up";
    case wire::OpenCall::WAITS_FOR_PERSON:
      return call + ", whose outcome a person has to say: `interlock calls resolve " +
             IdOf(open.call()) + "`";
    case wire::OpenCall::WAITS_FOR_APPROVAL:
      return call + ", which somebody has to approve: `interlock approvals show " +
             IdOf(open.approval()) + "`";
    case wire::OpenCall::WAITS_FOR_SWITCH:
      return call + ", which a kill switch keeps from being taken back: `interlock switches list`";
    case wire::OpenCall::WAITS_FOR_TURN:
      return call + ", which is taken back when nothing is in the way";
    default:
      return call + ", which is at work";
  }
}

void PrintRun(const Io& io, const wire::Run& run) {
  if (io.json) return PrintJson(io, MessageJson(run));
  const auto row = [&](const char* name, const std::string& value) {
    if (!value.empty()) io.out << io.Paint(Style::kDim, name) << EscapeForTerminal(value) << '\n';
  };
  row("run      ", IdOf(run.name()));
  row("agent    ", run.agent());
  row("state    ", StateText(run));
  for (const std::string& started : run.waits_for()) row("waits for", " run " + IdOf(started));
  for (const wire::OpenCall& open : run.open_calls()) row("waits for", OpenText(open));
  row("called by", run.parent_run().empty() ? "" : " run " + IdOf(run.parent_run()));
  row("works for", run.root_run().empty() ? "" : " run " + IdOf(run.root_run()));
  row("by       ", run.principal());
  row("created  ", FormatTime(MicrosOf(run.create_time())));
  row("updated  ", FormatTime(MicrosOf(run.update_time())));
  row("steps    ", std::to_string(run.steps()));
  row("entries  ", std::to_string(run.entry_count()));
  row("models   ", CostText(run.models()));
  row("  below  ", CostText(run.models_below()));
  row("code     ", run.code());
  row("reason   ", run.reason());
  row("answer   ", run.answer());
}

// The daemon is gone or going. A stream that reaches it while it stops comes back as CANCELLED; we
// cancel none that we go on to judge.
bool Away(const grpc::Status& status) {
  return status.error_code() == grpc::StatusCode::UNAVAILABLE ||
         status.error_code() == grpc::StatusCode::CANCELLED;
}

// Follows one run. Holds where it stands, so that a broken stream goes on without loss or
// repetition.
class Watcher {
 public:
  Watcher(Session& session, const Client& client, WatchOptions options)
      : session_(session),
        client_(client),
        options_(std::move(options)),
        shown_after_(std::exchange(options_.after, -1)),
        timeline_(session.io) {}

  int Watch() {
    auto given_up = std::chrono::steady_clock::now() + kRetryLimit;
    while (true) {
      const std::int64_t before = options_.after;
      const grpc::Status status = Stream();
      if (done_ || (status.ok() && seen_)) return CodeOf(run_);
      if (options_.after != before) given_up = std::chrono::steady_clock::now() + kRetryLimit;
      const bool again = Away(status) && seen_ && std::chrono::steady_clock::now() < given_up;
      if (!again) return Fail(session_, client_.Explain(status));
      if (!lost_)
        Note("the daemon is gone; waiting to go on after entry " + std::to_string(options_.after));
      lost_ = true;
      std::this_thread::sleep_for(kRetryPause);
    }
  }

 private:
  grpc::Status Stream() {
    grpc::ClientContext context;
    client_.Prepare(context);
    wire::WatchRunRequest request;
    request.set_name(client_.Name("runs", options_.run));
    request.set_after_run_seq(options_.after);
    request.set_view(options_.no_content ? wire::CONTENT_VIEW_ENTRIES : wire::CONTENT_VIEW_FULL);
    request.set_tool_output(options_.output);
    request.set_planner_text(options_.stream);
    const auto reader = client_.runs->WatchRun(&context, request);
    wire::WatchRunResponse item;
    while (!done_ && reader->Read(&item)) Take(item);
    if (done_) context.TryCancel();
    return reader->Finish();
  }

  void Take(const wire::WatchRunResponse& item) {
    if (lost_) Note("the daemon is back; nothing was lost");
    lost_ = false;
    seen_ = true;
    const bool shown = !item.has_event() || item.event().run_seq() > shown_after_;
    if (session_.io.json && shown) PrintJson(session_.io, MessageJson(item));
    if (item.has_event()) {
      EndText();
      if (item.event().kind() == "plan.received") writing_ = false;
      options_.after = item.event().run_seq();
      if (!session_.io.json) Print(item.event(), shown);
    } else if (item.has_output()) {
      if (!session_.io.json) Print(item.output());
    } else if (item.has_text()) {
      if (!session_.io.json) Print(item.text());
    } else if (item.has_run()) {
      run_ = item.run();
      done_ = Final(run_) || (options_.until_waiting && Waiting(run_));
    }
    session_.io.out.flush();
  }

  void Print(const wire::RunEvent& event, bool shown) {
    const core::Json entry =
        core::Json::parse(event.entry_json(), nullptr, /*allow_exceptions=*/false);
    if (!entry.is_object()) return;
    if (!shown) return timeline_.Learn(entry);
    const Content content(event.content().begin(), event.content().end());
    for (const std::string& line : timeline_.Lines(entry, content)) session_.io.out << line << '\n';
  }

  // Line by line; each part of a line that is not finished yet stands on a line of its own.
  void Print(const wire::ToolOutput& output) {
    EndText();
    const std::string name = timeline_.NameOfCall(IdOf(output.call()));
    const bool is_stderr = output.stream() == wire::ToolOutput::STREAM_STDERR;
    const std::string head = name + (is_stderr ? " ! " : " | ");
    if (output.dropped_bytes() > 0) {
      Note(std::to_string(output.dropped_bytes()) + " bytes of output were left out");
    }
    std::istringstream lines(output.text());
    for (std::string line; std::getline(lines, line);) {
      session_.io.out << session_.io.Paint(Style::kDim, head) << EscapeForTerminal(line) << '\n';
    }
  }

  // As it comes; what follows, or takes it back, begins on a line of its own.
  void Print(const wire::PlannerText& text) {
    if (text.begins()) EndText();
    if (text.begins() && writing_) Note("the planner begins again: what it wrote does not count");
    if (text.dropped_bytes() > 0) {
      Note(std::to_string(text.dropped_bytes()) + " bytes of text were left out");
    }
    if (text.text().empty()) return;
    if (!open_line_) session_.io.out << session_.io.Paint(Style::kDim, "… ");
    session_.io.out << EscapeLines(text.text(), 0);
    open_line_ = writing_ = true;
  }

  void EndText() {
    if (open_line_) session_.io.out << '\n';
    open_line_ = false;
  }

  void Note(const std::string& text) {
    EndText();
    session_.io.err << "-- " << text << std::endl;
  }

  Session& session_;
  const Client& client_;
  WatchOptions options_;
  // The stream is read from its start, so that calls have the names they had before; only later
  // entries show.
  std::int64_t shown_after_;
  Timeline timeline_;
  wire::Run run_;
  bool seen_ = false;
  bool lost_ = false;
  bool done_ = false;
  bool writing_ = false;    // of a reply that has not come
  bool open_line_ = false;  // its text stands on the line that is printed
};

int StartRun(Session& session, const RunOptions& options) {
  auto client = session.Connect();
  if (!client.ok()) return Fail(session, client.status());
  wire::CreateRunRequest request;
  request.set_parent((*client)->parent());
  request.set_request_id(options.request_id.empty() ? NewRequestId() : options.request_id);
  wire::Run& run = *request.mutable_run();
  run.set_agent(options.agent);
  run.set_message(options.message);
  run.set_user(options.user);
  run.set_subject(options.subject);
  run.set_session_json(options.session);
  const auto created =
      (*client)->Call((*client)->runs, &wire::RunService::Stub::CreateRun, request);
  if (!created.ok()) return Fail(session, created.status());
  if (options.watch) {
    return Watcher(
               session, **client,
               {created->name(), -1, options.until_waiting, false, options.output, options.stream})
        .Watch();
  }
  PrintRun(session.io, *created);
  return kYes;
}

int ListRuns(Session& session, const ListOptions& options) {
  auto client = session.Connect();
  if (!client.ok()) return Fail(session, client.status());
  wire::ListRunsRequest request;
  request.set_parent((*client)->parent());
  if (!options.state.empty()) {
    const int state = EnumNumber(*wire::Run::State_descriptor(), options.state);
    if (state < 0)
      return Fail(session,
                  core::InvalidArgument("no run state `" + options.state + "`; there are " +
                                        EnumTexts(*wire::Run::State_descriptor())));
    request.set_state(static_cast<wire::Run::State>(state));
  }
  Table table({"RUN", "AGENT", "STATE", "STEPS", "UPDATED (UTC)"});
  core::Json list = core::Json::array();
  const core::Status status = EachPage(
      session.io, options.limit,
      [&](int size, const std::string& token) -> core::StatusOr<PageEnd> {
        request.set_page_size(size);
        request.set_page_token(token);
        INTERLOCK_ASSIGN_OR_RETURN(
            const wire::ListRunsResponse page,
            (*client)->Call((*client)->runs, &wire::RunService::Stub::ListRuns, request));
        for (const wire::Run& run : page.runs()) {
          list.push_back(MessageJson(run));
          table.Add({IdOf(run.name()), run.agent(), StateText(run), std::to_string(run.steps()),
                     FormatTime(MicrosOf(run.update_time()))});
        }
        return PageEnd{page.next_page_token(), page.runs_size()};
      });
  if (!status.ok()) return Fail(session, status);
  if (session.io.json) {
    PrintJson(session.io, {{"runs", list}});
  } else {
    table.Print(session.io);
  }
  return kYes;
}

// GetRun, SendMessage and CancelRun all answer with the run.
template <typename Request>
int OneRun(Session& session, const std::string& id, Request request,
           grpc::Status (wire::RunService::Stub::*method)(grpc::ClientContext*, const Request&,
                                                          wire::Run*)) {
  auto client = session.Connect();
  if (!client.ok()) return Fail(session, client.status());
  request.set_name((*client)->Name("runs", id));
  const auto run = (*client)->Call((*client)->runs, method, request);
  if (!run.ok()) return Fail(session, run.status());
  PrintRun(session.io, *run);
  return kYes;
}

void AddRun(CLI::App& app, Session& session) {
  auto options = std::make_shared<RunOptions>();
  CLI::App* run = app.add_subcommand("run", "Start a run of an agent");
  run->add_option("AGENT", options->agent, "Name of the agent file")->required();
  run->add_option("--message,-m", options->message, "First message of the user")->required();
  run->add_option("--user", options->user, "The end user, as you have authenticated him");
  run->add_option("--subject", options->subject, "Whose key seals the content (default: the user)");
  run->add_option("--session", options->session,
                  "Trusted values for policies and tools: a JSON object");
  run->add_option("--request-id", options->request_id,
                  "UUID: a repeat answers with the run made first");
  run->add_flag("--watch", options->watch, "Print the timeline until the run ends");
  run->add_flag("--until-waiting", options->until_waiting,
                "With --watch: stop when it waits for somebody");
  run->add_flag("--output", options->output, "With --watch: also what tools write while they run");
  run->add_flag("--stream", options->stream,
                "With --watch: also what the planner writes, as it comes");
  Does(run, session, [&session, options] { return StartRun(session, *options); });
}

void AddList(CLI::App& group, Session& session) {
  auto options = std::make_shared<ListOptions>();
  CLI::App* list = group.add_subcommand("list", "List runs, newest first");
  list->add_option("--state", options->state,
                   "Only runs in this state, for instance waiting_for_approval");
  list->add_option("--limit", options->limit, "At most this many")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  Does(list, session, [&session, options] { return ListRuns(session, *options); });
}

void AddWatch(CLI::App& group, Session& session) {
  auto options = std::make_shared<WatchOptions>();
  CLI::App* watch = group.add_subcommand("watch", "Print a run's timeline as it happens");
  watch->add_option("RUN", options->run)->required()->check(IdOfOne("runs"));
  watch->add_option("--after", options->after, "Go on after this entry of the run (run_seq)");
  watch->add_flag("--until-waiting", options->until_waiting, "Stop when it waits for somebody");
  CLI::Option* bare =
      watch->add_flag("--no-content", options->no_content, "Without what people and tools said");
  watch->add_flag("--output", options->output, "Also what tools write while they run")
      ->excludes(bare);
  watch->add_flag("--stream", options->stream, "Also what the planner writes, as it comes")
      ->excludes(bare);
  Does(watch, session, [&session, options]() -> int {
    auto client = session.Connect();
    if (!client.ok()) return Fail(session, client.status());
    return Watcher(session, **client, *options).Watch();
  });
}

}  // namespace

void AddRunCommands(CLI::App& app, Session& session) {
  AddRun(app, session);
  CLI::App* group = AddGroup(app, "runs", "Runs: list, show, watch, answer, cancel");
  AddList(*group, session);
  AddWatch(*group, session);
  AddReplayCommand(*group, session);

  auto id = std::make_shared<std::string>();
  auto text = std::make_shared<std::string>();
  CLI::App* show = group->add_subcommand("show", "Show a run");
  show->add_option("RUN", *id)->required()->check(IdOfOne("runs"));
  Does(show, session, [&session, id] {
    return OneRun(session, *id, wire::GetRunRequest(), &wire::RunService::Stub::GetRun);
  });
  CLI::App* message = group->add_subcommand("message", "Give a message of the user to a run");
  message->add_option("RUN", *id)->required()->check(IdOfOne("runs"));
  message->add_option("TEXT", *text)->required();
  Does(message, session, [&session, id, text] {
    wire::SendMessageRequest request;
    request.set_text(*text);
    request.set_request_id(NewRequestId());
    return OneRun(session, *id, request, &wire::RunService::Stub::SendMessage);
  });
  CLI::App* cancel = group->add_subcommand("cancel", "Cancel a run");
  cancel->add_option("RUN", *id)->required()->check(IdOfOne("runs"));
  cancel->add_option("--reason", *text, "Why");
  Does(cancel, session, [&session, id, text] {
    wire::CancelRunRequest request;
    request.set_reason(*text);
    request.set_request_id(NewRequestId());
    return OneRun(session, *id, request, &wire::RunService::Stub::CancelRun);
  });
}

}  // namespace interlock::runtime::cli
