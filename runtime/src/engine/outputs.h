// What tools write while they run, for people who watch. No record: the outcome's entry is that.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "engine/watchers.h"
#include "runtime/engine.h"
#include "sandbox/launcher.h"

namespace interlock::runtime {

// Makes a stream of a stranger's bytes harmless, part by part. One per stream; not thread-safe.
class SafeText {
 public:
  // Valid UTF-8: U+FFFD for bytes that are none; control characters but line feed and tab, and what
  // reorders or hides text, as `\u{1b}`. A character that is not complete yet waits for the rest.
  std::string Take(std::string_view bytes);

 private:
  std::string tail_;  // at most three bytes
};

// Who watches which run. Thread-safe. Calls that outlive the engine keep it alive.
class Outputs : public std::enable_shared_from_this<Outputs>, public Watchers<ToolOutput> {
 public:
  // For CallSpec::on_output of one call.
  std::function<void(sandbox::Output)> For(std::string run, std::string call);
};

}  // namespace interlock::runtime
