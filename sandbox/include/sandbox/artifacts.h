// What a program left in a folder, read by somebody who does not trust the folder. The program may
// still have been a friend of whoever else writes there, so nothing is looked up twice: every name
// is opened beneath the folder's own descriptor, never through a link, and everything else is asked
// of the descriptor.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/digest.h"
#include "core/status.h"

namespace interlock::sandbox {

struct ArtifactLimits {
  std::size_t files_max = 64;
  std::size_t file_bytes_max = 4 << 20;
  std::size_t bytes_max = 16 << 20;  // of all together
};

struct Artifact {
  std::string path;  // below the folder, as it was asked for
  std::string bytes;
  core::Digest digest{};
};

struct SkippedArtifact {
  std::string path;
  std::string why;  // one line
};

struct Artifacts {
  std::vector<Artifact> taken;
  std::vector<SkippedArtifact> skipped;
};

// Reads the named files, and for a name that ends in `/` each plain file of that folder (not of its
// folders). Only regular files of one name (st_nlink 1) that are not sparse beyond their size limit
// are taken; what is not there is skipped. Names must be relative and plain (no `.`, `..`, empty
// part). Errors: kInvalidArgument for a name that is not plain, kUnavailable when `folder` cannot
// be opened (a link anywhere on its way included).
core::StatusOr<Artifacts> CollectArtifacts(const std::string& folder,
                                           const std::vector<std::string>& names,
                                           const ArtifactLimits& limits);

}  // namespace interlock::sandbox
