// What the daemon and the launcher tell each other: the wire, and messages with descriptors.
#include "message.h"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "harness/no_more_files.h"
#include "wire.h"

namespace interlock::sandbox {
namespace {

RunRequest Request() {
  RunRequest request;
  request.id = 77;
  request.spec.profile = Profile::kPython;
  request.spec.argv = {"/usr/bin/python3", "-c", "pass", ""};
  request.spec.env = {{"A", "b"}, {"EMPTY", ""}};
  request.spec.mounts = {{"/srv/shop", "/shop", Access::kReadWrite}};
  request.spec.work_dir = "/shop";
  request.spec.limits.pids = 9;
  return request;
}

TEST(Wire, RunComesBackAsItWas) {
  const std::string bytes = EncodeRun(Request());
  Reader reader(bytes);
  EXPECT_EQ(static_cast<MessageKind>(reader.U32()), MessageKind::kRun);
  const auto back = DecodeRun(reader);
  ASSERT_TRUE(back);
  EXPECT_EQ(EncodeRun(*back), bytes);
  EXPECT_EQ(back->spec.mounts[0].access, Access::kReadWrite);
}

TEST(Wire, EveryTruncationIsRefused) {
  const std::string bytes = EncodeRun(Request());
  for (std::size_t size = 4; size < bytes.size(); ++size) {
    Reader reader(std::string_view(bytes).substr(0, size));
    reader.U32();
    EXPECT_FALSE(DecodeRun(reader)) << size;
  }
  const std::string with_more = bytes + "x";
  Reader longer(with_more);
  longer.U32();
  EXPECT_FALSE(DecodeRun(longer));
}

TEST(Wire, WrongCountsDoNotAllocate) {
  Writer writer;
  writer.U64(1);
  writer.U32(0);
  writer.U32(0);
  writer.U32(0xffffffff);  // argv items
  Reader reader(writer.bytes());
  EXPECT_FALSE(DecodeRun(reader));
}

class Message : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(MessagePair(a_, b_)); }

  Fd a_;
  Fd b_;
  std::string_view bytes_;
  std::vector<Fd> fds_;
};

TEST_F(Message, TooLongIsRefusedBySender) {
  EXPECT_FALSE(SendMessage(a_.get(), std::string(kMessageBytesMax + 1, 'x'), {}, 0));
  EXPECT_TRUE(SendMessage(a_.get(), std::string(kMessageBytesMax, 'x'), {}, 0));
  std::vector<char> room(kMessageBytesMax);
  EXPECT_EQ(ReceiveMessage(b_.get(), room, bytes_, fds_, 0), Received::kMessage);
  EXPECT_EQ(bytes_.size(), kMessageBytesMax);
}

// A process at its limit of open files still hears what it is told.
TEST_F(Message, OneWhoseDescriptorsFindNoNumberIsStripped) {
  char room[8];
  ASSERT_TRUE(SendMessage(a_.get(), "with fd", std::array{a_.get()}, 0));
  ASSERT_TRUE(SendMessage(a_.get(), "without", {}, 0));
  {
    const interlock::test::NoMoreFiles full;
    EXPECT_EQ(ReceiveMessage(b_.get(), room, bytes_, fds_, 0), Received::kStripped);
    EXPECT_EQ(bytes_, "with fd");
    EXPECT_TRUE(fds_.empty());
    EXPECT_EQ(ReceiveMessage(b_.get(), room, bytes_, fds_, 0), Received::kMessage);
    EXPECT_EQ(bytes_, "without");
  }
  ASSERT_TRUE(SendMessage(a_.get(), "with fd", std::array{a_.get()}, 0));
  EXPECT_EQ(ReceiveMessage(b_.get(), room, bytes_, fds_, 0), Received::kMessage);
  EXPECT_EQ(fds_.size(), 1u);
}

TEST_F(Message, LongerThanTheRoomIsNoMessage) {
  char room[8];
  ASSERT_TRUE(SendMessage(a_.get(), "12345678", {}, 0));
  EXPECT_EQ(ReceiveMessage(b_.get(), room, bytes_, fds_, 0), Received::kMessage);
  EXPECT_EQ(bytes_, "12345678");
  ASSERT_TRUE(SendMessage(a_.get(), "123456789", std::array{a_.get()}, 0));
  EXPECT_EQ(ReceiveMessage(b_.get(), room, bytes_, fds_, 0), Received::kClosed);
  EXPECT_TRUE(bytes_.empty());
  EXPECT_TRUE(fds_.empty());
}

}  // namespace
}  // namespace interlock::sandbox
