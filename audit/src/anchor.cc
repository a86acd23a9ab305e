#include "anchor.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "private_file.h"

namespace interlock::audit {
namespace {

// Heads are no secret: others may read them.
constexpr mode_t kMode = 0644;

bool EndsWhole(int fd) {
  struct stat info {};
  if (::fstat(fd, &info) != 0 || info.st_size == 0) return true;
  std::array<char, 2> end{};
  return info.st_size >= 2 && ::pread(fd, end.data(), end.size(), info.st_size - 2) == 2 &&
         end[0] == '\n' && end[1] == '\n';
}

}  // namespace

core::Status AppendToAnchor(const std::string& path, std::string_view note) {
  const UniqueFd fd(
      ::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, kMode));
  if (!fd.valid()) return ErrnoStatus("cannot open", path);
  std::string text = EndsWhole(fd.get()) ? "" : "\n\n";
  text.append(note).append("\n");
  for (std::string_view left = text; !left.empty();) {
    const ssize_t n = ::write(fd.get(), left.data(), left.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return ErrnoStatus("cannot write", path);
    left.remove_prefix(static_cast<std::size_t>(n));
  }
  if (::fsync(fd.get()) != 0) return ErrnoStatus("cannot sync", path);
  return core::OkStatus();
}

Anchor::Anchor(Append append, const core::Clock* clock)
    : append_(std::move(append)), clock_(clock), thread_([this] { Loop(); }) {}

Anchor::~Anchor() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void Anchor::Add(std::string note) {
  {
    const std::lock_guard lock(mutex_);
    notes_.push_back(std::move(note));
    if (notes_.size() > kAnchorNotesMax) notes_.pop_front();
  }
  changed_.notify_all();
}

std::string Anchor::warning() const {
  const std::lock_guard lock(mutex_);
  const std::int64_t for_us = begun_us_ < 0 ? 0 : clock_->MonotonicMicros() - begun_us_;
  if (for_us < kAnchorHangsMicros) return problem_;
  return "heads are not anchored: the anchor file has taken none for " +
         std::to_string(for_us / 1'000'000) + " s; look at its mount";
}

void Anchor::Loop() {
  ::pthread_setname_np(::pthread_self(), "audit-anchor");
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return ending_ || !notes_.empty(); });
    if (notes_.empty()) return;
    const std::string note = std::move(notes_.front());
    notes_.pop_front();
    begun_us_ = clock_->MonotonicMicros();
    lock.unlock();
    const core::Status status = append_(note);
    lock.lock();
    begun_us_ = -1;
    problem_ = status.ok() ? "" : "heads are not anchored: " + std::string(core::Message(status));
  }
}

}  // namespace interlock::audit
