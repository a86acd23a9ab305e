#include "tools/event_stream.h"

#include <gmock/gmock.h>

namespace interlock::tools {
namespace {

constexpr std::size_t kBytesMax = 4 << 20;

// "name=data" of each event, fed in pieces.
std::vector<std::string> EventsOf(std::string_view bytes, std::size_t piece) {
  EventStreamParser parser(kBytesMax);
  std::vector<StreamEvent> events;
  for (std::size_t at = 0; at < bytes.size(); at += piece) {
    EXPECT_TRUE(parser.Feed(bytes.substr(at, piece), events).ok());
  }
  std::vector<std::string> shown;
  shown.reserve(events.size());
  for (const StreamEvent& event : events) shown.push_back(event.name + "=" + event.data);
  return shown;
}

TEST(EventStream, ReadsFieldsLinesAndEndsOfEveryKind) {
  const std::string_view bytes =
      "\xEF\xBB\xBF"
      "event: a\ndata: one\n\n"           // line feeds
      "event:b\r\ndata:two\r\n\r\n"       // both
      "data: three\rdata:  four\r\r"      // carriage returns; one space is cut, two lines joined
      ": a comment\nid: 7\nretry: 5\n\n"  // nothing to tell
      "data\n\n"                          // an empty line of data
      "event: lost\n\n"                   // a name without data is forgotten
      "data: five\nnonsense\n\n"
      "data: cut off";
  for (const std::size_t piece : {1u, 2u, 3u, 1000u}) {
    EXPECT_THAT(EventsOf(bytes, piece),
                ::testing::ElementsAre("a=one", "b=two", "=three\n four", "=", "=five"))
        << piece;
  }
}

TEST(EventStream, TakesAnyBytes) {
  std::string bytes;
  for (int i = 0; i < 4096; ++i) bytes += static_cast<char>(i * 31 % 256);
  bytes += "\n\ndata: x\n\n";
  EXPECT_EQ(EventsOf(bytes, 7), EventsOf(bytes, 4096));
}

TEST(EventStream, RefusesALineAndAnEventWithoutEnd) {
  EventStreamParser line(kBytesMax);
  std::vector<StreamEvent> events;
  EXPECT_TRUE(line.Feed(std::string(kBytesMax, 'x'), events).ok());
  EXPECT_EQ(line.Feed("x", events).code(), core::StatusCode::kResourceExhausted);

  EventStreamParser event(kBytesMax);
  const std::string data = "data: " + std::string(1 << 20, 'x') + "\n";
  core::Status status;
  int fed = 0;
  while (status.ok() && fed < 8) {
    status = event.Feed(data, events);
    ++fed;
  }
  EXPECT_EQ(status.code(), core::StatusCode::kResourceExhausted);
  EXPECT_EQ(fed, 4);
  EXPECT_TRUE(events.empty());
}

}  // namespace
}  // namespace interlock::tools
