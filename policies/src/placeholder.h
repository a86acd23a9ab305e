// Texts with placeholders, as the arguments of a declared fact hold them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/status.h"

namespace interlock::policies {

struct TemplatePart {
  bool is_path = false;  // "args.order_id"; else literal text
  std::string text;
};

// `{{` and `}}` are literal braces. Errors: kInvalidArgument for a brace that is neither.
core::StatusOr<std::vector<TemplatePart>> ParseTemplate(std::string_view text);

}  // namespace interlock::policies
