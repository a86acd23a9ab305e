#include "harness.h"

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <chrono>
#include <future>
#include <thread>

#include "runtime/own_tools.h"

namespace interlock::runtime::test {
namespace {

template <typename T>
core::StatusOr<T> Answered(std::function<void(Reply<T>)> start) {
  auto promise = std::make_shared<std::promise<core::StatusOr<T>>>();
  auto future = promise->get_future();
  start([promise](core::StatusOr<T> value) { promise->set_value(std::move(value)); });
  if (future.wait_for(kReplyPatience) != std::future_status::ready) {
    return core::Error(core::StatusCode::kDeadlineExceeded, "no reply");
  }
  return future.get();
}

// Open, with the names that tests use declared; what a key is made of is required.
core::Json SchemaOf(const ToolSpec& spec) {
  std::string keys = spec.effect_key;
  for (const std::string& lock : spec.locks) keys += lock;
  core::Json schema = {{"type", "object"}, {"properties", core::Json::object()}};
  for (const std::string name :
       {"amount", "body", "card", "customer", "id", "n", "text", "to", "x"}) {
    schema["properties"][name] = core::Json::object();
    if (keys.find("{args." + name + "}") != std::string::npos) schema["required"].push_back(name);
  }
  return schema;
}

tools::Manifest ManifestOf(const ToolSpec& spec) {
  tools::Manifest manifest;
  manifest.name = spec.name;
  manifest.description = "a tool of the tests";
  manifest.input_schema = SchemaOf(spec);
  manifest.effect = spec.effect;
  manifest.effect_key = spec.effect_key;
  manifest.locks = spec.locks;
  manifest.failure = spec.failure;
  manifest.cancel = spec.cancel;
  manifest.trust = spec.trust;
  manifest.builtin = "test";
  if (spec.idempotent) manifest.idempotency = {.supported = true, .window_ms = 3'600'000};
  if (!spec.reconcile.empty()) {
    manifest.reconcile = tools::Reconcile{.tool = spec.reconcile,
                                          .args = {{"call", "{call.id}"}},
                                          .settle_after_ms = spec.settle_after_ms};
  }
  if (!spec.compensate.empty()) {
    manifest.result_schema = {{"type", "object"}, {"required", {"ref"}}};
    manifest.compensate =
        tools::Compensate{.tool = spec.compensate, .args = {{"ref", "{result.ref}"}}};
  }
  if (spec.money) {
    manifest.money = tools::MoneyResult{.amount_path = "amount",
                                        .currency_path = "currency",
                                        .currency_code = "",
                                        .minor_units = false};
  }
  return manifest;
}

AgentFile Tester(const std::string& lines) {
  return AgentNamed("tester", "on_text: answer\n" + lines,
                    "steps_max: 8, wall_ms: 60000, calls_max: 20");
}

}  // namespace

AgentFile AgentNamed(const std::string& name, const std::string& lines, const std::string& limits) {
  auto parsed = ParseAgent(
      name + ".yaml",
      "name: " + name +
          "\nversion: \"1\"\ndescription: tests\nplanner: fake\nmodel: none\nprompt: be good\n"
          "tools: [\"*\"]\nlimits: {" +
          limits + "}\n" + lines);
  EXPECT_TRUE(parsed.ok()) << parsed.status();
  return parsed.ok() ? *parsed : AgentFile{};
}

Harness::Harness(std::string policy, std::vector<ToolSpec> specs, Begin begin)
    : policy_(std::move(policy)) {
  folder = (std::filesystem::temp_directory_path() / "interlock-engine-XXXXXX").string();
  EXPECT_NE(mkdtemp(folder.data()), nullptr);
  SetTools(specs);
  limits.retry_pause_us = 1'000;  // they pass in real time
  agent = Tester("");
  if (begin == Begin::kStarted) Start();
}

void Harness::SetAgent(const std::string& lines) {
  agent = Tester(lines);
  Restart();
}

Harness::~Harness() {
  Stop();
  std::filesystem::remove_all(folder);
}

void Harness::OpenLog() {
  const core::Status opened = TryOpenLog();
  ASSERT_TRUE(opened.ok()) << opened;
}

core::Status Harness::TryOpenLog() {
  INTERLOCK_ASSIGN_OR_RETURN(signer_, audit::OpenFileSigner(folder, "test/main"));
  INTERLOCK_ASSIGN_OR_RETURN(auto keys, audit::KeyStore::Open(folder, &random));
  keys_ = std::make_unique<KeysThatFail>(std::move(keys), open_faults);
  state_ = MakeState(keys_.get(), runs_kept);
  audit::LogOptions options;
  options.folder = folder;
  options.tenant = "main";
  options.origin = "test/main";
  options.clock = &clock;
  options.signer = signer_.get();
  options.projectors = {ProjectorOf(*state_)};
  options.clock_stepped = ClockSteppedOf(*state_);
  options.ballast_bytes = 1 << 20;
  INTERLOCK_ASSIGN_OR_RETURN(log_, audit::Log::Open(options));
  return core::OkStatus();
}

std::shared_ptr<const policies::Bundle> Harness::LoadPolicy(const std::string& text) const {
  std::vector<policies::KnownTool> known;
  for (const auto& tool : with_own_->tools()) {
    const tools::Manifest& m = tool->manifest();
    known.push_back(
        {m.name, std::string(tools::EffectName(m.effect)), m.input_schema, m.result_schema});
  }
  auto bundle = policies::Bundle::Load({{"test.lua", text}}, known, nullptr);
  EXPECT_TRUE(bundle.ok()) << bundle.status();
  return bundle.ok() ? *bundle : nullptr;
}

core::Status Harness::StartEngine() {
  EngineParts parts;
  parts.tenant = "main";
  parts.log = log_.get();
  parts.keys = keys_.get();
  parts.state = state_.get();
  parts.clock = &clock;
  parts.random = &random;
  parts.mint = &mint_;
  parts.executor = &tools;
  std::vector<AgentFile> agents = versions;
  agents.insert(agents.end(), others.begin(), others.end());
  agents.push_back(agent);
  INTERLOCK_ASSIGN_OR_RETURN(with_own_, WithOwnTools(registry_, agents));
  parts.registry = with_own_;
  if (!policy_.empty()) parts.bundle = LoadPolicy(policy_);
  parts.policy_folders = policy_folders;
  parts.agents = std::move(agents);
  parts.planners["fake"] = asked;
  if (context.tokens > 0) {
    parts.context_of = [this](const std::string&, const std::string&) { return context; };
  }
  parts.limits = limits;
  parts.folder = folder;
  parts.retention = retention;
  parts.principals = principals;
  parts.warn = [this](const std::string& line) {
    const std::lock_guard lock(warned_mutex);
    warned.push_back(line);
  };
  parts.search = with_search_;
  parts.search_fill_max = search_fill_max;
  parts.search_free_bytes_min = search_free_bytes_min;
  INTERLOCK_ASSIGN_OR_RETURN(engine_, MakeEngine(std::move(parts)));
  return core::OkStatus();
}

core::Status Harness::TryStart() {
  INTERLOCK_RETURN_IF_ERROR(TryOpenLog());
  return StartEngine();
}

void Harness::Start() {
  const core::Status started = TryStart();
  ASSERT_TRUE(started.ok()) << started;
}

void Harness::Stop() {
  engine_.reset();
  log_.reset();
  state_.reset();
  keys_.reset();
  signer_.reset();
}

void Harness::SetTools(const std::vector<ToolSpec>& specs) {
  std::vector<std::shared_ptr<const tools::Tool>> all;
  for (const ToolSpec& spec : specs) {
    auto tool = tools::Tool::FromManifest(ManifestOf(spec));
    EXPECT_TRUE(tool.ok()) << tool.status();
    all.push_back(*tool);
  }
  auto registry = tools::Registry::Of(std::move(all));
  EXPECT_TRUE(registry.ok()) << registry.status();
  registry_ = *registry;
  with_own_ = registry_;
}

std::string Harness::CopyFiles() {
  std::string copy = folder + ".copy";
  std::filesystem::remove_all(copy);
  std::filesystem::copy(folder, copy, std::filesystem::copy_options::recursive);
  return copy;
}

void Harness::StopAndGoBackTo(const std::string& copy) {
  Stop();
  std::filesystem::remove_all(folder);
  std::filesystem::rename(copy, folder);
}

void Harness::RestartFrom(const std::string& copy) {
  StopAndGoBackTo(copy);
  Start();
}

void Harness::Restart() {
  Stop();
  Start();
}

core::StatusOr<RunInfo> Harness::CreateRun(std::string message, std::string user,
                                           std::string request_id) {
  CreateRunSpec spec{.agent = "tester",
                     .message = std::move(message),
                     .user = std::move(user),
                     .subject = "",
                     .session = core::Json::object(),
                     .request_id = std::move(request_id)};
  return Answered<RunInfo>(
      [&](Reply<RunInfo> reply) { engine_->CreateRun(integrator, spec, std::move(reply)); });
}

RunInfo Harness::WaitFor(const std::string& run, std::function<bool(const RunInfo&)> until) {
  const auto deadline = std::chrono::steady_clock::now() + kReplyPatience;
  std::mutex mutex;
  std::condition_variable changed;
  bool news = true;
  const std::uint64_t id = engine_->Subscribe(run, [&] {
    const std::lock_guard lock(mutex);
    news = true;
    changed.notify_all();
  });
  RunInfo info;
  for (;;) {
    auto now = engine_->GetRun(operator_one, run);
    if (now.ok()) {  // others are shown no answer
      now = engine_->GetRun({.tenant = "main", .id = now->principal, .roles = {}}, run);
    }
    EXPECT_TRUE(now.ok()) << now.status();
    if (!now.ok()) break;
    info = *now;
    if (until(info)) break;
    std::unique_lock lock(mutex);
    if (!changed.wait_until(lock, deadline, [&] { return news; })) {
      ADD_FAILURE() << "run stays `" << RunStateName(info.state) << "` " << info.code << " "
                    << info.reason;
      break;
    }
    news = false;
  }
  engine_->Unsubscribe(id);
  return info;
}

RunInfo Harness::WaitForState(const std::string& run, RunState state) {
  return WaitFor(run, [state](const RunInfo& info) { return info.state == state; });
}

std::string Harness::NewRequestId() { return core::NewUuidV7(clock, random); }

core::StatusOr<CallInfo> Harness::Execute(const std::string& tool, const core::Json& args,
                                          std::string request_id, std::string user) {
  ToolCallSpec spec{.tool = tool,
                    .args = args.dump(),
                    .user = std::move(user),
                    .subject = "",
                    .session = core::Json::object(),
                    .request_id = request_id.empty() ? NewRequestId() : std::move(request_id)};
  return Answered<CallInfo>(
      [&](Reply<CallInfo> reply) { engine_->ExecuteToolCall(integrator, spec, std::move(reply)); });
}

core::StatusOr<CallInfo> Harness::Check(const std::string& tool, const core::Json& args) {
  ToolCallSpec spec{.tool = tool,
                    .args = args.dump(),
                    .user = "u1",
                    .subject = "",
                    .session = core::Json::object(),
                    .request_id = ""};
  return Answered<CallInfo>(
      [&](Reply<CallInfo> reply) { engine_->CheckToolCall(integrator, spec, std::move(reply)); });
}

core::StatusOr<ApprovalInfo> Harness::AnswerApproval(const core::Principal& who,
                                                     const std::string& approval, bool grant,
                                                     std::string on_behalf_of) {
  auto shown = engine_->GetApproval(integrator, approval);
  if (!shown.ok()) shown = engine_->GetApproval(operator_one, approval);
  EXPECT_TRUE(shown.ok()) << shown.status();
  if (!shown.ok()) return shown.status();
  struct Answer answer {
    .approval = approval, .grant = grant, .etag = shown->etag, .reason = "",
    .on_behalf_of = std::move(on_behalf_of), .request_id = ""
  };
  return Answered<ApprovalInfo>(
      [&](Reply<ApprovalInfo> reply) { engine_->AnswerApproval(who, answer, std::move(reply)); });
}

core::StatusOr<CallInfo> Harness::Resolve(const core::Principal& who, const std::string& call,
                                          bool happened) {
  ResolveSpec spec{.call = call,
                   .happened = happened,
                   .reason = "looked at the shop",
                   .evidence = "",
                   .request_id = ""};
  return Answered<CallInfo>(
      [&](Reply<CallInfo> reply) { engine_->ResolveCall(who, spec, std::move(reply)); });
}

core::StatusOr<RunInfo> Harness::Send(const std::string& run, std::string text) {
  return SendAs(integrator, run, std::move(text));
}

core::StatusOr<RunInfo> Harness::SendAs(const core::Principal& who, const std::string& run,
                                        std::string text) {
  return Answered<RunInfo>(
      [&](Reply<RunInfo> reply) { engine_->SendMessage(who, run, text, "", std::move(reply)); });
}

core::StatusOr<RunInfo> Harness::Cancel(const std::string& run) {
  return Answered<RunInfo>([&](Reply<RunInfo> reply) {
    engine_->CancelRun(integrator, run, "changed my mind", "", std::move(reply));
  });
}

std::vector<ApprovalInfo> Harness::Pending() {
  auto page = engine_->ListApprovals(operator_one, {}, policies::ApprovalPhase::kPending, "");
  EXPECT_TRUE(page.ok()) << page.status();
  return page.ok() ? page->items : std::vector<ApprovalInfo>{};
}

std::vector<CallInfo> Harness::CallsOf(const std::string& run) {
  auto page = engine_->ListCalls(operator_one, {}, std::nullopt, run);
  EXPECT_TRUE(page.ok()) << page.status();
  return page.ok() ? page->items : std::vector<CallInfo>{};
}

BudgetInfo Harness::Budget(const std::string& name) {
  const auto budgets = engine_->ListBudgets(operator_one, {.past = true});
  EXPECT_TRUE(budgets.ok()) << budgets.status();
  for (const BudgetInfo& budget : *budgets) {
    if (budget.name == name) return budget;
  }
  return {};
}

std::int64_t Harness::Number(const std::string& sql) {
  std::int64_t number = -1;
  const core::Status status = log_->Query([&](sqlite3* db) -> core::Status {
    sqlite3_stmt* select = nullptr;
    if (sqlite3_prepare_v2(db, sql.c_str(), -1, &select, nullptr) != SQLITE_OK) {
      return core::Internal(sqlite3_errmsg(db));
    }
    if (sqlite3_step(select) == SQLITE_ROW) number = sqlite3_column_int64(select, 0);
    sqlite3_finalize(select);
    return core::OkStatus();
  });
  EXPECT_TRUE(status.ok()) << sql << ": " << status;
  return number;
}

std::vector<audit::Entry> Harness::Entries(const std::string& run) {
  auto page = run.empty() ? log_->ReadRange(0, 10'000) : log_->ReadRun(run, 0, 10'000);
  EXPECT_TRUE(page.ok()) << page.status();
  return page.ok() ? page->entries : std::vector<audit::Entry>{};
}

std::vector<std::string> Harness::Kinds(const std::string& run) {
  std::vector<std::string> kinds;
  for (const audit::Entry& entry : Entries(run)) kinds.push_back(entry.kind);
  return kinds;
}

void EditDatabase(const std::string& path, const std::string& sql) {
  std::filesystem::permissions(path, std::filesystem::perms::owner_all);
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open(path.c_str(), &db), SQLITE_OK);
  EXPECT_EQ(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK)
      << sql << ": " << sqlite3_errmsg(db);
  sqlite3_close(db);
}

}  // namespace interlock::runtime::test
