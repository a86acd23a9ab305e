#include "cli/collector.h"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <iterator>
#include <optional>
#include <set>
#include <thread>

#include "audit/commitment.h"
#include "audit/payload_key.h"
#include "core/json.h"

namespace interlock::runtime::cli {
namespace {

constexpr std::size_t kEntriesMax = 10'000;  // in one bundle
constexpr std::size_t kBlobsMax = 1000;
constexpr std::chrono::seconds kCosignedWait{30};
constexpr std::chrono::milliseconds kCosignedPause{200};

core::StatusOr<std::string> ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return core::NotFound("cannot read `" + path + "`");
  return std::string(std::istreambuf_iterator<char>(in), {});
}

// Indexes of "3,7-9".
core::StatusOr<std::set<std::int64_t>> ParseRanges(const std::string& text) {
  const auto bad = core::InvalidArgument("entries are numbers and ranges, like `3,7-9`");
  std::set<std::int64_t> out;
  std::size_t at = 0;
  while (at <= text.size()) {
    const std::size_t comma = std::min(text.find(',', at), text.size());
    const std::string part = text.substr(at, comma - at);
    std::int64_t first = 0;
    std::int64_t last = 0;
    int used = 0;
    if (std::sscanf(part.c_str(), "%ld-%ld%n", &first, &last, &used) != 2) {
      used = 0;
      if (std::sscanf(part.c_str(), "%ld%n", &first, &used) != 1) return bad;
      last = first;
    }
    if (static_cast<std::size_t>(used) != part.size() || first < 0 || last < first ||
        static_cast<std::size_t>(last - first) >= kEntriesMax) {
      return bad;
    }
    for (std::int64_t index = first; index <= last; ++index) out.insert(index);
    at = comma + 1;
  }
  return out;
}

// The call that an entry names; empty: none. An unescaped quote cannot stand inside a JSON string.
std::string CallIn(std::string_view entry) {
  constexpr std::string_view kLabel = R"("call":")";
  const std::size_t at = entry.find(kLabel);
  if (at == std::string_view::npos) return "";
  const std::string_view rest = entry.substr(at + kLabel.size());
  return std::string(rest.substr(0, rest.find('"')));
}

bool HasContent(const audit::BundleEntry& entry) {
  return entry.bytes.find(R"("commit":")") != std::string::npos;
}

core::Json BodyOf(const core::Json& entry) {
  const core::Json body = entry.is_object() ? entry.value("body", core::Json()) : core::Json();
  return body.is_object() ? body : core::Json::object();
}

std::string TextIn(const core::Json& object, const char* name) {
  const auto found = object.is_object() ? object.find(name) : object.end();
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

// What an entry `payload.erased` says is gone.
struct Erasure {
  EvidenceEntry entry;
  std::string origin;             // of the log that it stands in
  std::string key;                // that was destroyed; empty: none
  std::string of;                 // origin of the log whose rows `ids` are
  std::vector<std::int64_t> ids;  // ascending
};

Erasure ErasureOf(const std::string& origin, const EvidenceEntry& entry) {
  const core::Json body = BodyOf(core::Json::parse(entry.bytes, nullptr, false));
  Erasure erasure{.entry = entry,
                  .origin = origin,
                  .key = TextIn(body, "key"),
                  .of = body.contains("log") ? TextIn(body, "log") : origin,
                  .ids = {}};
  for (const core::Json& id : body.value("payloads", core::Json::array())) {
    if (id.is_number_integer()) erasure.ids.push_back(id.get<std::int64_t>());
  }
  std::sort(erasure.ids.begin(), erasure.ids.end());
  return erasure;
}

class Collector {
 public:
  Collector(EvidenceSource& source, const EvidenceOptions& options)
      : source_(source), options_(options) {}

  core::StatusOr<audit::BundleContents> Collect() {
    INTERLOCK_ASSIGN_OR_RETURN(contents_.tenant, source_.Tenant());
    contents_.run = options_.run;
    contents_.made_by = "interlock (audit format 1)";
    INTERLOCK_ASSIGN_OR_RETURN(head_, options_.cosigned ? CosignedHead() : source_.NewestHead());
    contents_.checkpoint_note = head_.note;
    INTERLOCK_RETURN_IF_ERROR(AddEntries());
    if (contents_.entries.empty()) return core::NotFound("there are no such entries");
    const bool opens = options_.disclose != "none";
    const core::Status told = opens ? Disclose() : SayErased();
    if (!told.ok()) return told;
    INTERLOCK_RETURN_IF_ERROR(AddRotations());
    INTERLOCK_RETURN_IF_ERROR(AddProofs());
    INTERLOCK_RETURN_IF_ERROR(AddBlobs());
    INTERLOCK_RETURN_IF_ERROR(AddConsistency());
    return std::move(contents_);
  }

 private:
  // One that covers everything that is in the log now; witnesses may need a moment.
  core::StatusOr<EvidenceHead> CosignedHead() {
    INTERLOCK_ASSIGN_OR_RETURN(const EvidenceHead newest, source_.NewestHead());
    const auto deadline = std::chrono::steady_clock::now() + kCosignedWait;
    while (true) {
      auto head = source_.CosignedHead();
      if (head.ok() && head->size >= newest.size) return head;
      if (!head.ok() && head.status().code() != core::StatusCode::kNotFound) return head;
      if (!options_.log.empty() || std::chrono::steady_clock::now() > deadline) {
        return core::FailedPrecondition(
            options_.log.empty()
                ? "no witness has cosigned the newest entries yet; `interlock doctor` says why"
                : "no witness has cosigned the last head of this log");
      }
      std::this_thread::sleep_for(kCosignedPause);
    }
  }

  core::Status AddEntries() {
    if (!options_.run.empty()) return AddRun();
    return options_.query.empty() ? AddChosen() : AddQuery();
  }

  core::Status Add(const EvidenceEntry& entry) {
    if (entry.index >= head_.size || !seen_.insert(entry.index).second) return core::OkStatus();
    if (contents_.entries.size() == kEntriesMax) {
      return core::ResourceExhausted("more than 10000 entries; ask for less");
    }
    contents_.entries.push_back({entry.index, entry.bytes, {}});
    return core::OkStatus();
  }

  core::Status AddRun() {
    contents_.run = IdOf(options_.run);
    return source_.EachEntry({.run = contents_.run},
                             [this](const EvidenceEntry& entry) { return Add(entry); });
  }

  core::Status AddChosen() {
    contents_.query = "entries " + options_.entries;
    INTERLOCK_ASSIGN_OR_RETURN(const std::set<std::int64_t> chosen, ParseRanges(options_.entries));
    for (const std::int64_t index : chosen) {
      INTERLOCK_ASSIGN_OR_RETURN(const EvidenceEntry entry,
                                 source_.EntryAt(static_cast<std::uint64_t>(index)));
      INTERLOCK_RETURN_IF_ERROR(Add(entry));
    }
    return core::OkStatus();
  }

  // Every entry that names a call which the filter keeps. Those of a run are looked for in it; of
  // the others, from where the first was proposed.
  core::Status AddQuery() {
    contents_.query = "calls " + options_.query;
    std::set<std::string> calls;
    std::set<std::string> runs;
    std::uint64_t first = head_.size;
    INTERLOCK_RETURN_IF_ERROR(source_.EachCall(options_.query, [&](const EvidenceCall& call) {
      calls.insert(call.call);
      if (!call.run.empty()) runs.insert(call.run);
      if (call.run.empty()) first = std::min(first, call.proposed_index);
      return calls.size() <= kEntriesMax;
    }));
    if (calls.size() > kEntriesMax) return core::ResourceExhausted("too many calls; ask for less");
    const auto take = [&](const EvidenceEntry& entry) {
      return calls.contains(CallIn(entry.bytes)) ? Add(entry) : core::OkStatus();
    };
    for (const std::string& run : runs) {
      INTERLOCK_RETURN_IF_ERROR(source_.EachEntry({.run = run}, take));
    }
    if (first >= head_.size) return core::OkStatus();
    return source_.EachEntry({.run = {}, .first = first, .end = head_.size}, take);
  }

  core::Status Disclose() {
    if (options_.disclose != "all") names_ = NamesIn(options_.disclose);
    const std::size_t count = contents_.entries.size();
    for (std::size_t i = 0; i < count; ++i) {
      if (!HasContent(contents_.entries[i])) continue;
      INTERLOCK_RETURN_IF_ERROR(DiscloseOne(contents_.entries[i].index));
    }
    for (const std::string& name : names_) {
      const bool shown = std::any_of(
          contents_.payloads.begin(), contents_.payloads.end(), [&](const auto& payload) {
            return payload.state == audit::BundlePayload::State::kErased ||
                   std::any_of(payload.fields.begin(), payload.fields.end(),
                               [&](const audit::BundleField& field) { return field.name == name; });
          });
      if (!shown) {
        return core::InvalidArgument("no call in this bundle has an argument `" + name +
                                     "`; see them with `interlock audit show`");
      }
    }
    return core::OkStatus();
  }

  static std::vector<std::string> NamesIn(const std::string& list) {
    std::vector<std::string> names;
    for (std::size_t at = 0; at <= list.size();) {
      const std::size_t comma = std::min(list.find(',', at), list.size());
      names.push_back(list.substr(at, comma - at));
      at = comma + 1;
    }
    return names;
  }

  core::Status DiscloseOne(std::uint64_t index) {
    INTERLOCK_ASSIGN_OR_RETURN(std::vector<audit::BundlePayload> payloads,
                               source_.Disclose(index, names_, options_.reason));
    for (audit::BundlePayload& payload : payloads) {
      if (payload.state == audit::BundlePayload::State::kErased) {
        INTERLOCK_ASSIGN_OR_RETURN(const bool explained, FindErasure(payload));
        if (!explained) return Unexplained(payload);
      }
      contents_.payloads.push_back(std::move(payload));
    }
    return core::OkStatus();
  }

  // Reads the log once for the entries that other entries lean on.
  core::Status FindSupport() {
    if (support_read_) return core::OkStatus();
    erasures_.clear();
    rotations_.clear();
    const std::string origin = Origin();
    INTERLOCK_RETURN_IF_ERROR(source_.EachEntry({}, [&](const EvidenceEntry& entry) {
      if (entry.kind == "payload.erased") erasures_.push_back(ErasureOf(origin, entry));
      if (entry.kind == "signer.rotated") rotations_.push_back(entry);
      return core::OkStatus();
    }));
    support_read_ = true;
    return core::OkStatus();
  }

  std::string Origin() const { return head_.note.substr(0, head_.note.find('\n')); }

  std::string KeyOf(const audit::BundlePayload& payload) const {
    for (const audit::BundleEntry& entry : contents_.entries) {
      if (entry.index != payload.entry_index) continue;
      return audit::SealingKeyOf(entry.bytes, payload.slot);
    }
    return "";
  }

  // Whether an entry says that the payload was erased. Rows of one log have the same numbers as
  // those of another.
  bool Names(const Erasure& erasure, const audit::BundlePayload& payload,
             const std::string& key) const {
    if (!key.empty() && erasure.key == key) return true;
    const std::int64_t id = audit::PayloadKey(payload.entry_index, payload.slot);
    return erasure.of == Origin() && std::binary_search(erasure.ids.begin(), erasure.ids.end(), id);
  }

  // Who says that it was erased: a later entry of this log, or one of a log behind it. False:
  // nobody does.
  core::StatusOr<bool> FindErasure(audit::BundlePayload& payload) {
    INTERLOCK_RETURN_IF_ERROR(FindSupport());
    const std::string key = KeyOf(payload);
    for (const Erasure& erasure : erasures_) {
      const std::uint64_t by = erasure.entry.index;
      if (by <= payload.entry_index || !Names(erasure, payload, key)) continue;
      if (by >= head_.size) return ErasedMeanwhile();
      payload.erased_by = by;
      INTERLOCK_RETURN_IF_ERROR(Add(erasure.entry));
      return true;
    }
    INTERLOCK_RETURN_IF_ERROR(FindElsewhere());
    for (const Erasure& erasure : *elsewhere_) {
      if (!Names(erasure, payload, key)) continue;
      if (erasure.origin == Origin()) return ErasedMeanwhile();
      payload.erased_by = erasure.entry.index;
      payload.erased_in = erasure.origin;
      return true;
    }
    return false;
  }

  static core::Status Unexplained(const audit::BundlePayload& payload) {
    return core::DataLoss("content of entry " + std::to_string(payload.entry_index) +
                          " is gone and no `payload.erased` entry names it; a closed log needs the "
                          "logs behind it in its folder");
  }

  core::Status ErasedMeanwhile() const {
    return core::Unavailable(options_.log.empty()
                                 ? "content was erased while the bundle was made; make it again"
                                 : "content was erased after this copy of the log was taken; take "
                                   "a new one with `interlock audit snapshot`");
  }

  core::Status FindElsewhere() {
    if (elsewhere_) return core::OkStatus();
    std::vector<Erasure> found;
    INTERLOCK_ASSIGN_OR_RETURN(others_,
                               source_.EachErasureElsewhere(
                                   [&found](const std::string& origin, const EvidenceEntry& entry) {
                                     found.push_back(ErasureOf(origin, entry));
                                     return core::OkStatus();
                                   }));
    elsewhere_ = std::move(found);
    return core::OkStatus();
  }

  // Nothing is opened; what is gone is not said to be withheld. A copy of a closed log alone cannot
  // know who erased it: there it is.
  core::Status SayErased() {
    const std::size_t count = contents_.entries.size();
    for (std::size_t i = 0; i < count; ++i) {
      if (!HasContent(contents_.entries[i])) continue;
      const std::uint64_t index = contents_.entries[i].index;
      INTERLOCK_ASSIGN_OR_RETURN(const std::vector<int> slots, source_.ErasedSlots(index));
      for (const int slot : slots) {
        audit::BundlePayload payload;
        payload.entry_index = index;
        payload.slot = slot;
        payload.state = audit::BundlePayload::State::kErased;
        INTERLOCK_ASSIGN_OR_RETURN(const bool explained, FindErasure(payload));
        if (!explained && !others_) continue;
        if (!explained) return Unexplained(payload);
        contents_.payloads.push_back(std::move(payload));
      }
    }
    return core::OkStatus();
  }

  // Whatever key of the log is pinned, the bundle says how it came to the one that signed. A head
  // under the first key has no rotation before it.
  core::Status AddRotations() {
    contents_.keys = {head_.first_key};
    if (audit::OpenCheckpoint(head_.note, head_.first_key).ok()) return core::OkStatus();
    INTERLOCK_RETURN_IF_ERROR(FindSupport());
    for (const EvidenceEntry& entry : rotations_) {
      if (entry.index >= head_.size) continue;
      INTERLOCK_RETURN_IF_ERROR(Add(entry));
      const core::Json body = BodyOf(core::Json::parse(entry.bytes, nullptr, false));
      contents_.keys.push_back(TextIn(body, "new_key"));
    }
    if (audit::OpenCheckpoint(head_.note, contents_.keys.back()).ok()) return core::OkStatus();
    return core::DataLoss("no key of the log signed its newest checkpoint; verify the log");
  }

  core::Status AddProofs() {
    for (audit::BundleEntry& entry : contents_.entries) {
      INTERLOCK_ASSIGN_OR_RETURN(entry.hashes, source_.InclusionProof(entry.index, head_.size));
    }
    return core::OkStatus();
  }

  // What entries cite, and what that cites in turn.
  core::Status AddBlobs() {
    std::vector<std::string> wanted;
    for (const audit::BundleEntry& entry : contents_.entries) {
      for (std::string& name : audit::CitesOf(entry.bytes)) wanted.push_back(std::move(name));
    }
    std::set<std::string> asked;
    while (!wanted.empty()) {
      const std::string digest = wanted.back();
      wanted.pop_back();
      if (!asked.insert(digest).second) continue;
      auto blob = source_.Blob(digest);
      if (blob.status().code() == core::StatusCode::kNotFound) continue;
      if (!blob.ok()) return blob.status();
      if (contents_.blobs.size() == kBlobsMax) return core::ResourceExhausted("too many files");
      for (std::string& name : audit::DigestNamesIn(*blob)) {
        wanted.push_back(std::move(name));
      }
      contents_.blobs.push_back(*std::move(blob));
    }
    return core::OkStatus();
  }

  core::Status Link(std::uint64_t from, std::uint64_t to, const std::string& note) {
    audit::ConsistencyText text{from, {}, note};
    INTERLOCK_ASSIGN_OR_RETURN(text.hashes, source_.ConsistencyProof(from, to));
    contents_.consistency.push_back(std::move(text));
    return core::OkStatus();
  }

  // From heads that were kept earlier, and on to the newest one.
  core::Status AddConsistency() {
    for (const std::string& file : options_.since) {
      INTERLOCK_ASSIGN_OR_RETURN(const std::string note, ReadFile(file));
      INTERLOCK_ASSIGN_OR_RETURN(const std::uint64_t size, audit::CheckpointSize(note));
      INTERLOCK_RETURN_IF_ERROR(Link(size, head_.size, head_.note));
    }
    INTERLOCK_ASSIGN_OR_RETURN(const EvidenceHead later, source_.NewestHead());
    if (later.size == head_.size) return core::OkStatus();
    return Link(head_.size, later.size, later.note);
  }

  EvidenceSource& source_;
  const EvidenceOptions& options_;
  audit::BundleContents contents_;
  std::vector<std::string> names_;  // fields to disclose; empty: whole content
  EvidenceHead head_;
  std::set<std::uint64_t> seen_;
  bool support_read_ = false;
  std::vector<Erasure> erasures_;
  std::optional<std::vector<Erasure>> elsewhere_;
  bool others_ = false;  // of logs, that `elsewhere_` was looked for in
  std::vector<EvidenceEntry> rotations_;
};

}  // namespace

core::StatusOr<audit::BundleContents> CollectEvidence(EvidenceSource& source,
                                                      const EvidenceOptions& options) {
  return Collector(source, options).Collect();
}

}  // namespace interlock::runtime::cli
