// Writing a bundle. Checking one is bundle_check.cc.
#include "audit/bundle.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "audit/tar.h"
#include "bundle_form.h"
#include "commitments.h"
#include "core/json.h"
#include "entry_text.h"

namespace interlock::audit {
namespace {

using Key = std::pair<std::uint64_t, int>;  // entry index, slot

struct Row {
  const BundleEntry* entry = nullptr;
  ParsedEntry parsed;
};

core::StatusOr<std::vector<Row>> Sorted(const BundleContents& contents) {
  std::vector<Row> rows;
  for (const BundleEntry& entry : contents.entries) {
    const auto parsed = ParseEntry(entry.bytes);
    if (!parsed || parsed->envelope.index != entry.index) {
      return core::InvalidArgument("entry " + std::to_string(entry.index) + " is not what it says");
    }
    rows.push_back({&entry, *parsed});
  }
  std::sort(rows.begin(), rows.end(),
            [](const Row& a, const Row& b) { return a.entry->index < b.entry->index; });
  return rows;
}

core::Json FieldsJson(const std::vector<BundleField>& fields) {
  core::Json out = core::Json::object();
  for (const BundleField& field : fields) {
    out[field.name] = {{"salt", core::Hex(field.salt)}, {"value", field.value}};
  }
  return out;
}

// The fields that were committed to and are not shown.
core::Json WithheldJson(const NamedCommitment& commitment, const std::vector<BundleField>& shown) {
  core::Json out = core::Json::array();
  for (const auto& [name, hex] : commitment.fields) {
    const auto is_it = [name = name](const BundleField& field) { return field.name == name; };
    if (std::none_of(shown.begin(), shown.end(), is_it)) out.push_back(std::string(name));
  }
  return out;
}

core::Json PayloadJson(const Key& key, const NamedCommitment& commitment,
                       const BundlePayload* payload) {
  core::Json out = {{"entry", key.first}, {"slot", key.second}, {"state", "withheld"}};
  if (payload == nullptr) return out;
  switch (payload->state) {
    case BundlePayload::State::kDisclosed:
      out["state"] = "disclosed";
      out["media"] = payload->media;
      out["salt"] = core::Hex(payload->salt);
      break;
    case BundlePayload::State::kFields:
      out["state"] = "fields";
      out["fields"] = FieldsJson(payload->fields);
      out["withheld"] = WithheldJson(commitment, payload->fields);
      break;
    case BundlePayload::State::kErased:
      out["state"] = "erased";
      out["by"] = payload->erased_by;
      if (!payload->erased_in.empty()) out["log"] = payload->erased_in;
      break;
    case BundlePayload::State::kWithheld:
      break;
  }
  return out;
}

// One record for every commitment, in entry and slot order.
core::Json PayloadRecords(const BundleContents& contents, const std::vector<Row>& rows,
                          std::vector<TarFile>& files) {
  std::map<Key, const BundlePayload*> given;
  for (const BundlePayload& payload : contents.payloads) {
    given[{payload.entry_index, payload.slot}] = &payload;
  }
  core::Json records = core::Json::array();
  for (const Row& row : rows) {
    for (const NamedCommitment& commitment : CommitmentsIn(row.entry->bytes)) {
      const Key key{row.entry->index, commitment.slot};
      const auto found = given.find(key);
      const BundlePayload* payload = found == given.end() ? nullptr : found->second;
      records.push_back(PayloadJson(key, commitment, payload));
      if (payload != nullptr && payload->state == BundlePayload::State::kDisclosed) {
        files.push_back({PayloadFile(key.first, key.second), payload->content});
      }
    }
  }
  return records;
}

core::Json ScopeJson(const BundleContents& contents, const std::vector<Row>& rows) {
  if (contents.run.empty()) {
    return {{"complete", false},
            {"query", contents.query},
            {"run", ""},
            {"statement", ScopeStatement(false, false)}};
  }
  bool complete = false;
  for (const Row& row : rows) {
    if (row.parsed.run == contents.run) complete = EndsRun(row.parsed.kind);
  }
  return {{"complete", complete},
          {"query", ""},
          {"run", contents.run},
          {"statement", ScopeStatement(true, complete)}};
}

core::Json NotKept(const std::vector<Row>& rows, const std::set<std::string>& kept) {
  std::set<std::string> missing;
  for (const Row& row : rows) {
    for (const std::string& name : CitesOf(row.entry->bytes)) {
      if (kept.count(name) == 0) missing.insert(name);
    }
  }
  return core::Json(missing);
}

void AddConsistency(const BundleContents& contents, std::vector<TarFile>& files) {
  for (std::size_t i = 0; i < contents.consistency.size(); ++i) {
    files.push_back(
        {"consistency/" + std::to_string(i) + ".txt", ConsistencyBody(contents.consistency[i])});
  }
}

}  // namespace

std::vector<std::string> DigestNamesIn(std::string_view text) {
  constexpr std::string_view kPrefix = "sha256:";
  std::set<std::string> names;
  for (std::size_t at = text.find(kPrefix); at != std::string_view::npos;
       at = text.find(kPrefix, at + 1)) {
    const std::string_view hex = text.substr(at + kPrefix.size(), 64);
    if (core::DigestFromHex(hex).ok()) names.insert(std::string(text.substr(at, 71)));
  }
  return {names.begin(), names.end()};
}

std::vector<std::string> PartsNamedIn(std::string_view text) {
  constexpr std::string_view kMember = R"("sha256":")";
  std::set<std::string> names;
  for (std::size_t at = text.find(kMember); at != std::string_view::npos;
       at = text.find(kMember, at + 1)) {
    const std::string_view value = text.substr(at + kMember.size(), 72);
    const std::vector<std::string> name = DigestNamesIn(value);
    if (!name.empty() && value == name.front() + "\"") names.insert(name.front());
  }
  return {names.begin(), names.end()};
}

std::vector<std::string> CitesOf(std::string_view entry_bytes) {
  const auto entry = ParseEntry(entry_bytes);
  return entry ? DigestNamesIn(entry->cites) : std::vector<std::string>();
}

core::StatusOr<std::string> MakeBundle(const BundleContents& contents) {
  if (contents.query.size() > kClaimBytesMax || contents.made_by.size() > kClaimBytesMax) {
    return core::InvalidArgument("a bundle's query has at most 4096 bytes; ask for less at once");
  }
  INTERLOCK_ASSIGN_OR_RETURN(const std::vector<Row> rows, Sorted(contents));
  std::vector<TarFile> files;
  for (const Row& row : rows) {
    const BundleEntry& entry = *row.entry;
    files.push_back({EntryFile(entry.index), entry.bytes});
    files.push_back(
        {ProofFile(entry.index), ProofText({entry.index, entry.hashes, contents.checkpoint_note})});
  }
  std::set<std::string> kept;
  for (const std::string& blob : contents.blobs) {
    const core::Digest digest = core::Sha256(blob);
    if (kept.insert(core::DigestName(digest)).second) {
      files.push_back({"blobs/" + core::Hex(digest), blob});
    }
  }
  files.push_back({std::string(kCheckpointName), contents.checkpoint_note});
  files.push_back({std::string(kKeysName), KeysText(contents.keys)});
  files.push_back({std::string(kReadmeName), std::string(BundleReadme())});
  AddConsistency(contents, files);
  core::Json manifest = {{"bundle", kBundleFormat},
                         {"made_by", contents.made_by},
                         {"not_kept", NotKept(rows, kept)},
                         {"payloads", PayloadRecords(contents, rows, files)},
                         {"scope", ScopeJson(contents, rows)},
                         {"tenant", contents.tenant}};
  manifest["files"] = core::Json::object();
  for (const TarFile& file : files) {
    manifest["files"][file.name] = core::Hex(core::Sha256(file.bytes));
  }
  files.push_back({std::string(kManifestName), core::CanonicalJson(manifest)});
  return WriteTar(std::move(files));
}

}  // namespace interlock::audit
