// A signer in this process. Its memory of what it signed lives beside its key, apart from the
// database, so that a log that was rolled back or rewritten gets no second signature.
#include "file_signer.h"

#include <sodium.h>
#include <unistd.h>

#include <cstdio>
#include <map>
#include <mutex>
#include <optional>

#include "audit/checkpoint.h"
#include "audit/merkle.h"
#include "entry_text.h"
#include "head_file.h"
#include "private_file.h"
#include "rotation_check.h"
#include "signing_key.h"
#include "succession.h"

namespace interlock::audit {
namespace {

constexpr std::string_view kKeyFile = "/signer.key";
constexpr std::string_view kNextFile = "/signer.key.next";
constexpr std::string_view kRetiredFile = "/signer.retired-";  // and a number: one key a file
constexpr int kRetiredMax = 1000;
constexpr std::size_t kOpenHeadsMax =
    16;  // files kept open; logs that follow each other have one each

core::Status CheckContinues(const SignedHead& last, const SignRequest& request) {
  if (request.size == 0 && request.root != EmptyRoot()) {
    return core::InvalidArgument("the tree of no entries has another root");
  }
  const std::string size = std::to_string(request.size);
  const std::string before = std::to_string(last.size);
  if (request.size < last.size) {
    return core::FailedPrecondition("signer refuses size " + size + ": it signed size " + before +
                                    " before, so the log lost entries");
  }
  if (request.size == last.size) {
    if (last.turn == 0 || request.root == last.root) return core::OkStatus();
    return core::FailedPrecondition("signer refuses another root for size " + size +
                                    ": the log was rewritten");
  }
  if (last.size == 0) return core::OkStatus();  // every tree continues the empty one
  if (!request.prove) return core::InvalidArgument("the signer asks for a consistency proof");
  INTERLOCK_ASSIGN_OR_RETURN(const std::vector<core::Digest> proof,
                             request.prove(last.size, request.size));
  if (ConsistencyHolds({last.size, last.root, request.size, request.root}, proof)) {
    return core::OkStatus();
  }
  return core::FailedPrecondition("signer refuses size " + size +
                                  ": it does not continue the tree of size " + before +
                                  " that it signed before, so the log was rewritten");
}

bool Holds(const RotationProof& proof) {
  const InclusionClaim claim{LeafHash(proof.entry), proof.index, proof.head.size, proof.head.root};
  return InclusionHolds(claim, proof.inclusion);
}

// The entry as the handing over of one key to another; both signed it.
core::StatusOr<std::pair<std::string, std::string>> KeysOf(const RotationProof& proof,
                                                           const ParsedEntry& entry) {
  const core::Status bad =
      core::PermissionDenied("no entry that hands over to another key was shown to the signer");
  if (entry.kind != kRotatedKind || entry.envelope.index != proof.index) return bad;
  const auto body = core::JsonObjectView::Of(entry.body);
  const auto old_key = body.ok() ? body->String("old_key") : std::nullopt;
  if (!old_key) return bad;
  auto new_key = RotatedKey(entry.body, *old_key);
  if (!new_key) return bad;
  if (!Holds(proof)) {
    return core::PermissionDenied("the entry that hands over to another key is not in the tree");
  }
  return std::pair(*old_key, *std::move(new_key));
}

// The origin of the log that the entry opens the way for: the one after that of the head, which
// ends with this entry.
core::StatusOr<std::string> SuccessorIn(const RotationProof& proof, const ParsedEntry& entry,
                                        std::string_view base) {
  const auto number = LogNumber(proof.head.origin, base);
  const auto body = core::JsonObjectView::Of(entry.body);
  auto next = body.ok() ? body->String("next") : std::nullopt;
  if (!number || !next || *next != OriginOf(base, *number + 1) ||
      entry.envelope.index != proof.index || proof.index + 1 != proof.head.size) {
    return core::PermissionDenied("no entry that closes log `" + std::string(proof.head.origin) +
                                  "` was shown to the signer");
  }
  if (!Holds(proof)) {
    return core::PermissionDenied("the entry that closes the log is not in the tree");
  }
  return *std::move(next);
}

class FileSigner final : public Signer {
 public:
  FileSigner(std::string folder, std::string name, Successors successors, SigningKey key,
             std::vector<std::string> retired)
      : folder_(std::move(folder)),
        name_(std::move(name)),
        successors_(successors),
        key_(std::move(key)),
        retired_(std::move(retired)) {}

  core::StatusOr<Checkpoint> Sign(const SignRequest& request) override {
    const std::string_view origin = request.origin;
    if (origin.empty() || origin.find('\n') != std::string_view::npos) {
      return core::InvalidArgument("a checkpoint's origin is one line of text");
    }
    const std::lock_guard lock(mutex_);
    INTERLOCK_RETURN_IF_ERROR(CheckMayBegin(origin));
    INTERLOCK_ASSIGN_OR_RETURN(HeadFile * file, FileOf(origin));
    INTERLOCK_RETURN_IF_ERROR(CheckContinues(file->last(), request));
    return Remember(*file, request);
  }

  core::StatusOr<std::optional<Checkpoint>> LastHead(std::string_view origin) override {
    const std::lock_guard lock(mutex_);
    if (!HasHead(origin)) return std::optional<Checkpoint>();
    INTERLOCK_ASSIGN_OR_RETURN(const HeadFile* file, FileOf(origin));
    const SignedHead& last = file->last();
    if (last.size == 0) return std::optional<Checkpoint>();
    return std::optional(Checkpoint{std::string(origin), last.size, last.root, {}});
  }

  std::string verifier_key() const override {
    const std::lock_guard lock(mutex_);
    return key_.verifier_key();
  }
  std::vector<std::string> verifier_keys() const override {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> keys = retired_;
    keys.push_back(key_.verifier_key());
    return keys;
  }
  bool independent() const override { return false; }

  core::StatusOr<KeyRotation> BeginRotation() override {
    const std::lock_guard lock(mutex_);
    INTERLOCK_ASSIGN_OR_RETURN(const SigningKey next,
                               SigningKey::ReadOrMake(Path(kNextFile), name_));
    KeyRotation rotation{key_.verifier_key(), next.verifier_key(), {}, {}};
    const std::string text = RotationText(rotation.old_key, rotation.new_key);
    rotation.old_signature = key_.Sign(text);
    rotation.new_signature = next.Sign(text);
    return rotation;
  }

  core::StatusOr<Checkpoint> FinishRotation(const RotationProof& proof) override {
    const auto entry = ParseEntry(proof.entry);
    if (!entry) return core::PermissionDenied("no entry of a log was shown to the signer");
    const std::lock_guard lock(mutex_);
    return entry->kind == kClosedKind ? FinishLog(proof, *entry) : FinishKey(proof, *entry);
  }

  // Keys of `<folder>/signer.retired-<n>`, oldest first, without the present one.
  static core::StatusOr<std::vector<std::string>> ReadRetired(const std::string& folder,
                                                              const std::string& present) {
    std::vector<std::string> keys;
    for (int i = 0; i < kRetiredMax; ++i) {
      auto text = ReadPrivateFile(folder + std::string(kRetiredFile) + std::to_string(i));
      if (text.status().code() == core::StatusCode::kNotFound) break;
      if (!text.ok()) return text.status();
      if (!text->empty() && text->back() == '\n') text->pop_back();
      INTERLOCK_RETURN_IF_ERROR(ParseVerifierKey(*text).status());
      if (*text != present) keys.push_back(*std::move(text));
    }
    return keys;
  }

 private:
  // Precondition: the head continues the last one.
  core::StatusOr<Checkpoint> Remember(HeadFile& file, const SignRequest& head) const {
    if (head.size != file.last().size || file.last().turn == 0) {
      INTERLOCK_RETURN_IF_ERROR(file.Store(head.size, head.root));
    }
    const std::string text = CheckpointText(head.origin, head.size, head.root);
    return Checkpoint{std::string(head.origin), head.size, head.root, key_.Note(text)};
  }

  // The file of a log of which something was signed. The head continues that.
  core::StatusOr<HeadFile*> FileOfContinued(const SignRequest& head) {
    const core::Status unknown =
        core::PermissionDenied("the signer signed nothing of this log before");
    if (!HasHead(head.origin)) return unknown;
    INTERLOCK_ASSIGN_OR_RETURN(HeadFile * file, FileOf(head.origin));
    if (file->last().turn == 0) return unknown;
    INTERLOCK_RETURN_IF_ERROR(CheckContinues(file->last(), head));
    return file;
  }

  core::StatusOr<Checkpoint> FinishKey(const RotationProof& proof, const ParsedEntry& entry) {
    INTERLOCK_ASSIGN_OR_RETURN(const auto keys, KeysOf(proof, entry));
    INTERLOCK_ASSIGN_OR_RETURN(HeadFile * file, FileOfContinued(proof.head));
    if (keys.second != key_.verifier_key()) {
      if (keys.first != key_.verifier_key()) {
        return core::FailedPrecondition("the entry hands over from another key than the signer's");
      }
      INTERLOCK_RETURN_IF_ERROR(TakeNext(keys.second));
    }
    return Remember(*file, proof.head);
  }

  // The successor's file, with the head of no entries, says that it may begin.
  core::StatusOr<Checkpoint> FinishLog(const RotationProof& proof, const ParsedEntry& entry) {
    INTERLOCK_ASSIGN_OR_RETURN(const std::string next, SuccessorIn(proof, entry, name_));
    INTERLOCK_ASSIGN_OR_RETURN(HeadFile * file, FileOfContinued(proof.head));
    INTERLOCK_ASSIGN_OR_RETURN(Checkpoint checkpoint, Remember(*file, proof.head));
    INTERLOCK_ASSIGN_OR_RETURN(HeadFile * successor, FileOf(next));
    if (successor->last().turn == 0) {
      INTERLOCK_RETURN_IF_ERROR(successor->Store(0, EmptyRoot()));
    }
    return checkpoint;
  }

  // The first log of a name begins when it is first seen; a later one when its turn has come.
  core::Status CheckMayBegin(std::string_view origin) {
    const auto number = LogNumber(origin, name_);
    if (successors_ == Successors::kAny || !number || *number == 1) return core::OkStatus();
    INTERLOCK_ASSIGN_OR_RETURN(const bool known, IsKnown(origin));
    if (known) return core::OkStatus();
    const std::string before = OriginOf(name_, *number - 1);
    INTERLOCK_ASSIGN_OR_RETURN(const bool follows, IsKnown(before));
    if (follows && successors_ == Successors::kRestored) return core::OkStatus();
    return core::PermissionDenied(
        "signer refuses log `" + std::string(origin) + "`: nobody showed it that `" + before +
        "` was closed; after `audit rotate --restored` start the signer once with "
        "--allow-restored");
  }

  core::StatusOr<bool> IsKnown(std::string_view origin) {
    if (!HasHead(origin)) return false;
    INTERLOCK_ASSIGN_OR_RETURN(const HeadFile* file, FileOf(origin));
    return file->last().turn > 0;
  }

  core::Status TakeNext(const std::string& new_key) {
    auto next = SigningKey::Read(Path(kNextFile), name_);
    if (next.status().code() == core::StatusCode::kNotFound ||
        (next.ok() && next->verifier_key() != new_key)) {
      return core::FailedPrecondition("the signer has no next key `" + std::string(new_key) + "`");
    }
    if (!next.ok()) return next.status();
    // The retired key is on record before the next one takes its place.
    const std::string old_key = key_.verifier_key();
    const std::string record = Path(kRetiredFile) + std::to_string(retired_.size());
    if (retired_.size() >= static_cast<std::size_t>(kRetiredMax)) {
      return core::ResourceExhausted("the signer's folder has 1000 retired keys");
    }
    ::unlink(record.c_str());  // of a rotation that a crash cut short: the same key
    INTERLOCK_RETURN_IF_ERROR(CreatePrivateFile(record, old_key + "\n"));
    if (std::rename(Path(kNextFile).c_str(), Path(kKeyFile).c_str()) != 0) {
      return ErrnoStatus("cannot put in place", Path(kKeyFile));
    }
    INTERLOCK_RETURN_IF_ERROR(SyncFolder(folder_));
    retired_.push_back(old_key);
    key_ = *std::move(next);
    return core::OkStatus();
  }

  std::string Path(std::string_view file) const { return folder_ + std::string(file); }

  std::string HeadPath(std::string_view origin) const {
    return Path("/head-" + core::Hex(core::Sha256(origin)).substr(0, 16));
  }

  // Asking leaves no file behind.
  bool HasHead(std::string_view origin) const {
    return ::access(HeadPath(origin).c_str(), F_OK) == 0;
  }

  core::StatusOr<HeadFile*> FileOf(std::string_view origin) {
    const auto found = heads_.find(origin);
    if (found != heads_.end()) return &found->second;
    if (heads_.size() >= kOpenHeadsMax) heads_.clear();
    INTERLOCK_ASSIGN_OR_RETURN(HeadFile file, HeadFile::Open(HeadPath(origin)));
    return &heads_.emplace(std::string(origin), std::move(file)).first->second;
  }

  const std::string folder_;
  const std::string name_;
  const Successors successors_;
  mutable std::mutex mutex_;
  SigningKey key_;
  std::vector<std::string> retired_;
  std::map<std::string, HeadFile, std::less<>> heads_;
};

}  // namespace

core::StatusOr<std::unique_ptr<Signer>> OpenFileSigner(const std::string& folder,
                                                       std::string_view name,
                                                       Successors successors) {
  if (sodium_init() < 0) return core::Internal("libsodium does not start");
  if (!IsKeyName(name)) {
    return core::InvalidArgument("signer name `" + std::string(name) +
                                 "` is empty or has spaces or plus signs");
  }
  INTERLOCK_RETURN_IF_ERROR(MakeFolder(folder));
  INTERLOCK_ASSIGN_OR_RETURN(SigningKey key,
                             SigningKey::ReadOrMake(folder + std::string(kKeyFile), name));
  INTERLOCK_ASSIGN_OR_RETURN(std::vector<std::string> retired,
                             FileSigner::ReadRetired(folder, key.verifier_key()));
  return std::unique_ptr<Signer>(std::make_unique<FileSigner>(folder, std::string(name), successors,
                                                              std::move(key), std::move(retired)));
}

core::StatusOr<std::unique_ptr<Signer>> OpenFileSigner(const std::string& folder,
                                                       std::string_view name) {
  return OpenFileSigner(folder, name, Successors::kAny);
}

}  // namespace interlock::audit
