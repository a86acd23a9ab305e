#include "engine/replay_inputs.h"

#include <algorithm>

#include "core/check.h"
#include "core/digest.h"

namespace interlock::runtime {
namespace {

class NamedKey final : public audit::SubjectKey {
 public:
  explicit NamedKey(std::string id) : id_(std::move(id)) {}
  const std::string& key_id() const override { return id_; }

 private:
  const std::string id_;
};

core::Status OnlyReads() { return core::FailedPrecondition("replay changes nothing"); }

void Replace(std::string& text, const core::Digest& mark, const core::Digest& by) {
  const std::string hex = core::Hex(mark);
  const std::size_t at = text.find(hex);
  if (at != std::string::npos) text.replace(at, hex.size(), core::Hex(by));
}

// The bytes of a UUID's text; of anything else zeros.
std::vector<std::uint8_t> BytesOfUuid(std::string text) {
  std::vector<std::uint8_t> bytes(16);
  if (!core::IsUuid(text)) return bytes;
  std::erase(text, '-');
  for (std::size_t i = 0; i + 1 < text.size() && i / 2 < bytes.size(); i += 2) {
    bytes[i / 2] = static_cast<std::uint8_t>(std::stoul(text.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

}  // namespace

core::Digest ReplayKeys::NextMark() {
  return core::Sha256("interlock/replay/" + std::to_string(marks_++));
}

audit::SealedPayload ReplayKeys::Seal(const audit::SubjectKey& key, std::string_view media,
                                      std::string_view plaintext) {
  audit::SealedPayload payload;
  payload.key_id = key.key_id();
  payload.commitment = NextMark();
  payload.media = media;
  payload.plain_bytes = plaintext.size();
  contents_[payload.commitment].plaintext = plaintext;
  return payload;
}

audit::SealedPayload ReplayKeys::SealFields(const audit::SubjectKey& key, std::string_view media,
                                            std::string_view plaintext,
                                            std::span<const audit::PayloadField> fields,
                                            std::vector<core::Digest>& commitments) {
  audit::SealedPayload payload = Seal(key, media, plaintext);
  Content& content = contents_[payload.commitment];
  for (const audit::PayloadField& field : fields) {
    content.fields.emplace_back(field.name, field.value);
    content.marks.push_back(NextMark());
  }
  commitments = content.marks;
  return payload;
}

void ReplayKeys::CommitWith(const audit::SealedPayload& sealed, std::string_view salt,
                            std::string& body) const {
  const auto at = contents_.find(sealed.commitment);
  INTERLOCK_CHECK(at != contents_.end());
  const Content& content = at->second;
  Replace(body, at->first, audit::Commitment(salt, sealed.media, content.plaintext));
  for (std::size_t i = 0; i < content.fields.size(); ++i) {
    const auto& [name, value] = content.fields[i];
    Replace(body, content.marks[i],
            audit::FieldCommitment(core::AsBytes(audit::FieldSalt(salt, name)), {name, value}));
  }
}

const std::string& ReplayKeys::ContentOf(const audit::SealedPayload& sealed) const {
  const auto at = contents_.find(sealed.commitment);
  INTERLOCK_CHECK(at != contents_.end());
  return at->second.plaintext;
}

std::shared_ptr<const audit::SubjectKey> ReplayKeys::KeyOfId(std::string key_id) {
  return std::make_shared<NamedKey>(std::move(key_id));
}

core::StatusOr<std::shared_ptr<const audit::SubjectKey>> ReplayKeys::KeyFor(std::string_view) {
  return OnlyReads();
}
core::StatusOr<audit::OpenedPayload> ReplayKeys::Open(const audit::SealedPayload&) {
  return OnlyReads();
}
core::StatusOr<std::string> ReplayKeys::KeyIdOf(std::string_view) { return OnlyReads(); }
core::Status ReplayKeys::DestroyKey(std::string_view) { return OnlyReads(); }
core::Status ReplayKeys::NoteErasure(std::string_view) { return OnlyReads(); }
core::StatusOr<std::vector<std::string>> ReplayKeys::UnfinishedErasures() { return OnlyReads(); }
core::Status ReplayKeys::FinishErasure(std::string_view) { return OnlyReads(); }
core::StatusOr<std::int64_t> ReplayKeys::TextGeneration() { return OnlyReads(); }
core::StatusOr<std::int64_t> ReplayKeys::NextTextGeneration() { return OnlyReads(); }

// What NewUuidV7 asks for: the ten bytes behind the time, then the time.
void ReplayRandom::Fill(std::span<std::uint8_t> out) {
  std::fill(out.begin(), out.end(), std::uint8_t{0});
  if (ids_.empty() || out.size() != 10) return;
  const std::vector<std::uint8_t> bytes = BytesOfUuid(ids_.front());
  ids_.pop_front();
  std::copy(bytes.begin() + 6, bytes.end(), out.begin());
  std::int64_t ms = 0;
  for (std::size_t i = 0; i < 6; ++i) ms = ms * 256 + bytes[i];
  clock_.MakeIdAt(ms);
}

}  // namespace interlock::runtime
