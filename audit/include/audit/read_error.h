// What an error of reading a log or its keys means for the next try.
#pragma once

#include "core/status.h"

namespace interlock::audit {

// Whether what is stored is damaged: it does not verify, or SQLite finds its file malformed. Any
// other error (a failed read, no memory, no free file) may have passed by the next try, also where
// it is of kDataLoss.
bool IsDamage(const core::Status& status);

}  // namespace interlock::audit
