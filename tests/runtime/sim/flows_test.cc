// The model of labels finds what a log says otherwise, and says nothing of one that is right.
#include "flows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "world.h"

namespace interlock::runtime::sim {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A run that reads a mail and then sends a letter; its payloads are kept beside it.
class Letter {
 public:
  Letter() {
    Add("run.started",
        {{"agent", "tester"}, {"principal", "portal"}, {"who", Seal({{"user", "u1"}})}});
    Add("message.received", {{"from", "user"}, {"text", SealText("write to payee-1001")}});
    Propose("c1", kReadMail, core::Json::object());
    Decide("c1", {{"args", Label(true, {"model", "user"}, {"*"})}});
    Add("call.outcome",
        {{"call", "c1"}, {"kind", "ok"}, {"result", Seal({{"from", "payee-1002"}})}});
  }
  void Release(const core::Json& labels, bool withheld = false) {
    Add("result.released", {{"call", "c1"}, {"labels", labels}, {"withheld", withheld}});
  }
  void Send(const std::string& to, const core::Json& label, bool untrusted) {
    Propose("c2", kPost, {{"to", to}});
    Decide("c2", {{"args.to", label}}, untrusted);
  }
  static core::Json Label(bool trusted, const core::Json& sources, const core::Json& readers,
                          const core::Json& tags = core::Json::array()) {
    return {{"readers", readers}, {"sources", sources}, {"tags", tags}, {"trusted", trusted}};
  }
  std::vector<std::string> Breaches() {
    Flows flows([this](std::uint64_t, int slot) -> std::optional<std::string> {
      return payloads_.at(static_cast<std::size_t>(slot));
    });
    for (const audit::Entry& entry : entries_) flows.Read(entry);
    return flows.breaches();
  }
  void Add(const std::string& kind, const core::Json& body) {
    audit::Entry entry;
    entry.index = entries_.size();
    entry.kind = kind;
    entry.run = "r1";
    entry.bytes = core::Json{{"body", body}}.dump();
    entries_.push_back(std::move(entry));
  }

 private:
  core::Json SealText(const std::string& text) {
    payloads_.push_back(text);
    return {{"slot", payloads_.size() - 1}};
  }
  core::Json Seal(const core::Json& json) { return SealText(json.dump()); }
  void Propose(const std::string& call, const std::string& tool, const core::Json& args) {
    Add("call.proposed", {{"args", Seal(args)}, {"call", call}, {"tool", tool}});
  }
  void Decide(const std::string& call, const core::Json& labels, bool untrusted = false) {
    Add("call.decided", {{"call", call},
                         {"effect", "deny"},
                         {"labels", Seal(labels)},
                         {"now_us", 1},
                         {"untrusted", untrusted}});
  }

  std::vector<audit::Entry> entries_;
  std::vector<std::string> payloads_;
};

const core::Json kMailed = {"untrusted", "tag:mail"};
const core::Json kUsers = Letter::Label(true, {"user"}, {"*"});

TEST(Flows, SayNothingOfWhatIsRight) {
  Letter letter;
  letter.Release(kMailed);
  letter.Send("payee-1001", kUsers, true);
  EXPECT_THAT(letter.Breaches(), IsEmpty());
}

TEST(Flows, SayNothingOfWordsOfAMailThatPassForNobodys) {
  Letter letter;
  letter.Release(kMailed);
  letter.Send("payee-1002",
              Letter::Label(false, {"model", "tool:mail.read", "user"}, {"u1"}, {"mail"}), true);
  EXPECT_THAT(letter.Breaches(), IsEmpty());
}

TEST(Flows, FindWordsOfAMailThatPassForTheUsers) {
  Letter letter;
  letter.Release(kMailed);
  letter.Send("payee-1002", kUsers, true);
  EXPECT_THAT(letter.Breaches(), ElementsAre(HasSubstr("labels of arguments")));
}

TEST(Flows, FindAFlowOfBefore) {
  Letter letter;
  letter.Release(kMailed);
  letter.Send("payee-1001", kUsers, false);
  EXPECT_THAT(letter.Breaches(), ElementsAre(HasSubstr("call.decided: untrusted")));
}

TEST(Flows, FindAResultWithoutItsLabel) {
  Letter letter;
  letter.Release({"trusted"});
  EXPECT_THAT(letter.Breaches(), ElementsAre(HasSubstr("result.released: untrusted"),
                                             HasSubstr("result.released: tags")));
}

TEST(Flows, FindWhatIsWithheldForNoReason) {
  Letter letter;
  letter.Release(kMailed, /*withheld=*/true);
  EXPECT_THAT(letter.Breaches(), ElementsAre(HasSubstr("result.released: withheld"),
                                             HasSubstr("code of a withheld result")));
}

}  // namespace
}  // namespace interlock::runtime::sim
