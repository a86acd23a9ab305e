// What an engine writes for equal inputs: counted up whenever it would write other bytes.
#pragma once

#include <string_view>

namespace interlock::runtime {

// Stands in run.started and recovery, so that replay knows which engine a run was written by.
inline constexpr std::string_view kEngineVersion = "4";

}  // namespace interlock::runtime
