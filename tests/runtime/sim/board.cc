#include "board.h"

#include <algorithm>
#include <iterator>
#include <string_view>
#include <utility>

#include "engine/run_state.h"

namespace interlock::runtime::sim {
namespace {

bool MovesByItself(RunState state) {
  return state == RunState::kRunning || state == RunState::kCancelling ||
         state == RunState::kCompensating;
}

}  // namespace

void Board::Read(const audit::Entry& entry) {
  const bool about_approval = entry.kind.starts_with("approval.");
  const bool about_call = entry.kind == "call.intended" || entry.kind == "call.outcome";
  if (entry.run.empty() && !about_approval && !about_call) return;
  const auto view = core::JsonObjectView::Of(entry.bytes);
  const auto body = view.ok() ? view->Object("body") : std::nullopt;
  if (!body) return;
  if (!entry.run.empty()) {
    RunState& state = runs_[entry.run];
    state = StateAfter(state, entry.kind, *body);
  }
  if (about_call) {
    const std::string call = body->String("call").value_or("");
    if (entry.kind == "call.intended") at_work_.insert(call);
    if (entry.kind == "call.outcome") at_work_.erase(call);
  }
  if (!about_approval) return;
  const std::string approval = body->String("approval").value_or("");
  constexpr std::string_view kEnds[] = {"approval.consumed", "approval.expired",
                                        "approval.rejected", "approval.voided"};
  if (std::find(std::begin(kEnds), std::end(kEnds), entry.kind) != std::end(kEnds)) {
    pending_.erase(approval);
  } else if (entry.kind == "approval.requested") {
    pending_.insert(approval);
    news_.push_back(approval);
  } else if (entry.kind == "approval.granted") {
    news_.push_back(approval);
  }
}

bool Board::Moves() const {
  return !at_work_.empty() || std::any_of(runs_.begin(), runs_.end(), [](const auto& run) {
    return MovesByItself(run.second);
  });
}

std::vector<std::string> Board::TakeNews() {
  std::vector<std::string> news = std::exchange(news_, {});
  std::erase_if(news, [this](const std::string& approval) { return !IsPending(approval); });
  return news;
}

}  // namespace interlock::runtime::sim
