// A request to erase that was made before: it is finished where it was not, and answered again.
#include <algorithm>

#include "engine/housekeeper.h"
#include "engine/hub.h"

namespace interlock::runtime {
namespace {

bool TellsOf(const audit::Log& log, std::uint64_t index, const std::string& request) {
  const auto entry = log.Read(index);
  if (!entry.ok() || entry->kind != "payload.erased") return false;
  const auto view = core::JsonObjectView::Of(entry->bytes);
  const auto body = view.ok() ? view->Object("body") : std::nullopt;
  return body && body->String("request") == request;
}

// Requests are carried on when a log is rotated; the number of an entry means nothing in the next.
core::Status FindEntry(Hub& hub, const RequestRow& earlier, Erasure& erasure) {
  erasure.index = std::stoull(earlier.name);
  if (TellsOf(*hub.parts.log, erasure.index, earlier.request)) return core::OkStatus();
  INTERLOCK_ASSIGN_OR_RETURN(const auto closed, hub.archives.Files());
  for (const Archives::File& file : closed) {
    if (file.log == nullptr || !TellsOf(*file.log, erasure.index, earlier.request)) continue;
    erasure.log = file.origin;
    return core::OkStatus();
  }
  return core::Unavailable(
      "the subject was erased; the closed log that says so is not in the tenant's folder, or "
      "cannot be opened now");
}

}  // namespace

// The entry stands; what is told of it is true only once its key is destroyed as well.
core::StatusOr<Erasure> Housekeeper::EraseAgain(const RequestRow& earlier,
                                                const std::string& subject) {
  audit::KeyStore& keys = *hub_.parts.keys;
  INTERLOCK_ASSIGN_OR_RETURN(
      const auto erased,
      Column("SELECT key FROM p_erasure WHERE subject = ?", {keys.Hmac("subject", subject)}));
  for (const std::string& key : erased) INTERLOCK_RETURN_IF_ERROR(keys.DestroyKey(key));
  for (const std::string& key : erased) keys_to_destroy_.erase(key);
  FinishRest();
  INTERLOCK_ASSIGN_OR_RETURN(const auto left, keys.UnfinishedErasures());
  Erasure erasure;
  INTERLOCK_RETURN_IF_ERROR(FindEntry(hub_, earlier, erasure));
  erasure.old_pages_pending = std::any_of(
      left.begin(), left.end(), [](const std::string& note) { return !note.starts_with(kAway); });
  INTERLOCK_ASSIGN_OR_RETURN(erasure.logs_away, LogsAway());
  return erasure;
}

}  // namespace interlock::runtime
