// A witness (c2sp.org/tlog-witness): cosigns heads of logs it knows, never two that contradict each
// other, and remembers before it answers.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/clock.h"
#include "core/status.h"

namespace interlock::audit {

inline constexpr std::size_t kWitnessRequestBytesMax = 80 * 1024;

// The answer of `add-checkpoint`, as HTTP has it.
struct WitnessReply {
  int status = 500;
  std::string content_type;
  std::string body;
};

struct WitnessOptions {
  std::string folder;                 // keys and heads; mode 0700, made if absent
  std::string name;                   // of its key: "witness.example/w1"
  std::vector<std::string> log_keys;  // verifier keys; a key's name is the origin it may sign
  const core::Clock* clock = nullptr;
};

// Thread-safe. One process a folder (kFailedPrecondition otherwise).
class Witness {
 public:
  static core::StatusOr<std::unique_ptr<Witness>> Open(const WitnessOptions& options);
  virtual ~Witness() = default;

  // "name+id+base64(0x04 || public key)", for those who verify.
  virtual std::string verifier_key() const = 0;
  // 200 cosignature line · 400 malformed · 403 not signed by the log's key · 404 unknown origin ·
  // 409 another old size (the body says which), or another root of the same size · 422 the proof
  // does not hold · 500 could not be made durable.
  virtual WitnessReply AddCheckpoint(std::string_view body) = 0;
};

}  // namespace interlock::audit
