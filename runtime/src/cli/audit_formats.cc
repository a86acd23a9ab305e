#include "cli/audit_formats.h"

#include <ostream>

#include "cli/message_json.h"

namespace interlock::runtime::cli {
namespace {

template <typename Texts>
std::string Joined(const Texts& texts) {
  std::string joined;
  for (const std::string& text : texts) joined += (joined.empty() ? "" : " ") + text;
  return joined;
}

std::string CsvCell(std::string text) {
  if (!text.empty() && std::string_view("=+-@\t\r").find(text.front()) != std::string_view::npos) {
    text.insert(0, "'");
  }
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + "\"";
}

std::string IsoTime(const google::protobuf::Timestamp& time) {
  std::string text = FormatTime(MicrosOf(time));
  if (text.size() > 10) text[10] = 'T';
  return text + "Z";
}

// OCSF API Activity: 1 create, 2 read, 99 other.
int ActivityOf(const wire::AuditedCall& call) {
  if (call.effect() == "read") return 2;
  return call.effect() == "money" ? 1 : 99;
}

int StatusOf(const wire::AuditedCall& call) {
  if (call.verdict() == "deny" || call.verdict() == "refuse") return 2;
  if (call.outcome() == "ok" || call.outcome() == "reconciled_done") return 1;
  return call.outcome().empty() || call.outcome() == "unknown" ? 0 : 2;
}

}  // namespace

core::Json OcsfEvent(const wire::AuditedCall& call) {
  const int activity = ActivityOf(call);
  core::Json event = {
      {"activity_id", activity},
      {"category_uid", 6},
      {"class_uid", 6003},
      {"type_uid", 600300 + activity},
      {"severity_id", call.verdict() == "deny" ? 3 : 1},
      {"status_id", StatusOf(call)},
      {"time", MicrosOf(call.create_time()) / 1000},
      {"metadata",
       {{"version", kOcsfVersion},
        {"uid", IdOf(call.name())},
        {"product", {{"name", "Interlock"}, {"vendor_name", "Interlock"}}}}},
      {"actor", {{"user", {{"name", call.principal()}}}, {"app_name", call.agent()}}},
      {"api",
       {{"operation", call.tool()},
        {"request", {{"uid", IdOf(call.name())}}},
        {"response", {{"message", call.outcome()}}}}},
      {"src_endpoint", {{"name", "interlockd"}}},
      {"unmapped",
       {{"run", IdOf(call.run())},
        {"verdict", call.verdict()},
        {"code", call.code()},
        {"rules", core::Json::array()},
        {"approvers", core::Json::array()},
        {"amount_minor", std::to_string(call.amount_minor())},
        {"currency", call.currency()},
        {"decided_index", call.decided_index()}}}};
  // `error` sets off rules of a SIEM: an approval is none. The code itself is below.
  if (call.verdict() != "allow") event["api"]["response"]["error"] = call.code();
  for (const std::string& rule : call.rules()) event["unmapped"]["rules"].push_back(rule);
  for (const std::string& by : call.approvers()) event["unmapped"]["approvers"].push_back(by);
  return event;
}

std::string CsvHead() {
  return "time,call,run,tool,agent,actor,subject,verdict,code,rules,approvers,outcome,effect,"
         "amount_minor,currency,proposed_index,decided_index,outcome_index";
}

std::string CsvLine(const wire::AuditedCall& call) {
  std::string line = IsoTime(call.create_time());
  for (const std::string& cell :
       {IdOf(call.name()), IdOf(call.run()), call.tool(), call.agent(), call.principal(),
        call.subject(), call.verdict(), call.code(), Joined(call.rules()), Joined(call.approvers()),
        call.outcome(), call.effect()}) {
    line += "," + CsvCell(cell);
  }
  for (const std::int64_t number : {call.amount_minor()}) line += "," + std::to_string(number);
  line += "," + CsvCell(call.currency());
  for (const std::int64_t index :
       {call.proposed_index(), call.decided_index(), call.outcome_index()}) {
    line += "," + std::to_string(index);
  }
  return line;
}

CallPrinter::CallPrinter(const Io& io, CallFormat format)
    : io_(io),
      format_(format),
      table_({"TIME", "CALL", "TOOL", "ACTOR", "VERDICT", "CODE", "RULES", "APPROVED BY", "OUTCOME",
              "MONEY", "ENTRY"}) {
  if (format_ == CallFormat::kCsv) io_.out << CsvHead() << "\r\n";
}

void CallPrinter::Add(const wire::AuditedCall& call) {
  switch (format_) {
    case CallFormat::kJsonLines:
      return PrintJson(io_, MessageJson(call));
    case CallFormat::kOcsf:
      return PrintJson(io_, OcsfEvent(call));
    case CallFormat::kCsv:
      io_.out << CsvLine(call) << "\r\n";
      return;
    case CallFormat::kTable:
      break;
  }
  const std::string money =
      call.amount_minor() == 0 ? "" : FormatAmount(call.amount_minor(), call.currency());
  table_.Add({FormatTime(MicrosOf(call.create_time())), IdOf(call.name()), call.tool(),
              call.agent().empty() ? call.principal() : call.principal() + "/" + call.agent(),
              call.verdict(), call.code(), Joined(call.rules()), Joined(call.approvers()),
              call.outcome(), money, std::to_string(call.decided_index())});
}

void CallPrinter::End() {
  if (format_ == CallFormat::kTable) table_.Print(io_);
}

}  // namespace interlock::runtime::cli
