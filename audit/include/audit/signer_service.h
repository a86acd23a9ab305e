// The signer as a process of its own: whoever owns the daemon and its database still cannot get a
// rewritten log signed. One exchange a connection over a Unix socket; docs/audit_format.md has the
// bytes.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/status.h"

namespace interlock::audit {

inline constexpr std::size_t kSignerFrameBytesMax = 64 * 1024;
inline constexpr int kSignerTimeoutSeconds = 5;  // for a peer that says nothing

struct SignerServiceOptions {
  std::string folder;  // keys and heads, one folder in it for each log; mode 0700
  std::string socket;  // made with mode 0660: its folder and group say who may connect
  // Names of the logs' keys: the origins of their first logs. Others are refused.
  std::vector<std::string> origins;
  // Only processes of this user are answered; nullopt: whoever can connect.
  std::optional<unsigned> peer_uid;
  // Also sign a log after one that nobody closed, once the older log has a head: for the start
  // after `audit rotate --restored`. Otherwise a log that follows another begins when the signer
  // was shown the entry `log.closed` in that one's last head.
  bool allow_restored = false;
};

// Thread-safe.
class SignerService {
 public:
  // Errors: kInvalidArgument without origins; kFailedPrecondition when another signer holds the
  // folder; kPermissionDenied when others have rights on it.
  static core::StatusOr<std::unique_ptr<SignerService>> Start(const SignerServiceOptions& options);
  // Ends the exchanges under way and removes the socket.
  virtual ~SignerService() = default;
};

}  // namespace interlock::audit
