// Work beside the runs, on one thread of its own: erasure (rule 21), retention, full text.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "engine/content_watch.h"
#include "engine/full_text.h"
#include "engine/hub.h"
#include "engine/requests.h"
#include "runtime/engine.h"

namespace interlock::runtime {

// What KeyStore notes as unfinished, beside ids of keys.
inline constexpr std::string_view kRetention = "retention";  // and the origin of the log
inline constexpr const char* kOldPages = "old pages";        // of the write-ahead log
// Before the id of a key: what closed logs hold under it.
inline constexpr std::string_view kInClosedLogs = "closed logs ";
// Before the origin of a closed log that was not in the folder when something was erased.
inline constexpr std::string_view kAway = "log away ";
inline constexpr const char* kEngineActor = "engine";  // of what nobody asked for

// Thread-safe. The other public methods of work run on its thread only (see Submit).
class Housekeeper {
 public:
  // Asks for the end of a run; returns when the request is durable.
  using CancelRun = std::function<core::Status(const core::Principal&, const std::string& run)>;
  Housekeeper(Hub& hub, CancelRun cancel)
      : hub_(hub), cancel_(std::move(cancel)), content_(hub), texts_(hub, content_) {}
  ~Housekeeper() { Stop(); }
  Housekeeper(const Housekeeper&) = delete;
  Housekeeper& operator=(const Housekeeper&) = delete;

  // Destroys every key that the log says is destroyed: a crash may have come in between. Then the
  // thread starts, and finishes what else is left.
  core::Status Start();
  void Stop();  // idempotent; work that waits is done first, and waits for no run any more
  void Submit(std::function<void()> work);
  // What could not be finished yet and why; empty: nothing.
  std::vector<std::string> warnings() const;

  // --- on its thread
  core::StatusOr<Erasure> Erase(const core::Principal& who, const EraseSpec& spec,
                                const RequestMark& request);
  // Nothing is erased while the clock is in doubt (kFailedPrecondition, CLOCK_IN_DOUBT).
  core::StatusOr<RetentionReport> ApplyRetention(const std::string& actor, bool validate_only);
  core::StatusOr<FoundTexts> Search(const core::Principal& who, const PageSpec& page,
                                    const std::string& text);

  // The steps of an erasure, in order; each is durable when it returns. Public for tests that end
  // the process between them.
  core::StatusOr<std::int64_t> EndRuns(const core::Principal& who, const std::string& subject);
  core::StatusOr<std::uint64_t> WriteErased(const std::string& actor, const EraseSpec& spec,
                                            const std::string& key, const RequestMark& request);
  struct Finished {
    std::int64_t payloads = 0;
    bool old_pages_pending = false;
  };
  // Erases full text, ciphertext and old pages, then what closed logs hold. `name`: a key,
  // kRetention (for a closed log with its origin), kOldPages, kInClosedLogs and a key, or
  // kAway and an origin. What does not work keeps nothing else from being done. What waits for
  // readers or for a file that cannot be written is tried again by and by, and steps that are done
  // are not done again.
  core::StatusOr<Finished> Finish(const std::string& name);

 private:
  void Loop();
  void Tick();
  std::string Uncompensated() const;
  core::StatusOr<std::vector<std::string>> Column(const std::string& sql,
                                                  const std::vector<std::string>& bound) const;
  void FinishRest();
  // False when somebody still reads old pages.
  core::StatusOr<bool> ForgetOldPages();
  core::StatusOr<Erasure> EraseAgain(const RequestRow& earlier, const std::string& subject);
  core::StatusOr<std::int64_t> EraseInClosedLogs(const std::string& key);
  core::Status NoteAway(const std::vector<Archives::File>& closed);
  core::StatusOr<std::int64_t> EraseInReturned(const std::string& origin);
  core::StatusOr<std::vector<std::string>> LogsAway() const;
  bool Stopping() const;
  void Warn(const std::string& about, std::string text);  // empty: nothing any more
  core::Status CheckNotBusy(const std::string& subject_hmac) const;
  core::StatusOr<std::int64_t> EraseCiphertext(const std::string& key);
  core::StatusOr<std::vector<std::int64_t>> Expired(const audit::Log& log, std::int64_t now_us,
                                                    std::int64_t& next_id) const;
  core::StatusOr<std::vector<std::string>> OpenCalls() const;
  core::Status StartLogTime();
  std::int64_t LogTimeMicros() const;
  // Of one log, as of `now_us`; `closed`: null for the one that is open.
  core::Status ApplyRetentionTo(const audit::Log& log, const Archives::File* closed,
                                std::int64_t now_us, const std::string& actor,
                                RetentionReport& report, bool validate_only);
  core::Status FinishRetention();
  core::Status FinishTexts();
  core::StatusOr<std::uint64_t> WriteSearched(const core::Principal& who, const std::string& text,
                                              const std::vector<FullText::Hit>& shown);

  Hub& hub_;
  const CancelRun cancel_;
  ContentWatch content_;
  FullText texts_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> work_;
  std::map<std::string, std::string> warnings_;  // by what they are about
  bool stopping_ = false;
  std::thread thread_;

  // Its thread only.
  std::int64_t retention_due_us_ = 0;  // monotonic, as the next
  std::int64_t finish_due_us_ = 0;
  std::int64_t finish_pause_us_ = 0;       // doubled each time
  std::string unfinished_;                 // why the last try to finish did not; empty: it did
  std::set<std::string> keys_to_destroy_;  // an entry says that they are, and it did not work
  std::uint64_t size_at_tick_ = 0;
  std::int64_t log_time_offset_us_ = 0;  // log time less monotonic time
};

}  // namespace interlock::runtime
