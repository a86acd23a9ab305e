#include "selector.h"

#include <algorithm>
#include <array>

#include "core/glob.h"

namespace interlock::policies {
namespace {

constexpr std::size_t kSlipBytesMax = 32;

}  // namespace

int EditDistance(std::string_view a, std::string_view b) {
  a = a.substr(0, kSlipBytesMax);
  b = b.substr(0, kSlipBytesMax);
  std::array<std::array<int, kSlipBytesMax + 1>, kSlipBytesMax + 1> d{};
  for (std::size_t i = 0; i <= a.size(); ++i) d[i][0] = static_cast<int>(i);
  for (std::size_t j = 0; j <= b.size(); ++j) d[0][j] = static_cast<int>(j);
  for (std::size_t i = 1; i <= a.size(); ++i) {
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const int change = a[i - 1] == b[j - 1] ? 0 : 1;
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + change});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
      }
    }
  }
  return d[a.size()][b.size()];
}

std::string Nearest(std::string_view name, const std::vector<std::string>& names) {
  std::string best;
  int best_distance = std::max(1, static_cast<int>(std::min(name.size(), kSlipBytesMax)) / 3) + 1;
  for (const std::string& candidate : names) {
    const int distance = EditDistance(name, candidate);
    if (distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

std::string DidYouMean(std::string_view name, const std::vector<std::string>& names) {
  const std::string near = Nearest(name, names);
  return near.empty() ? "" : "; did you mean `" + near + "`?";
}

bool Selector::Matches(std::string_view tool, std::string_view effect) const {
  return std::any_of(tools.begin(), tools.end(),
                     [&](const std::string& one) { return core::GlobMatches(one, tool); }) ||
         std::find(effects.begin(), effects.end(), effect) != effects.end();
}

}  // namespace interlock::policies
