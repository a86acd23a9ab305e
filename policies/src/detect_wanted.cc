#include "detect_wanted.h"

#include <algorithm>

#include "selector.h"

namespace interlock::policies {
namespace {

constexpr std::int64_t kBytesPerInstruction = 16;
constexpr std::int64_t kWorkPerInstruction = 4;

const DetectKind* FindKind(std::string_view name) {
  for (const DetectKind& kind : DetectKinds()) {
    if (kind.name == name) return &kind;
  }
  return nullptr;
}

std::vector<std::string> KindNames() {
  std::vector<std::string> names = {"pii", "secret", "injection"};
  for (const DetectKind& kind : DetectKinds()) names.emplace_back(kind.name);
  return names;
}

}  // namespace

void DetectWanted::Open(DetectGroup group) {
  options.pii = options.pii || group == DetectGroup::kPii;
  options.secrets = options.secrets || group == DetectGroup::kSecret;
  options.injection = options.injection || group == DetectGroup::kInjection;
}

core::Status DetectWanted::Add(const std::string& name) {
  const auto insert = [this](std::string_view kind) {
    const auto at = std::lower_bound(kinds.begin(), kinds.end(), kind);
    if (at == kinds.end() || *at != kind) kinds.emplace(at, kind);
  };
  for (const auto& [group_name, group] :
       {std::pair<std::string_view, DetectGroup>{"pii", DetectGroup::kPii},
        {"secret", DetectGroup::kSecret},
        {"injection", DetectGroup::kInjection}}) {
    if (name != group_name) continue;
    Open(group);
    for (const DetectKind& kind : DetectKinds()) {
      if (kind.group == group) insert(kind.name);
    }
    return core::OkStatus();
  }
  const DetectKind* const kind = FindKind(name);
  if (kind == nullptr) {
    return core::InvalidArgument("no detector finds `" + name + "`" +
                                 DidYouMean(name, KindNames()));
  }
  Open(kind->group);
  insert(kind->name);
  return core::OkStatus();
}

bool DetectWanted::Takes(const Detection& one) const {
  if (one.confidence < least) return false;
  return kinds.empty() || std::binary_search(kinds.begin(), kinds.end(), one.kind);
}

core::StatusOr<std::vector<Detection>> Look(std::string_view text, std::string_view field,
                                            const DetectWanted& wanted, std::int64_t& work) {
  DetectOptions options = wanted.options;
  options.field = field;
  Detections detections = Detect(text, options);
  work += static_cast<std::int64_t>(text.size()) / kBytesPerInstruction + 1 +
          detections.work / kWorkPerInstruction;
  if (detections.truncated) {
    return core::ResourceExhausted("a text with more in it than detectors report");
  }
  std::erase_if(detections.found, [&](const Detection& one) { return !wanted.Takes(one); });
  return std::move(detections.found);
}

std::string Masked(std::string_view text, const std::vector<Detection>& found) {
  std::string out;
  std::size_t done = 0;
  for (const Detection& one : found) {
    if (one.begin >= done || done == 0) {
      out.append(text.substr(done, one.begin - done));
      out.append("[").append(one.kind).append("]");
    }
    done = std::max(done, one.end);
  }
  return out.append(text.substr(done));
}

}  // namespace interlock::policies
