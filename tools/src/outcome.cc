#include "outcome.h"

#include <algorithm>
#include <charconv>

#include "core/template.h"
#include "names.h"
#include "text.h"
#include "tools/advice.h"

namespace interlock::tools {
namespace {

using core::Json;
using sandbox::EndKind;

constexpr std::size_t kStderrTailBytes = 300;

Outcome Ended(OutcomeKind kind, std::string_view code, std::string_view why) {
  Outcome outcome;
  outcome.kind = kind;
  outcome.error_code = std::string(code);
  outcome.error = OneLine(why);
  return outcome;
}

// The end of stderr, where programs say what went wrong.
std::string Tail(const sandbox::BoxResult& box) {
  std::string_view text = box.stderr_bytes;
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.remove_suffix(1);
  if (text.size() > kStderrTailBytes) text.remove_prefix(text.size() - kStderrTailBytes);
  return text.empty() ? "" : ": " + OneLine(text, 2 * kStderrTailBytes);
}

std::string OrDetail(const sandbox::BoxResult& box, std::string_view fallback) {
  return box.detail.empty() ? std::string(fallback) : box.detail;
}

// `{"error":{"code":…,"message":…}}`, and nothing beside `error`: the tool says that it failed.
const Json* ReportedError(const Json& answer) {
  if (!answer.is_object() || answer.size() != 1) return nullptr;
  const auto it = answer.find("error");
  if (it == answer.end() || !it->is_object()) return nullptr;
  const auto code = it->find("code");
  return code != it->end() && code->is_string() ? &*it : nullptr;
}

Outcome Reported(const Json& error) {
  const std::string code = error.at("code").get<std::string>();
  const auto message = error.find("message");
  const bool has_message = message != error.end() && message->is_string();
  Outcome outcome =
      Ended(OutcomeKind::kFailed, IsErrorCode(code) ? code : "TOOL_ERROR",
            has_message ? std::string_view(message->get_ref<const std::string&>()) : "no message");
  outcome.reported_failure = true;
  return outcome;
}

std::optional<std::int64_t> MinorUnits(const Json& amount) {
  if (amount.is_number_integer()) return amount.get<std::int64_t>();
  if (!amount.is_string()) return std::nullopt;
  const std::string& text = amount.get_ref<const std::string&>();
  std::int64_t minor = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), minor);
  if (error != std::errc() || stop != text.data() + text.size()) return std::nullopt;
  return minor;
}

core::StatusOr<core::Money> MoneyOf(const MoneyResult& where, const Json& amount,
                                    const std::string& currency) {
  if (where.minor_units) {
    INTERLOCK_RETURN_IF_ERROR(core::MinorDigits(currency).status());
    const std::optional<std::int64_t> minor = MinorUnits(amount);
    if (!minor) return core::InvalidArgument("not an integer of minor units");
    return core::Money{.minor = *minor, .currency = currency};
  }
  if (amount.is_string()) return core::ParseMoney(amount.get_ref<const std::string&>(), currency);
  // The canonical text is the shortest that reads back as the same number: 12.5 is 12.50, and what
  // a float made of 0.1 + 0.2 has too many digits to pass.
  if (amount.is_number()) return core::ParseMoney(core::CanonicalJson(amount), currency);
  return core::InvalidArgument("not an amount");
}

std::optional<core::Money> ReportedMoney(const Manifest& manifest, const Json& result) {
  if (!manifest.money) return std::nullopt;
  const MoneyResult& where = *manifest.money;
  std::string currency = where.currency_code;
  if (currency.empty()) {
    const Json* found = core::FindPath(result, where.currency_path);
    if (found == nullptr || !found->is_string()) return std::nullopt;
    currency = found->get<std::string>();
  }
  const Json* amount = core::FindPath(result, where.amount_path);
  if (amount == nullptr) return std::nullopt;
  const core::StatusOr<core::Money> money = MoneyOf(where, *amount, currency);
  // A negative report would give budget back; it is no well-formed amount of money that went out.
  if (!money.ok() || money->minor < 0) return std::nullopt;
  return *money;
}

// The tool answered; does the answer fit?
Outcome Answered(const Tool& tool, Json result) {
  if (const core::Status status = tool.ValidateResult(result); !status.ok()) {
    return Ended(OutcomeKind::kFailed, "BAD_RESULT",
                 "result does not fit its schema: " + std::string(core::Message(status)));
  }
  Outcome outcome;
  outcome.kind = OutcomeKind::kOk;
  outcome.reported = ReportedMoney(tool.manifest(), result);
  outcome.result = std::move(result);
  return outcome;
}

std::string_view FirstText(const Json& content) {
  for (const Json& item : content) {
    const auto text = item.is_object() ? item.find("text") : item.end();
    if (item.is_object() && text != item.end() && text->is_string()) {
      return text->get_ref<const std::string&>();
    }
  }
  return "no message";
}

Outcome Exited(const Tool& tool, const sandbox::BoxResult& box) {
  auto answer = core::ParseJson(box.stdout_bytes, core::kPayloadLimits);
  if (answer.ok()) {
    if (const Json* error = ReportedError(*answer); error != nullptr) return Reported(*error);
  }
  if (box.value != 0) {
    return Ended(OutcomeKind::kFailed, "EXIT_" + std::to_string(box.value),
                 "exit status " + std::to_string(box.value) + Tail(box));
  }
  if (!answer.ok()) {
    return Ended(OutcomeKind::kFailed, "BAD_RESULT",
                 "stdout is not one json value: " + std::string(core::Message(answer.status())));
  }
  return Answered(tool, *std::move(answer));
}

// A program killed half-way may have done its work already, unless it has none to do.
Outcome Cancelled(const Tool& tool) {
  const bool reads = tool.manifest().effect == Effect::kRead;
  return Ended(reads ? OutcomeKind::kFailed : OutcomeKind::kUnknown, "CANCELLED",
               "cancelled while it ran");
}

Outcome Judge(const Tool& tool, const sandbox::BoxResult& box) {
  switch (box.kind) {
    case EndKind::kExit:
      return Exited(tool, box);
    case EndKind::kSignal:
      return Ended(OutcomeKind::kFailed, "SIGNAL_" + std::to_string(box.value),
                   "killed by signal " + std::to_string(box.value) + Tail(box));
    case EndKind::kTimeout:
      return Ended(OutcomeKind::kTimeout, "TIMEOUT", OrDetail(box, "ran into its wall limit"));
    case EndKind::kCpu:
      return Ended(OutcomeKind::kTimeout, "CPU", OrDetail(box, "ran into its cpu limit"));
    case EndKind::kMemory:
      return Ended(OutcomeKind::kViolation, "MEMORY", OrDetail(box, "ran into its memory limit"));
    case EndKind::kOutput:
      return Ended(OutcomeKind::kViolation, "OUTPUT", OrDetail(box, "wrote more than its limit"));
    case EndKind::kPids:
      return Ended(OutcomeKind::kViolation, "PIDS", OrDetail(box, "ran into its process limit"));
    case EndKind::kDisk:
      return Ended(OutcomeKind::kViolation, "DISK", OrDetail(box, "ran into its file size limit"));
    case EndKind::kViolation:
      return Ended(OutcomeKind::kViolation, "SYSCALL", OrDetail(box, "stopped by the sandbox"));
    case EndKind::kCancelled:
      return Cancelled(tool);
    case EndKind::kNotRun:
      return Ended(OutcomeKind::kNotStarted, "SETUP", OrDetail(box, "the box could not be set up"));
    case EndKind::kLost:
      return Ended(OutcomeKind::kUnknown, "LOST",
                   OrDetail(box, "the launcher died during the call"));
  }
  return Ended(OutcomeKind::kUnknown, "LOST", "the launcher reported an ending that is not known");
}

// A tool that says itself what is wrong needs no guess.
std::string AdviceFor(const Tool& tool, const Outcome& outcome, const sandbox::BoxResult& box) {
  const bool silent = outcome.kind == OutcomeKind::kOk || outcome.reported_failure;
  return silent ? "" : AdviceOn(tool.manifest().limits, box);
}

}  // namespace

Outcome OutcomeOfBox(const Tool& tool, sandbox::BoxResult box) {
  Outcome outcome = Judge(tool, box);
  outcome.advice = AdviceFor(tool, outcome, box);
  std::string().swap(box.stdout_bytes);
  box.detail = OneLine(box.detail);
  outcome.box = std::move(box);
  outcome.sandboxed = outcome.kind != OutcomeKind::kNotStarted;
  return outcome;
}

Outcome OutcomeOfReply(const Tool& tool, int status, const std::string& body) {
  const std::string code = "HTTP_" + std::to_string(status);
  const std::string why = "the server answered " + std::to_string(status) +
                          (body.empty() ? "" : ": " + OneLine(body.substr(0, kStderrTailBytes)));
  // Before the body: a gateway writes errors too, and does not know what the service did.
  if (status >= 500 && tool.manifest().effect != Effect::kRead) {
    return Ended(OutcomeKind::kUnknown, code, why);
  }
  auto answer = core::ParseJson(body, core::kPayloadLimits);
  if (answer.ok()) {
    if (const Json* error = ReportedError(*answer); error != nullptr) return Reported(*error);
  }
  if (status >= 200 && status < 300) {
    if (body.empty()) return Answered(tool, nullptr);
    if (answer.ok()) return Answered(tool, *std::move(answer));
    return Ended(OutcomeKind::kFailed, "BAD_RESULT",
                 "the reply is not one json value: " + std::string(core::Message(answer.status())));
  }
  Outcome outcome = Ended(OutcomeKind::kFailed, code, why);
  outcome.reported_failure = status >= 400 && status < 500;
  return outcome;
}

Outcome OutcomeOfBuiltin(const Tool& tool, Outcome outcome) {
  outcome.error = OneLine(outcome.error);
  outcome.sandboxed = false;
  if (outcome.kind != OutcomeKind::kOk) return outcome;
  return Answered(tool, std::move(outcome.result));
}

Outcome BadServer(std::string_view why) { return Ended(OutcomeKind::kFailed, "BAD_RESULT", why); }

Outcome TimedOut(std::string_view why) { return Ended(OutcomeKind::kTimeout, "TIMEOUT", why); }

Outcome CancelledCall(const Tool& tool) { return Cancelled(tool); }

Outcome OutcomeOfMcp(const Tool& tool, const McpReply& reply) {
  if (reply.is_error) {
    return Ended(
        OutcomeKind::kFailed, "TOOL_ERROR",
        "the server answered error " + std::to_string(reply.error_code) + ": " + reply.error);
  }
  const auto failed = reply.result.find("isError");
  const auto structured = reply.result.find("structuredContent");
  const auto content = reply.result.find("content");
  const bool has_content = content != reply.result.end();
  const bool has_structure = structured != reply.result.end();
  if ((failed != reply.result.end() && !failed->is_boolean()) ||
      (has_content && !content->is_array()) || (has_structure && !structured->is_object()) ||
      (!has_content && !has_structure)) {
    return Ended(OutcomeKind::kFailed, "BAD_RESULT",
                 "the reply is no result of a tool: it needs `content` or `structuredContent`");
  }
  if (failed != reply.result.end() && failed->get<bool>()) {
    Outcome outcome = Ended(OutcomeKind::kFailed, "TOOL_ERROR",
                            has_content ? FirstText(*content) : std::string_view("no message"));
    outcome.reported_failure = true;
    return outcome;
  }
  return Answered(tool, has_structure ? *structured : Json{{"content", *content}});
}

std::string WhyEnded(const sandbox::BoxResult& box) {
  if (box.kind == EndKind::kExit) {
    return ": exit status " + std::to_string(box.value) + Tail(box);
  }
  if (box.kind == EndKind::kSignal) return ": signal " + std::to_string(box.value) + Tail(box);
  return ": " + OrDetail(box, sandbox::EndKindName(box.kind)) + Tail(box);
}

Outcome OutcomeOfServerEnd(const Tool& tool, std::optional<Outcome> verdict,
                           sandbox::BoxResult box) {
  // What a program may not leave behind is found when it has ended.
  if (!verdict || box.kind == EndKind::kDisk) {
    verdict = box.kind == EndKind::kExit
                  ? Ended(OutcomeKind::kFailed, "EXIT_" + std::to_string(box.value),
                          "the MCP server ended before it answered" + WhyEnded(box))
                  : Judge(tool, box);
  }
  verdict->sandboxed = box.kind != EndKind::kNotRun;
  verdict->advice = AdviceFor(tool, *verdict, box);
  box.stdout_bytes.clear();
  box.detail = OneLine(box.detail);
  verdict->box = std::move(box);
  return *std::move(verdict);
}

Outcome NotStarted(std::string_view code, std::string_view why) {
  return Ended(OutcomeKind::kNotStarted, code, why);
}

}  // namespace interlock::tools
