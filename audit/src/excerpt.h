// `excerpt(document, column)` for FTS5: a few words around the first hit, which stands in
// [brackets]. FTS5's own snippet() weighs every hit against every other, so that one document full
// of a word holds its reader for minutes; this one reads the text once, up to the first hit, and
// what it gives is short however long a word is.
#pragma once

#include <sqlite3.h>

#include "core/status.h"

namespace interlock::audit {

core::Status AddExcerpt(sqlite3* db);

}  // namespace interlock::audit
