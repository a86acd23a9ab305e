// Calls as auditors take them away: each of the four forms to the last byte.
#include "cli/audit_formats.h"

#include <gtest/gtest.h>

#include <sstream>

namespace interlock::runtime::cli {
namespace {

using core::Json;

// Granted, with all that a cell may have to be guarded against.
wire::AuditedCall Paid() {
  wire::AuditedCall call;
  call.set_name("tenants/main/calls/c-1");
  call.set_run("tenants/main/runs/r-1");
  call.set_tool("refunds.create");
  call.set_agent("say \"hello\", twice");
  call.set_principal("=cmd|' /C calc'!A0");
  call.set_subject("s1");
  call.set_verdict("allow");
  call.set_outcome("ok");
  call.set_effect("money");
  call.add_rules("refunds/large");
  call.add_rules("refunds/two\nlines");
  call.add_approvers("maria");
  call.add_approvers("sam");
  call.set_amount_minor(1234567);
  call.set_currency("USD");
  call.mutable_create_time()->set_seconds(1'700'000'000);
  call.mutable_create_time()->set_nanos(250'000'000);
  call.set_proposed_index(10);
  call.set_decided_index(11);
  call.set_outcome_index(14);
  return call;
}

wire::AuditedCall Denied() {
  wire::AuditedCall call;
  call.set_name("tenants/main/calls/c-2");
  call.set_tool("orders.get");
  call.set_principal("desk");
  call.set_verdict("deny");
  call.set_code("DEFAULT_DENY");
  call.set_effect("read");
  call.mutable_create_time()->set_seconds(1'700'000'001);
  call.set_proposed_index(20);
  call.set_decided_index(21);
  call.set_outcome_index(-1);
  return call;
}

std::string Printed(CallFormat format) {
  std::ostringstream out;
  std::ostringstream err;
  std::istringstream in;
  const Io io{out, err, in};
  CallPrinter printer(io, format);
  printer.Add(Paid());
  printer.Add(Denied());
  printer.End();
  EXPECT_EQ(err.str(), "");
  return out.str();
}

std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

// RFC 4180: CRLF, quotes doubled, a line break within quotes. A formula is defused.
TEST(AuditFormats, Csv) {
  EXPECT_EQ(Printed(CallFormat::kCsv),
            "time,call,run,tool,agent,actor,subject,verdict,code,rules,approvers,outcome,effect,"
            "amount_minor,currency,proposed_index,decided_index,outcome_index\r\n"
            "2023-11-14T22:13:20.250Z,c-1,r-1,refunds.create,\"say \"\"hello\"\", twice\","
            "'=cmd|' /C calc'!A0,s1,allow,,\"refunds/large refunds/two\nlines\",maria sam,ok,money,"
            "1234567,USD,10,11,14\r\n"
            "2023-11-14T22:13:21.000Z,c-2,,orders.get,,desk,,deny,DEFAULT_DENY,,,,read,0,,20,21,"
            "-1\r\n");
}

TEST(AuditFormats, NoCellIsAFormula) {
  for (const char* first : {"=", "+", "-", "@", "\t", "\r"}) {
    wire::AuditedCall call = Denied();
    call.set_principal(std::string(first) + "1+1");
    EXPECT_NE(CsvLine(call).find(std::string("'") + first + "1+1"), std::string::npos) << first;
  }
  wire::AuditedCall plain = Denied();
  plain.set_principal("a=1");
  EXPECT_NE(CsvLine(plain).find(",a=1,"), std::string::npos);
}

// What the schema of API Activity demands is there, with its type; class and activity make the
// type.
TEST(AuditFormats, Ocsf) {
  const auto lines = Lines(Printed(CallFormat::kOcsf));
  ASSERT_EQ(lines.size(), 2u);
  const Json paid = Json::parse(lines[0]);
  const Json denied = Json::parse(lines[1]);
  for (const Json& event : {paid, denied}) {
    EXPECT_EQ(event["category_uid"], 6);
    EXPECT_EQ(event["class_uid"], 6003);
    EXPECT_EQ(event["type_uid"], 6003 * 100 + event["activity_id"].get<int>());
    EXPECT_TRUE(event["severity_id"].is_number_integer());
    EXPECT_TRUE(event["time"].is_number_integer());
    EXPECT_EQ(event["metadata"]["version"], "1.3.0");
    EXPECT_EQ(event["metadata"]["product"]["vendor_name"], "Interlock");
    EXPECT_TRUE(event["actor"]["user"]["name"].is_string());
    EXPECT_TRUE(event["api"]["operation"].is_string());
    EXPECT_TRUE(event["src_endpoint"].is_object());
  }
  EXPECT_EQ(paid, Json::parse(R"json({
    "activity_id": 1, "category_uid": 6, "class_uid": 6003, "type_uid": 600301, "severity_id": 1,
    "status_id": 1, "time": 1700000000250,
    "metadata": {"version": "1.3.0", "uid": "c-1",
                 "product": {"name": "Interlock", "vendor_name": "Interlock"}},
    "actor": {"user": {"name": "=cmd|' /C calc'!A0"}, "app_name": "say \"hello\", twice"},
    "api": {"operation": "refunds.create", "request": {"uid": "c-1"},
            "response": {"message": "ok"}},
    "src_endpoint": {"name": "interlockd"},
    "unmapped": {"run": "r-1", "verdict": "allow", "code": "",
                 "rules": ["refunds/large", "refunds/two\nlines"], "approvers": ["maria", "sam"],
                 "amount_minor": "1234567", "currency": "USD", "decided_index": 11}})json"));
  EXPECT_EQ(denied["activity_id"], 2);
  EXPECT_EQ(denied["severity_id"], 3);
  EXPECT_EQ(denied["status_id"], 2);
  EXPECT_EQ(denied["api"]["response"]["error"], "DEFAULT_DENY");
  EXPECT_FALSE(paid["api"]["response"].contains("error"));
}

TEST(AuditFormats, JsonLines) {
  const auto lines = Lines(Printed(CallFormat::kJsonLines));
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(Json::parse(lines[0]), Json::parse(R"json({
    "name": "tenants/main/calls/c-1", "run": "tenants/main/runs/r-1", "tool": "refunds.create",
    "agent": "say \"hello\", twice", "principal": "=cmd|' /C calc'!A0", "subject": "s1",
    "verdict": "allow", "code": "", "outcome": "ok", "effect": "money",
    "rules": ["refunds/large", "refunds/two\nlines"], "approvers": ["maria", "sam"],
    "amount_minor": 1234567, "currency": "USD", "create_time": "2023-11-14T22:13:20.250Z",
    "proposed_index": 10, "decided_index": 11, "outcome_index": 14})json"));
  EXPECT_EQ(Json::parse(lines[1])["outcome_index"], -1);
}

// One line a call, whatever stands in it.
TEST(AuditFormats, Table) {
  const auto lines = Lines(Printed(CallFormat::kTable));
  ASSERT_EQ(lines.size(), 3u);
  const std::vector<std::vector<std::string>> in_order = {
      {"TIME", "CALL", "TOOL", "ACTOR", "VERDICT", "CODE", "RULES", "APPROVED BY", "OUTCOME",
       "MONEY", "ENTRY"},
      {"2023-11-14 22:13:20.250", "c-1", "refunds.create",
       "=cmd|' /C calc'!A0/say \"hello\", twice", "allow", "refunds/large refunds/two\\nlines",
       "maria sam", "ok", "12345.67 USD", "11"},
      {"2023-11-14 22:13:21.000", "c-2", "orders.get", "desk", "deny", "DEFAULT_DENY", "21"}};
  for (std::size_t i = 0; i < in_order.size(); ++i) {
    std::size_t at = 0;
    for (const std::string& cell : in_order[i]) {
      at = lines[i].find(cell, at);
      ASSERT_NE(at, std::string::npos) << cell << " in " << lines[i];
      at += cell.size();
    }
  }
}

}  // namespace
}  // namespace interlock::runtime::cli
