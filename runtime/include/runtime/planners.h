// The planners that come with the daemon: one that reads its steps from a file, one that asks a
// model.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/clock.h"
#include "core/random.h"
#include "core/status.h"
#include "runtime/planner.h"
#include "tools/fetcher.h"

namespace interlock::runtime {

// Steps from `<folder>/<script>.yaml`, where script is `session.script` ([a-z0-9_-]{1,64}) or the
// agent's name. Step N is the one after N assistant messages, so that a restarted run goes on where
// it was. A script is read again when its modification time or size changes. A script that ran out
// answers "I have nothing more to do."
struct ScriptedOptions {
  std::string folder;
};
// Errors: kNotFound when there is no such folder.
core::StatusOr<std::unique_ptr<Planner>> MakeScriptedPlanner(ScriptedOptions options);

// Any endpoint that speaks OpenAI's chat completions: POST <base_url>/chat/completions.
struct OpenAiOptions {
  std::string base_url;              // "https://api.example.com/v1"
  std::string model;                 // when the agent file names none
  std::string api_key_env;           // name of an environment variable; empty: none
  std::string api_key_file;          // or a file that holds the key (white space around it is cut)
  std::int64_t timeout_ms = 60'000;  // of one attempt
  std::int64_t retries_max = 3;      // after 408, 409, 429, 5xx and connection errors
  std::int64_t backoff_ms = 500;  // first wait; doubles, with jitter of ±50 %, up to backoff_max_ms
  std::int64_t backoff_max_ms = 20'000;
  std::int64_t retry_after_max_ms = 60'000;  // a server that asks for a longer wait ends the call
  double temperature = 0.0;                  // sent only if `send_temperature`
  bool send_temperature = false;
  tools::Fetcher* fetcher = nullptr;   // borrowed
  const core::Clock* clock = nullptr;  // borrowed
  core::Random* random = nullptr;      // borrowed; for the jitter
};
// Reads the key once. Errors: kInvalidArgument (URL), kNotFound (variable or file that should hold
// the key).
core::StatusOr<std::unique_ptr<Planner>> MakeOpenAiPlanner(OpenAiOptions options);

}  // namespace interlock::runtime
