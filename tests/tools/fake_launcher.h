// A launcher that runs nothing: it keeps what it was given and ends boxes when the test says so.
#pragma once

#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "sandbox/launcher.h"

namespace interlock::tools {

class FakeLauncher final : public sandbox::Launcher {
 public:
  std::uint64_t Run(sandbox::BoxSpec spec, std::function<void(sandbox::BoxResult)> done) override {
    specs.push_back(std::move(spec));
    const std::uint64_t handle = ++last_;
    if (at_once) {
      done(*at_once);
    } else {
      open.emplace(handle, std::move(done));
    }
    return handle;
  }
  void Cancel(std::uint64_t handle) override { cancelled.push_back(handle); }
  const sandbox::Capabilities& capabilities() const override { return capabilities_; }

  void End(std::uint64_t handle, sandbox::BoxResult result) {
    auto done = std::move(open.at(handle));
    open.erase(handle);
    done(std::move(result));
  }

  std::optional<sandbox::BoxResult> at_once;  // ends every box within Run
  std::vector<sandbox::BoxSpec> specs;
  std::map<std::uint64_t, std::function<void(sandbox::BoxResult)>> open;
  std::vector<std::uint64_t> cancelled;

 private:
  std::uint64_t last_ = 100;
  sandbox::Capabilities capabilities_;
};

}  // namespace interlock::tools
