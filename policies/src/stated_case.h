// A call with everything that a decision about it needs, as a test case or an example states it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "policies/bundle.h"

namespace interlock::policies {

// Of a read whose value the case states; 0 where it says nothing.
inline constexpr std::uint64_t kStatedVersion = 1;

// Owns what its DecisionInput borrows. One per thread; neither copied nor moved.
class StatedCase {
 public:
  // `stated` has the members of a test case: tool, args, facts … (docs/policy_guide.md).
  // `tool_otherwise` where it names no tool.
  StatedCase(const Bundle& bundle, const core::Json& stated, const std::string& tool_otherwise);
  ~StatedCase();
  StatedCase(const StatedCase&) = delete;
  StatedCase& operator=(const StatedCase&) = delete;

  // Why it cannot be decided, one line; empty when it can.
  const std::string& problem() const;
  // Precondition: problem() is empty.
  const DecisionInput& input() const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

// Members by name, with what stands for those that are not there.
core::Json MemberOf(const core::Json& object, const char* name);
std::string TextMemberOf(const core::Json& object, const char* name, std::string_view otherwise);

}  // namespace interlock::policies
