// Files that commands write: whole or not at all.
#pragma once

#include <string>
#include <string_view>

#include "core/status.h"

namespace interlock::runtime::cli {

// Who may read it: whoever the umask lets, or its owner alone (content of calls).
enum class ReadableBy { kUmask, kOwner };
// What becomes of a file that is there already.
enum class IfThere { kReplace, kRefuse };

// Written under a name of its own beside the file (new, no link followed) and renamed at the end,
// so that no half file is ever taken for a whole one. What is not kept is taken away again. What
// is there and no regular file (/dev/stdout) is written to as it is. One per thread; moves only.
class OutputFile {
 public:
  // Errors: kFailedPrecondition when it is there and must not be, kUnavailable naming it.
  static core::StatusOr<OutputFile> Make(const std::string& path, ReadableBy who, IfThere there);
  OutputFile(OutputFile&& other) noexcept;
  OutputFile& operator=(OutputFile&&) = delete;
  ~OutputFile();

  // Errors: kUnavailable.
  core::Status Append(std::string_view bytes);
  // Nothing more is written. Errors: as Make.
  core::Status Keep();

 private:
  OutputFile(std::string path, std::string beside, int file, IfThere there);

  std::string path_;
  std::string beside_;  // empty: written in place
  int file_;            // -1: closed
  IfThere there_;
};

// All at once, for whoever the umask lets; what is there is replaced.
core::Status WriteWhole(const std::string& path, std::string_view bytes);

}  // namespace interlock::runtime::cli
