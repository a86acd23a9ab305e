#include "stack.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "core/check.h"
#include "core/json.h"

namespace interlock::bench {
namespace {

constexpr const char* kSchema = R"({
  "type": "object", "additionalProperties": false, "required": ["amount", "order_id", "reason"],
  "properties": {"amount": {"type": "integer"}, "order_id": {"type": "string"}, "reason": {"type": "string"}}})";

tools::Manifest NoopManifest(const std::string& name, const std::string& schema) {
  tools::Manifest manifest;
  manifest.name = name;
  manifest.description = "Does nothing.";
  manifest.input_schema = core::Json::parse(schema.empty() ? kSchema : schema);
  manifest.effect = tools::Effect::kWrite;
  manifest.builtin = "noop";
  return manifest;
}

tools::Manifest PayManifest(tools::Manifest manifest) {
  manifest.effect = tools::Effect::kMoney;
  manifest.effect_key = "pay:{args.order_id}:{args.reason}";
  manifest.builtin = "pay";
  manifest.money = {
      .amount_path = "amount", .currency_path = "", .currency_code = "EUR", .minor_units = true};
  return manifest;
}

std::shared_ptr<const tools::Tool> ToolOf(tools::Manifest manifest) {
  return Must(tools::Tool::FromManifest(std::move(manifest)));
}

tools::Outcome Noop(const tools::CallSpec& /*spec*/) {
  tools::Outcome outcome;
  outcome.kind = tools::OutcomeKind::kOk;
  outcome.result = {{"status", "done"}};
  return outcome;
}

tools::Outcome Pay(const tools::CallSpec& spec) {
  tools::Outcome outcome = Noop(spec);
  outcome.result["amount"] = spec.args.value.at("amount");
  return outcome;
}

}  // namespace

double SecondsSince(SteadyClock::time_point start) {
  return std::chrono::duration<double>(SteadyClock::now() - start).count();
}

namespace {

double CpuSecondsOf(int who) {
  rusage use{};
  getrusage(who, &use);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return seconds(use.ru_utime) + seconds(use.ru_stime);
}

}  // namespace

double CpuSeconds() { return CpuSecondsOf(RUSAGE_SELF); }
double ThreadCpuSeconds() { return CpuSecondsOf(RUSAGE_THREAD); }

int CountOf(const std::string& text, std::string_view usage) {
  int count = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, count);
  if (error == std::errc() && stop == end && count > 0) return count;
  std::cerr << usage;
  std::exit(2);
}

double Median(std::vector<double> values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

double AppendAndSyncMicros(const std::filesystem::path& path) {
  const int fd = open(path.c_str(), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
  INTERLOCK_CHECK(fd >= 0);
  const std::string block(4096, 'x');
  std::vector<double> micros;
  for (int i = 0; i < 500; ++i) {
    const auto start = SteadyClock::now();
    INTERLOCK_CHECK(write(fd, block.data(), block.size()) == static_cast<ssize_t>(block.size()));
    fdatasync(fd);
    micros.push_back(SecondsSince(start) * 1e6);
  }
  close(fd);
  return Median(std::move(micros));
}

Stack::Stack(const StackOptions& options) {
  std::vector<std::shared_ptr<const tools::Tool>> tools;
  std::vector<policies::KnownTool> known;
  for (const std::string& name : options.tools) {
    const bool money = name == options.money_tool;
    tools::Manifest manifest = NoopManifest(name, options.schema);
    tools.push_back(ToolOf(money ? PayManifest(std::move(manifest)) : std::move(manifest)));
    known.push_back({name, money ? "money" : "write", tools.back()->manifest().input_schema, {}});
  }
  registry = Must(tools::Registry::Of(tools));
  bundle = Must(policies::Bundle::Load({{"bench.lua", options.policy}}, known, nullptr));
  std::filesystem::create_directories(options.folder);
  signer = Must(audit::OpenFileSigner(options.folder, "interlock.example/bench"));
  keys = Must(audit::KeyStore::Open(options.folder, &random));
  state = runtime::MakeState(keys.get());
  audit::LogOptions log_options;
  log_options.folder = options.folder;
  log_options.tenant = "main";
  log_options.origin = "interlock.example/bench";
  log_options.clock = &clock;
  log_options.signer = signer.get();
  log_options.projectors = {runtime::ProjectorOf(*state)};
  log_options.clock_stepped = runtime::ClockSteppedOf(*state);
  log = Must(audit::Log::Open(log_options));
  executor = tools::MakeExecutor(
      {.launcher = nullptr, .clock = &clock, .builtins = {{"noop", Noop}, {"pay", Pay}}});
  tools::FetcherOptions fetching;
  fetching.addresses.allow_loopback = true;
  fetching.ca_file = options.ca_file;
  fetcher = Must(tools::MakeFetcher(std::move(fetching)));
  planners = Must(runtime::PlannerSet::Make(
      options.planners, {.fetcher = fetcher.get(), .clock = &clock, .random = &random}));
  runtime::EngineParts parts;
  parts.tenant = "main";
  parts.log = log.get();
  parts.keys = keys.get();
  parts.state = state.get();
  parts.clock = &clock;
  parts.random = &random;
  parts.mint = &mint;
  parts.executor = executor.get();
  parts.registry = registry;
  parts.bundle = bundle;
  parts.agents = options.agents;
  parts.planners = planners.by_name();
  parts.limits.calls_max = 256;
  parts.folder = options.folder;
  parts.search = options.search;
  engine = Must(runtime::MakeEngine(std::move(parts)));
}

Stack::~Stack() { engine.reset(); }  // before what it borrows

void Print(const Row& row) {
  core::Json line = {{"what", row.what},
                     {"p50", row.figure},
                     {"unit", row.unit},
                     {"floor", nullptr},
                     {"floor_name", row.floor_name},
                     {"target", row.target},
                     {"target_met", nullptr}};
  if (row.floor > 0) line["floor"] = row.floor;
  if (!row.target.empty()) line["target_met"] = row.met;
  std::cout << "BENCH " << line.dump() << std::endl;
}

}  // namespace interlock::bench
