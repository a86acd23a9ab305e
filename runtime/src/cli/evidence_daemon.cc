// Parts of a bundle from a running daemon.
#include <algorithm>

#include "cli/evidence_source.h"

namespace interlock::runtime::cli {
namespace {

constexpr int kEntriesPage = 1000;

using Audit = wire::AuditService::Stub;

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

EvidenceEntry EntryOf(const wire::Entry& entry) {
  return {static_cast<std::uint64_t>(entry.index()), entry.kind(), entry.entry_json()};
}

audit::BundlePayload PayloadOf(std::uint64_t index, const wire::DisclosedPayload& shown) {
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
  if (shown.erased()) payload.state = State::kErased;
  return payload;
}

class DaemonSource final : public EvidenceSource {
 public:
  DaemonSource(Client& client, std::string origin) : client_(client), origin_(std::move(origin)) {}

  core::StatusOr<std::string> Tenant() override { return client_.endpoint().tenant; }

  core::StatusOr<EvidenceHead> NewestHead() override { return Head({}); }
  core::StatusOr<EvidenceHead> CosignedHead() override {
    wire::GetCheckpointRequest request;
    request.set_cosigned(true);
    return Head(request);
  }

  core::Status EachEntry(const EvidenceRange& range,
                         const std::function<core::Status(const EvidenceEntry&)>& take) override {
    wire::ListEntriesRequest request;
    request.set_parent(client_.parent());
    request.set_page_size(kEntriesPage);
    if (!range.run.empty()) {
      request.set_run(client_.Name("runs", range.run));
    } else {
      request.set_start_index(static_cast<std::int64_t>(range.first));
      if (range.end != EvidenceRange().end) {
        request.set_end_index(static_cast<std::int64_t>(range.end));
      }
    }
    do {
      INTERLOCK_ASSIGN_OR_RETURN(const auto page,
                                 client_.Call(client_.audit, &Audit::ListEntries, request));
      for (const wire::Entry& entry : page.entries()) {
        INTERLOCK_RETURN_IF_ERROR(take(EntryOf(entry)));
      }
      request.set_page_token(page.next_page_token());
    } while (!request.page_token().empty());
    return core::OkStatus();
  }

  core::StatusOr<EvidenceEntry> EntryAt(std::uint64_t index) override {
    INTERLOCK_ASSIGN_OR_RETURN(const wire::Entry entry, Get(RequestFor(index)));
    return EntryOf(entry);
  }

  core::StatusOr<std::vector<int>> ErasedSlots(std::uint64_t index) override {
    wire::GetEntryRequest request = RequestFor(index);
    request.set_show_erased(true);
    INTERLOCK_ASSIGN_OR_RETURN(const wire::Entry entry, Get(request));
    return std::vector<int>(entry.erased_slots().slots().begin(),
                            entry.erased_slots().slots().end());
  }

  core::Status EachCall(const std::string& filter,
                        const std::function<bool(const EvidenceCall&)>& take) override {
    wire::QueryCallsRequest query;
    query.set_parent(client_.parent());
    query.set_filter(filter);
    query.set_page_size(kEntriesPage);
    do {
      INTERLOCK_ASSIGN_OR_RETURN(const auto page,
                                 client_.Call(client_.audit, &Audit::QueryCalls, query));
      for (const wire::AuditedCall& call : page.calls()) {
        const bool more = take({IdOf(call.name()), call.run().empty() ? "" : IdOf(call.run()),
                                static_cast<std::uint64_t>(call.proposed_index())});
        if (!more) return core::OkStatus();
      }
      query.set_page_token(page.next_page_token());
    } while (!query.page_token().empty());
    return core::OkStatus();
  }

  core::StatusOr<std::vector<core::Digest>> InclusionProof(std::uint64_t index,
                                                           std::uint64_t size) override {
    wire::GetInclusionProofRequest request;
    request.set_name(client_.Name("entries", std::to_string(index)));
    request.set_tree_size(static_cast<std::int64_t>(size));
    request.set_log(origin_);
    INTERLOCK_ASSIGN_OR_RETURN(const auto proof,
                               client_.Call(client_.audit, &Audit::GetInclusionProof, request));
    return DigestsOf(proof.hashes());
  }

  core::StatusOr<std::vector<core::Digest>> ConsistencyProof(std::uint64_t old_size,
                                                             std::uint64_t size) override {
    wire::GetConsistencyProofRequest request;
    request.set_parent(client_.parent());
    request.set_old_tree_size(static_cast<std::int64_t>(old_size));
    request.set_tree_size(static_cast<std::int64_t>(size));
    request.set_log(origin_);
    INTERLOCK_ASSIGN_OR_RETURN(const auto proof,
                               client_.Call(client_.audit, &Audit::GetConsistencyProof, request));
    return DigestsOf(proof.hashes());
  }

  core::StatusOr<std::string> Blob(const std::string& digest_name) override {
    wire::GetBlobRequest request;
    request.set_parent(client_.parent());
    request.set_digest(digest_name);
    INTERLOCK_ASSIGN_OR_RETURN(const auto blob,
                               client_.Call(client_.audit, &Audit::GetBlob, request));
    return blob.content();
  }

  core::StatusOr<std::vector<audit::BundlePayload>> Disclose(std::uint64_t index,
                                                             const std::vector<std::string>& fields,
                                                             const std::string& reason) override {
    return DiscloseFrom(client_, {index, fields, reason, origin_});
  }

  // The open log says itself what it lost.
  core::StatusOr<bool> EachErasureElsewhere(
      const std::function<core::Status(const std::string&, const EvidenceEntry&)>&) override {
    return true;
  }

 private:
  wire::GetEntryRequest RequestFor(std::uint64_t index) const {
    wire::GetEntryRequest request;
    request.set_name(client_.Name("entries", std::to_string(index)));
    return request;
  }
  core::StatusOr<wire::Entry> Get(const wire::GetEntryRequest& request) {
    return client_.Call(client_.audit, &Audit::GetEntry, request);
  }

  core::StatusOr<EvidenceHead> Head(wire::GetCheckpointRequest request) {
    request.set_parent(client_.parent());
    request.set_log(origin_);
    INTERLOCK_ASSIGN_OR_RETURN(const wire::Checkpoint head,
                               client_.Call(client_.audit, &Audit::GetCheckpoint, request));
    return EvidenceHead{head.note(), head.verifier_key(),
                        static_cast<std::uint64_t>(head.tree_size())};
  }

  Client& client_;
  const std::string origin_;
};

}  // namespace

core::StatusOr<std::vector<audit::BundlePayload>> DiscloseFrom(const Client& client,
                                                               const DisclosureWish& wish) {
  wire::DisclosePayloadsRequest request;
  request.set_name(client.Name("entries", std::to_string(wish.index)));
  request.set_reason(wish.reason);
  request.set_log(wish.log);
  for (const std::string& field : wish.fields) request.add_fields(field);
  INTERLOCK_ASSIGN_OR_RETURN(const auto response,
                             client.Call(client.audit, &Audit::DisclosePayloads, request));
  std::vector<audit::BundlePayload> out;
  for (const wire::DisclosedPayload& shown : response.payloads()) {
    out.push_back(PayloadOf(wish.index, shown));
  }
  return out;
}

std::unique_ptr<EvidenceSource> EvidenceFromDaemon(Client& client, std::string origin) {
  return std::make_unique<DaemonSource>(client, std::move(origin));
}

}  // namespace interlock::runtime::cli
