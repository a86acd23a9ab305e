// The narrow, deterministic tar of evidence bundles: POSIX ustar, regular files only, sorted by
// name, no times, owners or modes that could differ. Same files, same bytes.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/status.h"

namespace interlock::audit {

inline constexpr std::size_t kTarFilesMax = 100'000;
inline constexpr std::size_t kTarBytesMax = 512u << 20;  // the whole archive
inline constexpr std::size_t kTarNameMax = 99;

struct TarFile {
  std::string name;  // [a-zA-Z0-9._-] and '/', no empty, `.` or `..` part
  std::string bytes;
};

// Sorts by name. Errors: kInvalidArgument for a name that is not allowed or given twice;
// kResourceExhausted above the limits.
core::StatusOr<std::string> WriteTar(std::vector<TarFile> files);

// Accepts exactly what WriteTar writes. Errors: kInvalidArgument, with the offset of the first
// block that it would not have written; kResourceExhausted above the limits.
core::StatusOr<std::vector<TarFile>> ReadTar(std::string_view archive);

}  // namespace interlock::audit
