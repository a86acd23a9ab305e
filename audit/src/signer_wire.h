// Frames between a daemon and its signer: 4 bytes of length (big endian), then lines of text.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/status.h"
#include "private_file.h"

namespace interlock::audit {

using WireLines = std::vector<std::string>;

// A stream socket with a time limit on every read and write. One per thread.
class WireSocket {
 public:
  explicit WireSocket(UniqueFd fd) : fd_(std::move(fd)) {}
  // Errors: kUnavailable when nobody listens there.
  static core::StatusOr<WireSocket> Connect(const std::string& path);

  // Lines have no newline in them. Errors: kUnavailable when the peer is gone or too slow,
  // kInvalidArgument for a frame that is too long, empty, or does not end in a newline.
  core::Status Send(const WireLines& lines);
  core::StatusOr<WireLines> Receive();
  // Whether something can be read within the time; false also when the wait is interrupted.
  bool Readable(int timeout_ms) const;
  // The uid of the process at the other end when it connected or listened.
  core::StatusOr<unsigned> PeerUid() const;

 private:
  UniqueFd fd_;
};

// Time limits of a connected socket.
core::Status LimitWaiting(int fd);
// Decimal without sign or leading zeros.
std::optional<std::uint64_t> ParseWireNumber(std::string_view text);

}  // namespace interlock::audit
