#include "cli/message_json.h"

#include <gtest/gtest.h>

#include "interlock/v1/audit_service.pb.h"
#include "interlock/v1/run_service.pb.h"

namespace interlock::runtime::cli {
namespace {

using core::Json;

TEST(MessageJson, NumbersHexTimesAndStatesInOneForm) {
  ::interlock::v1::Run run;
  run.set_name("tenants/main/runs/r1");
  run.set_state(::interlock::v1::Run::STATE_WAITING_FOR_APPROVAL);
  run.set_steps(7);
  run.set_session_json(R"({"ticket":"T-1"})");
  run.mutable_create_time()->set_seconds(1);
  run.mutable_newest_entry()->set_index(9);
  run.mutable_newest_entry()->set_leaf_hash("\x01\xff");
  const Json json = MessageJson(run);
  EXPECT_EQ(json["state"], "waiting_for_approval");
  EXPECT_EQ(json["steps"], 7) << "64-bit integers are numbers";
  EXPECT_EQ(json["session"], Json::parse(R"({"ticket":"T-1"})"));
  EXPECT_FALSE(json.contains("session_json"));
  EXPECT_EQ(json["create_time"], "1970-01-01T00:00:01Z");
  EXPECT_FALSE(json.contains("update_time")) << "not set";
  EXPECT_EQ(
      json["newest_entry"],
      Json::parse(
          R"({"checkpoint_note":"","index":9,"leaf_hash":"01ff","log_origin":"","tlog_proof":""})"));
}

TEST(MessageJson, KeepsEntriesVerbatimBesideTheParsedForm) {
  ::interlock::v1::Entry entry;
  entry.set_entry_json(R"({"b":1,"a":2})");
  const Json json = MessageJson(entry);
  EXPECT_EQ(json["entry_json"], R"({"b":1,"a":2})");
  EXPECT_EQ(json["entry"]["a"], 2);
}

TEST(MessageJson, TextThatIsNoJsonStaysText) {
  ::interlock::v1::Run run;
  run.set_session_json("{broken");
  EXPECT_EQ(MessageJson(run)["session"], "{broken");
}

TEST(MessageJson, MapsAndOneofs) {
  ::interlock::v1::WatchRunResponse item;
  item.mutable_event()->set_kind("call.decided");
  (*item.mutable_event()->mutable_content())["say"] = "no";
  const Json json = MessageJson(item);
  EXPECT_EQ(json["event"]["content"], Json::parse(R"({"say":"no"})"));
  EXPECT_FALSE(json.contains("run"));
  ::interlock::v1::Run run;
  (*run.mutable_models()->mutable_cost_micros())["EUR"] = 12;
  EXPECT_EQ(MessageJson(run)["models"]["cost_micros"], Json::parse(R"({"EUR":12})"));
}

TEST(EnumText, RoundTripsEveryState) {
  const auto& type = *::interlock::v1::Run::State_descriptor();
  for (int i = 1; i < type.value_count(); ++i) {
    const int number = type.value(i)->number();
    EXPECT_EQ(EnumNumber(type, EnumText(type, number)), number);
  }
  EXPECT_EQ(EnumText(type, 0), "");
  EXPECT_EQ(EnumText(type, 99), "99");
  EXPECT_EQ(EnumNumber(type, ""), -1);
  EXPECT_EQ(EnumNumber(type, "STATE_RUNNING"), -1);
}

}  // namespace
}  // namespace interlock::runtime::cli
