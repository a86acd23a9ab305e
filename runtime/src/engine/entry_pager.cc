#include "engine/entry_pager.h"

namespace interlock::runtime {
namespace {

constexpr int kPageEntries = 1000;

}  // namespace

core::StatusOr<std::vector<audit::Entry>> EntryPager::Next() {
  if (!more_) return std::vector<audit::Entry>{};
  INTERLOCK_ASSIGN_OR_RETURN(
      audit::EntryPage page,
      run_.empty() ? log_.ReadRange(next_, kPageEntries)
                   : log_.ReadRun(run_, static_cast<std::int64_t>(next_), kPageEntries));
  more_ = page.more;
  next_ += page.entries.size();  // run_seq is dense, as the index is
  return std::move(page.entries);
}

}  // namespace interlock::runtime
