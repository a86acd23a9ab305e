// A harness whose policies lie in a folder and are activated while it serves.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "policies/seal.h"
#include "rules.h"

namespace interlock::runtime::test {

inline constexpr char kOrigin[] = "test/main";

// Allows orders of up to `most`, and says no by `code`.
inline std::string UpTo(int most, const std::string& code, const std::string& more = "") {
  return std::string(kPolicyHead) + R"(on("*", "most", function(c)
  if c.args.n > )" +
         std::to_string(most) + R"( then return deny { code = ")" + code + R"(" } end
  return allow()
end)
)" + more;
}

class Live {
 public:
  explicit Live(const std::string& policy, const std::string& trusted = "") : h(policy, Tools()) {
    folder_ = h.folder + "/policies";
    std::filesystem::create_directories(folder_);
    std::filesystem::create_directories(h.folder + "/candidate");
    h.policy_folders.folder = folder_;
    h.policy_folders.candidate = h.folder + "/candidate";
    if (!trusted.empty()) h.policy_folders.trust = {.keys = {trusted}, .origin = kOrigin};
    h.tools.Answers("orders.get", {{"ok", true}});
    h.tools.Answers("stock.get", {{"left", 3}});
    Restart();
  }
  static std::vector<ToolSpec> Tools() { return {ReadTool("orders.get"), ReadTool("stock.get")}; }
  void Restart() { h.Restart(); }
  void Write(const std::string& text, const std::string& folder = "policies") {
    std::ofstream(h.folder + "/" + folder + "/test.lua") << text;
  }
  void Seal(const policies::SealKey& key, std::int64_t revision) {
    const auto files = policies::Bundle::ReadFolder(folder_);
    ASSERT_TRUE(files.ok()) << files.status();
    const auto note = policies::SignBundle(key.secret, kOrigin, revision, *files);
    ASSERT_TRUE(note.ok()) << note.status();
    std::ofstream(folder_ + "/bundle.note") << *note;
  }
  core::StatusOr<PolicyInfo> Activate() {
    return h.engine().ActivatePolicy(h.operator_one, "a new ceiling");
  }
  std::string CodeOf(int n) {
    const auto call = h.Execute("orders.get", {{"n", n}});
    EXPECT_TRUE(call.ok()) << call.status();
    if (!call.ok()) return "";
    return call->state == CallState::kOk ? "OK" : call->code;
  }
  Harness h;

 private:
  std::string folder_;
};

}  // namespace interlock::runtime::test
