// audit evidence|proof|export.
#include "cli/evidence.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <ostream>
#include <set>
#include <thread>

#include "audit/bundle.h"
#include "audit/tiles.h"
#include "cli/verify.h"
#include "core/digest.h"

namespace interlock::runtime::cli {
namespace {

constexpr int kEntriesPage = 1000;
constexpr std::size_t kEntriesMax = 10'000;  // in one bundle
constexpr std::size_t kBlobsMax = 1000;
constexpr std::chrono::seconds kCosignedWait{30};
constexpr std::chrono::milliseconds kCosignedPause{200};

struct EvidenceOptions {
  std::string run;
  std::string entries;  // "3,7-9"
  std::string query;    // AIP-160, of calls
  bool cosigned = false;
  std::string out;
  std::string disclose = "none";
  std::string reason;
  std::string key;
  std::vector<std::string> since;  // files with notes kept earlier
};

core::StatusOr<std::vector<core::Digest>> DigestsOf(
    const google::protobuf::RepeatedPtrField<std::string>& hashes) {
  std::vector<core::Digest> out;
  for (const std::string& hash : hashes) {
    core::Digest& digest = out.emplace_back();
    if (hash.size() != digest.size()) return core::DataLoss("the daemon sent a malformed proof");
    std::copy(hash.begin(), hash.end(), digest.begin());
  }
  return out;
}

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

// Collects a bundle's parts from a daemon.
class Collector {
 public:
  Collector(Client& client, const EvidenceOptions& options) : client_(client), options_(options) {}

  core::StatusOr<audit::BundleContents> Collect() {
    contents_.tenant = client_.endpoint().tenant;
    contents_.run = options_.run;
    contents_.made_by = "interlock (audit format 1)";
    INTERLOCK_ASSIGN_OR_RETURN(head_, options_.cosigned ? CosignedHead() : Head());
    contents_.checkpoint_note = head_.note();
    contents_.keys.push_back(head_.verifier_key());
    if (!options_.key.empty() && options_.key != head_.verifier_key()) {
      contents_.keys.push_back(options_.key);
    }
    INTERLOCK_RETURN_IF_ERROR(AddEntries());
    if (contents_.entries.empty()) return core::NotFound("there are no such entries");
    if (options_.disclose != "none") INTERLOCK_RETURN_IF_ERROR(Disclose());
    INTERLOCK_RETURN_IF_ERROR(AddRotations());
    INTERLOCK_RETURN_IF_ERROR(AddProofs());
    INTERLOCK_RETURN_IF_ERROR(AddBlobs());
    INTERLOCK_RETURN_IF_ERROR(AddConsistency());
    return std::move(contents_);
  }

 private:
  core::StatusOr<wire::Checkpoint> Head() {
    wire::GetCheckpointRequest request;
    request.set_parent(client_.parent());
    return client_.Call(client_.audit, &wire::AuditService::Stub::GetCheckpoint, request);
  }

  // One that covers everything that is in the log now; witnesses may need a moment.
  core::StatusOr<wire::Checkpoint> CosignedHead() {
    INTERLOCK_ASSIGN_OR_RETURN(const wire::Checkpoint newest, Head());
    wire::GetCheckpointRequest request;
    request.set_parent(client_.parent());
    request.set_cosigned(true);
    const auto deadline = std::chrono::steady_clock::now() + kCosignedWait;
    while (true) {
      auto head = client_.Call(client_.audit, &wire::AuditService::Stub::GetCheckpoint, request);
      if (head.ok() && head->tree_size() >= newest.tree_size()) return head;
      if (!head.ok() && head.status().code() != core::StatusCode::kNotFound) return head;
      if (std::chrono::steady_clock::now() > deadline) {
        return core::FailedPrecondition(
            "no witness has cosigned the newest entries yet; `interlock doctor` says why");
      }
      std::this_thread::sleep_for(kCosignedPause);
    }
  }

  core::Status AddEntries() {
    if (!options_.run.empty()) return AddRun();
    return options_.query.empty() ? AddChosen() : AddQuery();
  }

  core::Status Add(const wire::Entry& entry) {
    if (entry.index() >= head_.tree_size() || !seen_.insert(entry.index()).second) {
      return core::OkStatus();
    }
    if (contents_.entries.size() == kEntriesMax) {
      return core::ResourceExhausted("more than 10000 entries; ask for less");
    }
    contents_.entries.push_back(
        {static_cast<std::uint64_t>(entry.index()), entry.entry_json(), {}});
    return core::OkStatus();
  }

  core::Status EachEntry(wire::ListEntriesRequest request,
                         const std::function<core::Status(const wire::Entry&)>& take) {
    request.set_parent(client_.parent());
    request.set_page_size(kEntriesPage);
    do {
      INTERLOCK_ASSIGN_OR_RETURN(
          const auto page,
          client_.Call(client_.audit, &wire::AuditService::Stub::ListEntries, request));
      for (const wire::Entry& entry : page.entries()) {
        INTERLOCK_RETURN_IF_ERROR(take(entry));
      }
      request.set_page_token(page.next_page_token());
    } while (!request.page_token().empty());
    return core::OkStatus();
  }

  core::Status AddRun() {
    wire::ListEntriesRequest request;
    request.set_run(client_.Name("runs", options_.run));
    contents_.run = IdOf(request.run());
    return EachEntry(request, [this](const wire::Entry& entry) { return Add(entry); });
  }

  core::Status AddOne(std::int64_t index) {
    wire::GetEntryRequest request;
    request.set_name(client_.Name("entries", std::to_string(index)));
    INTERLOCK_ASSIGN_OR_RETURN(
        const wire::Entry entry,
        client_.Call(client_.audit, &wire::AuditService::Stub::GetEntry, request));
    return Add(entry);
  }

  core::Status AddChosen() {
    contents_.query = "entries " + options_.entries;
    INTERLOCK_ASSIGN_OR_RETURN(const std::set<std::int64_t> chosen, ParseRanges(options_.entries));
    for (const std::int64_t index : chosen) INTERLOCK_RETURN_IF_ERROR(AddOne(index));
    return core::OkStatus();
  }

  // Every entry that names a call which the filter keeps. Those of a run are looked for in it; of
  // the others, from where the first was proposed.
  core::Status AddQuery() {
    contents_.query = "calls " + options_.query;
    wire::QueryCallsRequest query;
    query.set_parent(client_.parent());
    query.set_filter(options_.query);
    query.set_page_size(kEntriesPage);
    std::set<std::string> calls;
    std::set<std::string> runs;
    std::int64_t first = head_.tree_size();
    do {
      INTERLOCK_ASSIGN_OR_RETURN(
          const auto page,
          client_.Call(client_.audit, &wire::AuditService::Stub::QueryCalls, query));
      for (const wire::AuditedCall& call : page.calls()) {
        calls.insert(IdOf(call.name()));
        if (!call.run().empty()) runs.insert(call.run());
        if (call.run().empty()) first = std::min(first, call.proposed_index());
      }
      if (calls.size() > kEntriesMax)
        return core::ResourceExhausted("too many calls; ask for less");
      query.set_page_token(page.next_page_token());
    } while (!query.page_token().empty());
    const auto take = [&](const wire::Entry& entry) {
      return calls.contains(CallIn(entry.entry_json())) ? Add(entry) : core::OkStatus();
    };
    for (const std::string& run : runs) {
      wire::ListEntriesRequest request;
      request.set_run(run);
      INTERLOCK_RETURN_IF_ERROR(EachEntry(request, take));
    }
    if (first >= head_.tree_size()) return core::OkStatus();
    wire::ListEntriesRequest request;
    request.set_start_index(first);
    request.set_end_index(head_.tree_size());
    return EachEntry(request, take);
  }

  core::Status Disclose() {
    const std::size_t count = contents_.entries.size();
    for (std::size_t i = 0; i < count; ++i) {
      if (contents_.entries[i].bytes.find(R"("commit":")") == std::string::npos) continue;
      INTERLOCK_RETURN_IF_ERROR(DiscloseOne(contents_.entries[i].index));
    }
    return core::OkStatus();
  }

  core::Status DiscloseOne(std::uint64_t index) {
    wire::DisclosePayloadsRequest request;
    request.set_name(client_.Name("entries", std::to_string(index)));
    request.set_reason(options_.reason);
    if (options_.disclose != "all") {
      std::size_t at = 0;
      while (at <= options_.disclose.size()) {
        const std::size_t comma =
            std::min(options_.disclose.find(',', at), options_.disclose.size());
        request.add_fields(options_.disclose.substr(at, comma - at));
        at = comma + 1;
      }
    }
    INTERLOCK_ASSIGN_OR_RETURN(
        const auto response,
        client_.Call(client_.audit, &wire::AuditService::Stub::DisclosePayloads, request));
    for (const wire::DisclosedPayload& shown : response.payloads()) {
      INTERLOCK_RETURN_IF_ERROR(Keep(index, shown));
    }
    return core::OkStatus();
  }

  core::Status Keep(std::uint64_t index, const wire::DisclosedPayload& shown) {
    using State = audit::BundlePayload::State;
    audit::BundlePayload payload;
    payload.entry_index = index;
    payload.slot = shown.slot();
    payload.state = State::kDisclosed;
    payload.media = shown.media();
    payload.content = shown.content();
    payload.salt = shown.salt();
    for (const wire::DisclosedField& field : shown.fields()) {
      payload.fields.push_back({field.name(), field.value(), field.salt()});
    }
    if (shown.salt().empty()) {
      payload.state = payload.fields.empty() ? State::kWithheld : State::kFields;
    }
    if (shown.erased()) {
      payload.state = State::kErased;
      INTERLOCK_ASSIGN_OR_RETURN(payload.erased_by, ErasedBy(index, shown.slot()));
    }
    contents_.payloads.push_back(std::move(payload));
    return core::OkStatus();
  }

  // Reads the log once for the entries that other entries lean on.
  core::Status FindSupport() {
    if (support_read_) return core::OkStatus();
    support_read_ = true;
    return EachEntry({}, [this](const wire::Entry& entry) {
      NoteSubject(entry);
      if (entry.kind() == "payload.erased") erasures_.push_back(entry);
      if (entry.kind() == "signer.rotated") rotations_.push_back(entry);
      return core::OkStatus();
    });
  }

  static core::Json BodyOf(const core::Json& entry) {
    const core::Json body = entry.is_object() ? entry.value("body", core::Json()) : core::Json();
    return body.is_object() ? body : core::Json::object();
  }

  static std::string TextIn(const core::Json& object, const char* name) {
    const auto found = object.is_object() ? object.find(name) : object.end();
    return found != object.end() && found->is_string() ? found->get<std::string>() : "";
  }

  // Whose content it is: a run's says its first entry, a call's without a run its proposal.
  static std::string OwnerOf(const core::Json& entry) {
    const std::string run = TextIn(entry, "run");
    return run.empty() ? TextIn(BodyOf(entry), "call") : run;
  }

  void NoteSubject(const wire::Entry& entry) {
    if (entry.kind() != "run.started" && entry.kind() != "call.proposed") return;
    const core::Json parsed = core::Json::parse(entry.entry_json(), nullptr, false);
    const std::string subject = TextIn(BodyOf(parsed), "subject");
    if (!subject.empty()) subjects_[OwnerOf(parsed)] = subject;
  }

  std::string SubjectOf(std::uint64_t index) const {
    for (const audit::BundleEntry& entry : contents_.entries) {
      if (entry.index != index) continue;
      const auto found = subjects_.find(OwnerOf(core::Json::parse(entry.bytes, nullptr, false)));
      return found == subjects_.end() ? "" : found->second;
    }
    return "";
  }

  // The entry that names the payload itself, else the first later one that destroyed a key of the
  // subject: a subject's next key is made after that only.
  core::StatusOr<std::uint64_t> ErasedBy(std::uint64_t index, int slot) {
    INTERLOCK_RETURN_IF_ERROR(FindSupport());
    const std::string subject = SubjectOf(index);
    const core::Json id = static_cast<std::int64_t>(index) * 256 + slot;
    const wire::Entry* best = nullptr;
    for (const wire::Entry& entry : erasures_) {
      if (static_cast<std::uint64_t>(entry.index()) <= index) continue;
      const core::Json body = BodyOf(core::Json::parse(entry.entry_json(), nullptr, false));
      const core::Json ids = body.value("payloads", core::Json());
      const bool named = ids.is_array() && std::find(ids.begin(), ids.end(), id) != ids.end();
      const bool theirs = body.contains("key") && TextIn(body, "subject") == subject;
      if (named || (best == nullptr && theirs)) best = &entry;
      if (named) break;
    }
    if (best == nullptr) {
      return core::DataLoss("content of entry " + std::to_string(index) +
                            " is gone and no `payload.erased` entry names it");
    }
    INTERLOCK_RETURN_IF_ERROR(Add(*best));
    return static_cast<std::uint64_t>(best->index());
  }

  // A pinned key that did not sign this head handed over to one that did.
  core::Status AddRotations() {
    const std::string& key = options_.key.empty() ? head_.verifier_key() : options_.key;
    if (audit::OpenCheckpoint(contents_.checkpoint_note, key).ok()) return core::OkStatus();
    INTERLOCK_RETURN_IF_ERROR(FindSupport());
    for (const wire::Entry& entry : rotations_) INTERLOCK_RETURN_IF_ERROR(Add(entry));
    return core::OkStatus();
  }

  core::Status AddProofs() {
    for (audit::BundleEntry& entry : contents_.entries) {
      wire::GetInclusionProofRequest request;
      request.set_name(client_.Name("entries", std::to_string(entry.index)));
      request.set_tree_size(head_.tree_size());
      INTERLOCK_ASSIGN_OR_RETURN(
          const auto proof,
          client_.Call(client_.audit, &wire::AuditService::Stub::GetInclusionProof, request));
      INTERLOCK_ASSIGN_OR_RETURN(entry.hashes, DigestsOf(proof.hashes()));
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
      wire::GetBlobRequest request;
      request.set_parent(client_.parent());
      request.set_digest(wanted.back());
      wanted.pop_back();
      if (!asked.insert(request.digest()).second) continue;
      auto blob = client_.Call(client_.audit, &wire::AuditService::Stub::GetBlob, request);
      if (blob.status().code() == core::StatusCode::kNotFound) continue;
      if (!blob.ok()) return blob.status();
      if (contents_.blobs.size() == kBlobsMax) return core::ResourceExhausted("too many files");
      for (std::string& name : audit::DigestNamesIn(blob->content())) {
        wanted.push_back(std::move(name));
      }
      contents_.blobs.push_back(blob->content());
    }
    return core::OkStatus();
  }

  core::Status Link(std::int64_t from, std::int64_t to, const std::string& note) {
    wire::GetConsistencyProofRequest request;
    request.set_parent(client_.parent());
    request.set_old_tree_size(from);
    request.set_tree_size(to);
    INTERLOCK_ASSIGN_OR_RETURN(
        const auto proof,
        client_.Call(client_.audit, &wire::AuditService::Stub::GetConsistencyProof, request));
    audit::ConsistencyText text{static_cast<std::uint64_t>(from), {}, note};
    INTERLOCK_ASSIGN_OR_RETURN(text.hashes, DigestsOf(proof.hashes()));
    contents_.consistency.push_back(std::move(text));
    return core::OkStatus();
  }

  // From heads that were kept earlier, and on to the newest one.
  core::Status AddConsistency() {
    for (const std::string& file : options_.since) {
      INTERLOCK_ASSIGN_OR_RETURN(const std::string note, ReadFile(file));
      INTERLOCK_ASSIGN_OR_RETURN(const std::uint64_t size, audit::CheckpointSize(note));
      INTERLOCK_RETURN_IF_ERROR(
          Link(static_cast<std::int64_t>(size), head_.tree_size(), head_.note()));
    }
    INTERLOCK_ASSIGN_OR_RETURN(const wire::Checkpoint later, Head());
    if (later.tree_size() == head_.tree_size()) return core::OkStatus();
    return Link(head_.tree_size(), later.tree_size(), later.note());
  }

  Client& client_;
  const EvidenceOptions& options_;
  audit::BundleContents contents_;
  wire::Checkpoint head_;
  std::set<std::int64_t> seen_;
  bool support_read_ = false;
  std::map<std::string, std::string> subjects_;  // HMACs by run, or by call without a run
  std::vector<wire::Entry> erasures_;
  std::vector<wire::Entry> rotations_;
};

// With a key the bundle is checked before it is handed out; without, only its making is reported.
int Evidence(Session& session, const EvidenceOptions& options) {
  const int kinds =
      int{!options.run.empty()} + int{!options.entries.empty()} + int{!options.query.empty()};
  if (kinds != 1) {
    return Fail(session, core::InvalidArgument("give one of --run, --entries and --query"));
  }
  auto client = session.Connect();
  if (!client.ok()) return Fail(session, client.status());
  auto contents = Collector(**client, options).Collect();
  if (!contents.ok()) {
    const bool unwitnessed = contents.status().code() == core::StatusCode::kFailedPrecondition;
    Fail(session, contents.status());
    return options.cosigned && unwitnessed ? kIncomplete : kCouldNotTell;
  }
  const auto bundle = audit::MakeBundle(*contents);
  if (!bundle.ok()) return Fail(session, bundle.status());
  if (const core::Status written = WriteWhole(options.out, *bundle); !written.ok()) {
    return Fail(session, written);
  }
  audit::BundleVerifyOptions check;
  check.verifier_key = options.key;
  const audit::VerifyReport report = audit::VerifyBundle(*bundle, check);
  if (!options.key.empty()) {
    PrintReport(session.io, report);
    return ExitCodeOf(report.verdict);
  }
  if (session.io.json) {
    PrintJson(session.io, {{"file", options.out}, {"entries", contents->entries.size()}});
  } else {
    session.io.out << "wrote " << options.out << ", " << contents->entries.size()
                   << " entries; check it with `interlock audit verify " << options.out
                   << " --key KEY`\n";
  }
  return kYes;
}

int Proof(Session& session, std::int64_t index, std::int64_t since) {
  auto client = session.Connect();
  if (!client.ok()) return Fail(session, client.status());
  if (since > 0) {
    wire::GetConsistencyProofRequest request;
    request.set_parent((*client)->parent());
    request.set_old_tree_size(since);
    const auto proof =
        (*client)->Call((*client)->audit, &wire::AuditService::Stub::GetConsistencyProof, request);
    if (!proof.ok()) return Fail(session, proof.status());
    auto hashes = DigestsOf(proof->hashes());
    if (!hashes.ok()) return Fail(session, hashes.status());
    session.io.out << audit::ConsistencyBody(
        {static_cast<std::uint64_t>(since), *std::move(hashes), proof->checkpoint().note()});
    return kYes;
  }
  wire::GetInclusionProofRequest request;
  request.set_name((*client)->Name("entries", std::to_string(index)));
  const auto proof =
      (*client)->Call((*client)->audit, &wire::AuditService::Stub::GetInclusionProof, request);
  if (!proof.ok()) return Fail(session, proof.status());
  auto hashes = DigestsOf(proof->hashes());
  if (!hashes.ok()) return Fail(session, hashes.status());
  session.io.out << audit::ProofText(
      {static_cast<std::uint64_t>(index), *std::move(hashes), proof->checkpoint().note()});
  return kYes;
}

int Export(Session& session, const std::string& path, const std::string& folder) {
  const auto database = FindLog(path);
  if (!database.ok()) return Fail(session, database.status());
  const auto size = audit::ExportTiles(*database, folder);
  if (!size.ok()) return Fail(session, size.status());
  if (session.io.json) {
    PrintJson(session.io, {{"folder", folder}, {"entries", *size}});
  } else {
    session.io.out << "wrote " << *size << " entries as tlog-tiles to " << folder << "\n";
  }
  return kYes;
}

void AddEvidence(CLI::App& group, Session& session) {
  auto options = std::make_shared<EvidenceOptions>();
  CLI::App* evidence =
      group.add_subcommand("evidence", "Write a bundle that proves a run, for others to check");
  evidence->add_option("--run", options->run, "All entries of this run");
  evidence->add_option("--entries", options->entries, "These entries: 3,7-9");
  evidence->add_option("--query", options->query,
                       "All entries of the calls that a filter keeps (see `audit query --filter`)");
  evidence->add_flag("--cosigned", options->cosigned,
                     "Under a head that a witness cosigned; waits up to 30 s, else 3");
  evidence->add_option("--out", options->out, "The bundle, a .tar")->required();
  evidence->add_option("--disclose", options->disclose,
                       "Content to show: all, none, or names of arguments (amount,order_id)");
  evidence->add_option("--reason", options->reason, "Why content is opened, for the record");
  evidence->add_option("--since", options->since, "A checkpoint kept earlier, to be linked");
  evidence->add_option("--key", options->key, "Check the bundle at once against this key");
  Does(evidence, session, [&session, options] { return Evidence(session, *options); });
}

}  // namespace

core::Status WriteWhole(const std::string& path, std::string_view bytes) {
  const std::string fresh = path + ".new";
  std::ofstream out(fresh, std::ios::binary | std::ios::trunc);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  out.close();
  std::error_code error;
  if (out) std::filesystem::rename(fresh, path, error);
  if (!out || error) return core::DataLoss("cannot write `" + path + "`");
  return core::OkStatus();
}

void AddEvidenceCommands(CLI::App& group, Session& session) {
  AddEvidence(group, session);
  auto index = std::make_shared<std::int64_t>(-1);
  auto since = std::make_shared<std::int64_t>(0);
  CLI::App* proof = group.add_subcommand("proof", "Print a proof that an entry is in the log");
  proof->add_option("INDEX", *index)->check(CLI::NonNegativeNumber);
  proof->add_option("--since", *since, "Instead: that the log continues the one of this size")
      ->check(CLI::PositiveNumber);
  Does(proof, session, [&session, index, since] {
    if ((*index < 0) == (*since == 0)) {
      return Fail(session, core::InvalidArgument("give either an index or --since SIZE"));
    }
    return Proof(session, *index, *since);
  });
  auto path = std::make_shared<std::string>();
  auto folder = std::make_shared<std::string>();
  CLI::App* tiles = group.add_subcommand("export", "Write a log as files that other tools read");
  tiles->add_option("DIR", *path, "A tenant's folder, a data folder, or audit.db")->required();
  tiles->add_option("--tiles", *folder, "C2SP tlog-tiles folder to make")->required();
  Does(tiles, session, [&session, path, folder] { return Export(session, *path, *folder); });
}

}  // namespace interlock::runtime::cli
