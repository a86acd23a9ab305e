// Space kept back on the disk, to be freed when the outcomes of running calls must be written (rule
// 28).
#pragma once

#include <cstdint>
#include <string>

#include "core/status.h"

namespace interlock::audit {

// One per thread.
class Ballast {
 public:
  Ballast(std::string folder, std::uint64_t bytes);

  // Allocates the file in full, if it is not there. Errors: kResourceExhausted when there is no
  // room.
  core::Status Keep();
  // Frees the space. False when there was none to free.
  bool Release();

 private:
  const std::string path_;
  const std::uint64_t bytes_;
};

}  // namespace interlock::audit
