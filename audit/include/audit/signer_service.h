// The signer as a process of its own: whoever owns the daemon and its database still cannot get a
// rewritten log signed. One exchange a connection over a Unix socket; docs/audit_format.md has the
// bytes.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "core/status.h"

namespace interlock::audit {

inline constexpr std::size_t kSignerFrameBytesMax = 64 * 1024;
inline constexpr std::size_t kSignerNamesMax = 1024;  // logs that one signer serves
inline constexpr int kSignerTimeoutSeconds = 5;       // for a peer that says nothing

struct SignerServiceOptions {
  std::string folder;  // keys and heads, one folder in it for each log; mode 0700
  std::string socket;  // made with mode 0660: its folder and group say who may connect
};

// Thread-safe.
class SignerService {
 public:
  // Errors: kFailedPrecondition when another signer holds the folder; kPermissionDenied when others
  // have rights on it.
  static core::StatusOr<std::unique_ptr<SignerService>> Start(const SignerServiceOptions& options);
  // Ends the exchanges under way and removes the socket.
  virtual ~SignerService() = default;
};

}  // namespace interlock::audit
