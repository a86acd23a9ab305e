// What a signer remembers of a log, apart from the log's database: the last head that it signed.
#pragma once

#include <cstdint>
#include <string>

#include "core/digest.h"
#include "core/status.h"
#include "private_file.h"

namespace interlock::audit {

struct SignedHead {
  std::uint64_t turn = 0;  // writes of the file so far; 0: nothing was signed yet
  std::uint64_t size = 0;
  core::Digest root{};
};

// One per thread. Two slots are written in turn, so that a torn write leaves the older one whole:
//   "ILHEAD1\n" || turn (8, big endian) || size (8, big endian) || root (32) || SHA-256 of the
//   foregoing (32)
class HeadFile {
 public:
  // Made with mode 0600 when absent. Errors: kPermissionDenied when others have rights on it,
  // kDataLoss when no slot can be read.
  static core::StatusOr<HeadFile> Open(const std::string& path);

  const SignedHead& last() const { return last_; }
  // Durable when it returns OK.
  core::Status Store(std::uint64_t size, const core::Digest& root);

 private:
  core::Status Load();

  std::string path_;
  UniqueFd fd_;
  SignedHead last_;
};

}  // namespace interlock::audit
