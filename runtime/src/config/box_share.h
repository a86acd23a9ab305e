// How a tenant's part of the boxes is divided, so that no call waits in the launcher with a permit
// that ages (rule 4): calls and look-ups wait for a slot before their intent.
#pragma once

#include <algorithm>
#include <cstddef>

namespace interlock::runtime {

struct BoxShare {
  int sessions = 0;  // MCP servers, each in a box of its own for a whole run
  int calls = 0;
  int lookups = 0;
};

// Together at most a tenant's part, where that is three boxes or more; one of each always.
inline BoxShare DivideBoxes(int boxes_max, std::size_t tenants, int sessions_max) {
  const int part = boxes_max / static_cast<int>(std::max<std::size_t>(tenants, 1));
  BoxShare share;
  share.sessions = std::clamp(part / 4, 1, std::max(sessions_max, 1));
  const int rest = std::max(2, part - share.sessions);
  share.calls = rest / 2;
  share.lookups = rest - share.calls;
  return share;
}

}  // namespace interlock::runtime
