// The secrets that are known by their form.
#pragma once

#include <string_view>
#include <vector>

namespace interlock::policies::detect {

// How sure a match is, and what may stand before it.
enum class SecretSure {
  kHigh,    // the prefix is no part of a word, of base64 or of an identifier
  kStrict,  // high, where nothing of base64 (`+`, `/`) stands before: the prefix is letters only
  kMedium,  // the form alone is shared with harmless identifiers
};

// A prefix, and the form of what follows it (see shape.h).
struct SecretKind {
  std::string_view kind;
  std::string_view prefix;
  std::string_view tail;
  SecretSure sure;
};

const std::vector<SecretKind>& SecretKinds();

// Names under which programs keep secrets, lower case; a value after `name =` is looked at.
const std::vector<std::string_view>& SecretNames();

}  // namespace interlock::policies::detect
