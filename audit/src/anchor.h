// The cheap anchor: every signed note also goes to a file on another mount, so that a log that was
// cut or rolled back is caught by what stands there.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "core/clock.h"
#include "core/status.h"

namespace interlock::audit {

// Appends a note and an empty line, and syncs. A file whose last note is torn gets an empty line
// first, so that the next note stands alone. Errors: errno as a status.
core::Status AppendToAnchor(const std::string& path, std::string_view note);

// Appends notes from a thread of its own: the other mount may hang, and signing must not.
// Thread-safe.
class Anchor final {
 public:
  using Append = std::function<core::Status(std::string_view note)>;
  // Borrows the clock.
  Anchor(Append append, const core::Clock* clock);
  // Waits until all notes were tried, however long their mount takes.
  ~Anchor();
  Anchor(const Anchor&) = delete;
  Anchor& operator=(const Anchor&) = delete;

  // Never waits. Of more than kAnchorNotesMax the oldest are left out: a newer one vouches for
  // them.
  void Add(std::string note);
  // One line; empty: all is well.
  std::string warning() const;

 private:
  void Loop();

  const Append append_;
  const core::Clock* const clock_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::string> notes_;
  std::int64_t begun_us_ = -1;  // when what is appended now was begun
  std::string problem_;
  bool ending_ = false;
  std::thread thread_;
};

inline constexpr std::size_t kAnchorNotesMax = 1024;
inline constexpr std::int64_t kAnchorHangsMicros = 10'000'000;

}  // namespace interlock::audit
