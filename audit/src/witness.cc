#include "audit/witness.h"

#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <mutex>

#include "audit/checkpoint.h"
#include "audit/cosignature.h"
#include "audit/merkle.h"
#include "audit/proof.h"
#include "folder_lock.h"
#include "note_key.h"
#include "note_text.h"
#include "private_file.h"
#include "succession.h"

namespace interlock::audit {
namespace {

constexpr std::string_view kKeyFile = "/witness.key";  // 64 hex characters: the Ed25519 seed

WitnessReply Refuse(int status, std::string_view why) {
  return {status, "text/plain; charset=utf-8", std::string(why) + "\n"};
}

// Replaces a file as a whole: after a crash the old or the new one is there.
core::Status ReplaceFile(const std::string& folder, const std::string& path,
                         std::string_view bytes) {
  const std::string fresh = path + ".new";
  {
    const UniqueFd fd(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!fd.valid()) return ErrnoStatus("cannot make", fresh);
    if (::write(fd.get(), bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) {
      return ErrnoStatus("cannot write", fresh);
    }
    if (::fsync(fd.get()) != 0) return ErrnoStatus("cannot sync", fresh);
  }
  if (::rename(fresh.c_str(), path.c_str()) != 0) return ErrnoStatus("cannot rename to", path);
  return SyncFolder(folder);
}

core::StatusOr<std::string> LoadSeed(const std::string& path) {
  auto text = ReadPrivateFile(path);
  if (text.status().code() == core::StatusCode::kNotFound) {
    std::string seed(crypto_sign_SEEDBYTES, '\0');
    randombytes_buf(seed.data(), seed.size());
    INTERLOCK_RETURN_IF_ERROR(CreatePrivateFile(path, core::Hex(seed)));
    return seed;
  }
  if (!text.ok()) return text.status();
  auto seed = core::BytesFromHex(*text);
  if (!seed.ok() || seed->size() != crypto_sign_SEEDBYTES) {
    return core::InvalidArgument("`" + path + "` is not a witness's key");
  }
  return seed;
}

class WitnessImpl final : public Witness {
 public:
  WitnessImpl(WitnessOptions options, FolderLock lock)
      : options_(std::move(options)), lock_(std::move(lock)) {}
  ~WitnessImpl() override { sodium_memzero(secret_key_.data(), secret_key_.size()); }

  core::Status Start() {
    INTERLOCK_ASSIGN_OR_RETURN(std::string seed, LoadSeed(options_.folder + std::string(kKeyFile)));
    std::string public_key(crypto_sign_PUBLICKEYBYTES, '\0');
    crypto_sign_seed_keypair(reinterpret_cast<unsigned char*>(public_key.data()),
                             reinterpret_cast<unsigned char*>(secret_key_.data()),
                             reinterpret_cast<const unsigned char*>(seed.data()));
    sodium_memzero(seed.data(), seed.size());
    key_ = MakeNoteKey(options_.name, public_key, SignatureType::kCosignature);
    for (const std::string& text : options_.log_keys) {
      INTERLOCK_ASSIGN_OR_RETURN(const NoteKey key, ParseVerifierKey(text));
      logs_.emplace(key.name, text);
    }
    return core::OkStatus();
  }

  std::string verifier_key() const override {
    return VerifierKeyText(key_, SignatureType::kCosignature);
  }

  WitnessReply AddCheckpoint(std::string_view body) override {
    if (body.size() > kWitnessRequestBytesMax) return Refuse(400, "the request is too long");
    const auto request = ParseConsistency(body);
    if (!request.ok()) return Refuse(400, core::Message(request.status()));
    const auto claimed = ReadCheckpoint(request->note);
    if (!claimed.ok()) return Refuse(400, core::Message(claimed.status()));
    const auto head = OpenAsLog(*claimed);
    if (!head.ok()) {
      const bool unknown = head.status().code() == core::StatusCode::kNotFound;
      return Refuse(unknown ? 404 : 403, core::Message(head.status()));
    }
    if (request->old_size > head->size) return Refuse(400, "the old size is above the new one");
    const std::lock_guard lock(mutex_);
    return Judge(*request, *head);
  }

 private:
  // A log may have had several keys; any of them will do, and signs for the logs that follow too.
  core::StatusOr<Checkpoint> OpenAsLog(const Checkpoint& claimed) const {
    core::StatusOr<Checkpoint> opened = core::NotFound("this witness does not know the log");
    for (const auto& [origin, key] : logs_) {
      if (opened.ok() || !LogNumber(claimed.origin, origin)) continue;
      opened = OpenCheckpoint(claimed.note, key);
    }
    return opened;
  }

  std::string PathOf(std::string_view origin) const {
    return options_.folder + "/seen-" + core::Hex(core::Sha256(origin)).substr(0, 16);
  }

  // Size 0 and no note for a log never cosigned.
  core::StatusOr<Checkpoint> LastSeen(const std::string& origin) const {
    auto note = ReadPrivateFile(PathOf(origin));
    if (note.status().code() == core::StatusCode::kNotFound) {
      Checkpoint none;
      none.origin = origin;
      none.root = EmptyRoot();
      return none;
    }
    if (!note.ok()) return note.status();
    return ReadCheckpoint(*note);
  }

  // Check and memory in one: under the lock, and durable before the answer.
  WitnessReply Judge(const ConsistencyText& request, const Checkpoint& head) {
    const auto last = LastSeen(head.origin);
    if (!last.ok()) return Refuse(500, core::Message(last.status()));
    if (request.old_size != last->size) {
      return {409, "text/x.tlog.size", std::to_string(last->size) + "\n"};
    }
    if (last->size == head.size && head.size > 0 && last->root != head.root) {
      return Refuse(409, "another head of this size was cosigned: the log was forked");
    }
    if (!ConsistencyHolds({last->size, last->root, head.size, head.root}, request.hashes)) {
      return Refuse(422, "the new head does not continue the one that was cosigned");
    }
    const core::Status kept = ReplaceFile(options_.folder, PathOf(head.origin), head.note);
    if (!kept.ok()) return Refuse(500, core::Message(kept));
    return {200, "text/plain; charset=utf-8", Cosign(ParseNote(head.note)->text)};
  }

  std::string Cosign(std::string_view text) const {
    const std::int64_t time_s = options_.clock->WallMicros() / 1'000'000;
    const std::string message = CosignedMessage(text, time_s);
    std::string signature(crypto_sign_BYTES, '\0');
    crypto_sign_detached(reinterpret_cast<unsigned char*>(signature.data()), nullptr,
                         reinterpret_cast<const unsigned char*>(message.data()), message.size(),
                         reinterpret_cast<const unsigned char*>(secret_key_.data()));
    std::string blob = key_.id;
    for (int shift = 56; shift >= 0; shift -= 8) {
      blob += static_cast<char>(static_cast<std::uint64_t>(time_s) >> shift & 0xFF);
    }
    return SignatureLine(key_.name, blob + signature);
  }

  const WitnessOptions options_;
  const FolderLock lock_;
  NoteKey key_;
  std::string secret_key_ = std::string(crypto_sign_SECRETKEYBYTES, '\0');
  std::multimap<std::string, std::string, std::less<>> logs_;  // origin, verifier key
  std::mutex mutex_;
};

}  // namespace

core::StatusOr<std::unique_ptr<Witness>> Witness::Open(const WitnessOptions& options) {
  if (sodium_init() < 0) return core::Internal("libsodium does not start");
  if (!IsKeyName(options.name)) {
    return core::InvalidArgument("witness name `" + options.name +
                                 "` is empty or has spaces or plus signs");
  }
  INTERLOCK_RETURN_IF_ERROR(MakeFolder(options.folder));
  INTERLOCK_ASSIGN_OR_RETURN(FolderLock lock, FolderLock::Take(options.folder));
  auto witness = std::make_unique<WitnessImpl>(options, std::move(lock));
  INTERLOCK_RETURN_IF_ERROR(witness->Start());
  return std::unique_ptr<Witness>(std::move(witness));
}

}  // namespace interlock::audit
