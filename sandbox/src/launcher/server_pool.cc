// The boxes that the server keeps ready.
#include <algorithm>

#include "process.h"
#include "server.h"

namespace interlock::sandbox {

Box* Server::TakePooled(Profile profile, const Shape& shape) {
  for (Box* best; (best = BestPooled(profile, shape)) != nullptr;) {
    // Its process may have died while it waited, which an init that waits too does not notice.
    TakeReports(*best);
    if (!best->program.valid()) best->Kill();
    if (!best->killed && !best->failed()) return best;
  }
  return nullptr;
}

// A ready box, or else one in the making: it reads its call when it gets there, which is sooner
// than a box begun now. Of these rather one that is no more than needed.
Box* Server::BestPooled(Profile profile, const Shape& shape) const {
  Box* best = nullptr;
  int best_rank = -1;
  for (const auto& [slot, box] : boxes_) {
    if (box->called || box->killed || box->reaped || box->failed()) continue;
    if (box->plan.profile != profile || !box->Serves(shape)) continue;
    if (!box->ready && !box->pooled) continue;
    const int rank = (box->ready ? 2 : 0) + (box->plan.takes_mounts == shape.takes_mounts ? 1 : 0);
    if (rank <= best_rank) continue;
    best = box.get();
    best_rank = rank;
  }
  return best;
}

void Server::Want(const Call& call, const Shape& shape) {
  const BoxSpec& spec = call.request.spec;
  Wanted wanted{spec.profile, maker_.UsualShape(), {spec.limits.memory_bytes, spec.limits.pids}};
  if (!shape.takes_mounts) wanted.shape = shape;
  const std::size_t kind = shape.takes_mounts ? 1 : 0;
  wanted_[static_cast<std::size_t>(spec.profile) * kPoolKinds + kind] = wanted;
}

bool Server::Short(const Wanted& wanted) const {
  const auto have = std::count_if(boxes_.begin(), boxes_.end(), [&](const auto& item) {
    const Box& box = *item.second;
    return !box.called && !box.killed && box.plan.profile == wanted.profile &&
           box.plan.takes_mounts == wanted.shape.takes_mounts && box.Serves(wanted.shape);
  });
  return static_cast<unsigned>(have) < options_.pool_per_profile;
}

// Nobody asks for those any more, and each keeps its processes and its memory.
Box* Server::Outdated(const Wanted& wanted) const {
  for (const auto& [slot, box] : boxes_) {
    if (box->called || box->killed || box->plan.profile != wanted.profile) continue;
    if (!box->plan.takes_mounts && !box->Serves(wanted.shape)) return box.get();
  }
  return nullptr;
}

void Server::Fill() {
  fill_at_us_ = 0;
  if (ending_ || !waiting_.empty()) return;
  for (const std::optional<Wanted>& wanted : wanted_) {
    if (!wanted) continue;
    if (Box* old = wanted->shape.takes_mounts ? nullptr : Outdated(*wanted)) {
      old->Kill();
      fill_at_us_ = MonotonicMicros() + kFillDelayUs;  // one at a time
      return;
    }
    if (!Short(*wanted)) continue;
    std::string problem;
    // A failure shows in the next call, which then makes its own box and reports it.
    Box* made = Make(wanted->profile, wanted->shape, problem);
    if (made == nullptr) return;
    made->pooled = true;
    if (ground_.cgroups) static_cast<void>(made->group->Limit(wanted->limits, problem));
    fill_at_us_ = MonotonicMicros() + kFillDelayUs;  // one at a time
    return;
  }
}

}  // namespace interlock::sandbox
