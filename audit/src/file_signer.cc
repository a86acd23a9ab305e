// A signer in this process. Its memory of what it signed lives beside its key, apart from the
// database, so that a log that was rolled back or rewritten gets no second signature for a size
// that it had before.
#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <mutex>
#include <optional>

#include "audit/checkpoint.h"
#include "note_key.h"
#include "private_file.h"

namespace interlock::audit {
namespace {

constexpr std::string_view kKeyPrefix = "PRIVATE+KEY+";

// A head record: two slots are written in turn, so that a torn write leaves the older one whole.
//   "ILHEAD1\n" || turn (8, big endian) || size (8, big endian) || root (32) || SHA-256 of the
//   foregoing (32)
constexpr std::string_view kHeadMagic = "ILHEAD1\n";
constexpr std::size_t kHeadBytes = 8 + 8 + 8 + 32 + 32;
constexpr std::size_t kSlotBytes = 4096;  // a sector of its own

struct Head {
  std::uint64_t turn = 0;
  std::uint64_t size = 0;
  core::Digest root{};
};

void AppendBigEndian(std::uint64_t value, std::string& out) {
  for (int shift = 56; shift >= 0; shift -= 8) out += static_cast<char>(value >> shift & 0xFF);
}

std::uint64_t BigEndianAt(std::string_view bytes, std::size_t at) {
  std::uint64_t value = 0;
  for (const char c : bytes.substr(at, 8)) value = value << 8 | static_cast<unsigned char>(c);
  return value;
}

std::string EncodeHead(const Head& head) {
  std::string bytes(kHeadMagic);
  AppendBigEndian(head.turn, bytes);
  AppendBigEndian(head.size, bytes);
  bytes += core::AsBytes(head.root);
  const core::Digest sum = core::Sha256(bytes);
  bytes += core::AsBytes(sum);
  return bytes;
}

std::optional<Head> DecodeHead(std::string_view bytes) {
  if (bytes.size() != kHeadBytes || bytes.substr(0, 8) != kHeadMagic) return std::nullopt;
  const core::Digest sum = core::Sha256(bytes.substr(0, kHeadBytes - 32));
  if (core::AsBytes(sum) != bytes.substr(kHeadBytes - 32)) return std::nullopt;
  Head head{BigEndianAt(bytes, 8), BigEndianAt(bytes, 16), {}};
  std::memcpy(head.root.data(), bytes.data() + 24, head.root.size());
  return head;
}

// The last head signed for one origin.
class HeadFile {
 public:
  static core::StatusOr<HeadFile> Open(const std::string& path) {
    HeadFile file;
    file.path_ = path;
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0) {
      if (errno != ENOENT) return ErrnoStatus("cannot stat", path);
      INTERLOCK_RETURN_IF_ERROR(CreatePrivateFile(path, std::string(2 * kSlotBytes, '\0')));
    }
    INTERLOCK_RETURN_IF_ERROR(CheckPrivate(path));
    file.fd_ = UniqueFd(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
    if (!file.fd_.valid()) return ErrnoStatus("cannot open", path);
    INTERLOCK_RETURN_IF_ERROR(file.Load());
    return file;
  }

  const Head& last() const { return last_; }

  core::Status Store(std::uint64_t size, const core::Digest& root) {
    const Head next{last_.turn + 1, size, root};
    const std::string bytes = EncodeHead(next);
    const auto offset = static_cast<off_t>(next.turn % 2 * kSlotBytes);
    if (::pwrite(fd_.get(), bytes.data(), bytes.size(), offset) !=
        static_cast<ssize_t>(bytes.size())) {
      return ErrnoStatus("cannot write", path_);
    }
    if (::fdatasync(fd_.get()) != 0) return ErrnoStatus("cannot sync", path_);
    last_ = next;
    return core::OkStatus();
  }

 private:
  core::Status Load() {
    bool any_bytes = false;
    bool any_head = false;
    for (std::size_t slot = 0; slot < 2; ++slot) {
      std::string bytes(kHeadBytes, '\0');
      if (::pread(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(slot * kSlotBytes)) !=
          static_cast<ssize_t>(bytes.size())) {
        return core::DataLoss("the signer's head file `" + path_ + "` is too short");
      }
      any_bytes = any_bytes || bytes.find_first_not_of('\0') != std::string::npos;
      const auto head = DecodeHead(bytes);
      if (!head) continue;
      any_head = true;
      if (head->turn > last_.turn) last_ = *head;
    }
    if (any_bytes && !any_head) {
      return core::DataLoss("the signer's head file `" + path_ + "` is damaged");
    }
    return core::OkStatus();
  }

  std::string path_;
  UniqueFd fd_;
  Head last_;
};

class FileSigner final : public Signer {
 public:
  FileSigner(std::string folder, NoteKey key, std::string secret_key)
      : folder_(std::move(folder)), key_(std::move(key)), secret_key_(std::move(secret_key)) {}
  ~FileSigner() override { sodium_memzero(secret_key_.data(), secret_key_.size()); }

  core::StatusOr<Checkpoint> Sign(std::string_view origin, std::uint64_t size,
                                  const core::Digest& root) override {
    if (origin.empty() || origin.find('\n') != std::string_view::npos) {
      return core::InvalidArgument("a checkpoint's origin is one line of text");
    }
    const std::lock_guard lock(mutex_);
    INTERLOCK_ASSIGN_OR_RETURN(HeadFile * file, FileOf(origin));
    INTERLOCK_RETURN_IF_ERROR(CheckFollows(file->last(), size, root));
    if (size != file->last().size || file->last().turn == 0) {
      INTERLOCK_RETURN_IF_ERROR(file->Store(size, root));
    }
    const std::string text = CheckpointText(origin, size, root);
    return Checkpoint{std::string(origin), size, root, SignNote(text, key_, secret_key_)};
  }

  std::string verifier_key() const override { return VerifierKeyText(key_); }
  bool independent() const override { return false; }

 private:
  static core::Status CheckFollows(const Head& last, std::uint64_t size, const core::Digest& root) {
    if (last.turn == 0 || size > last.size) return core::OkStatus();
    if (size < last.size) {
      return core::FailedPrecondition("signer refuses size " + std::to_string(size) +
                                      ": it signed size " + std::to_string(last.size) +
                                      " before, so the log lost entries");
    }
    if (root == last.root) return core::OkStatus();
    return core::FailedPrecondition("signer refuses another root for size " + std::to_string(size) +
                                    ": the log was rewritten");
  }

  core::StatusOr<HeadFile*> FileOf(std::string_view origin) {
    const auto found = heads_.find(origin);
    if (found != heads_.end()) return &found->second;
    const std::string name = core::Hex(core::Sha256(origin)).substr(0, 16);
    INTERLOCK_ASSIGN_OR_RETURN(HeadFile file, HeadFile::Open(folder_ + "/head-" + name));
    return &heads_.emplace(std::string(origin), std::move(file)).first->second;
  }

  const std::string folder_;
  const NoteKey key_;
  std::string secret_key_;
  std::mutex mutex_;
  std::map<std::string, HeadFile, std::less<>> heads_;
};

std::string SigningKeyText(std::string_view name, std::string_view seed, const NoteKey& key) {
  return std::string(kKeyPrefix) + std::string(name) + "+" + core::Hex(key.id) + "+" +
         core::Base64(std::string("\x01") + std::string(seed)) + "\n";
}

struct KeyPair {
  std::string public_key;
  std::string secret_key;
};

KeyPair FromSeed(std::string_view seed) {
  KeyPair pair{std::string(crypto_sign_PUBLICKEYBYTES, '\0'),
               std::string(crypto_sign_SECRETKEYBYTES, '\0')};
  crypto_sign_seed_keypair(reinterpret_cast<unsigned char*>(pair.public_key.data()),
                           reinterpret_cast<unsigned char*>(pair.secret_key.data()),
                           reinterpret_cast<const unsigned char*>(seed.data()));
  return pair;
}

// The seed of "PRIVATE+KEY+name+id+base64(0x01 || seed)\n", as Go's note package writes it.
core::StatusOr<std::string> ParseSigningKey(std::string_view text, std::string_view name,
                                            const std::string& path) {
  const core::Status bad =
      core::InvalidArgument("`" + path + "` is not a signing key of `" + std::string(name) + "`");
  const std::string prefix = std::string(kKeyPrefix) + std::string(name) + "+";
  if (text.empty() || text.back() != '\n' || text.substr(0, prefix.size()) != prefix) return bad;
  text = text.substr(prefix.size(), text.size() - prefix.size() - 1);
  if (text.size() < 9 || text[8] != '+') return bad;
  const auto bytes = core::BytesFromBase64(text.substr(9));
  if (!bytes.ok() || bytes->size() != 1 + crypto_sign_SEEDBYTES || (*bytes)[0] != 0x01) return bad;
  return bytes->substr(1);
}

core::Status MakeSigningKey(const std::string& path, std::string_view name) {
  std::string seed(crypto_sign_SEEDBYTES, '\0');
  randombytes_buf(seed.data(), seed.size());
  const NoteKey key = MakeNoteKey(name, FromSeed(seed).public_key);
  std::string text = SigningKeyText(name, seed, key);
  const core::Status status = CreatePrivateFile(path, text);
  sodium_memzero(seed.data(), seed.size());
  sodium_memzero(text.data(), text.size());
  return status;
}

}  // namespace

core::StatusOr<std::unique_ptr<Signer>> OpenFileSigner(const std::string& folder,
                                                       std::string_view name) {
  if (sodium_init() < 0) return core::Internal("libsodium does not start");
  if (!IsKeyName(name)) {
    return core::InvalidArgument("signer name `" + std::string(name) +
                                 "` is empty or has spaces or plus signs");
  }
  INTERLOCK_RETURN_IF_ERROR(MakeFolder(folder));
  const std::string path = folder + "/signer.key";
  auto text = ReadPrivateFile(path);
  if (text.status().code() == core::StatusCode::kNotFound) {
    INTERLOCK_RETURN_IF_ERROR(MakeSigningKey(path, name));
    text = ReadPrivateFile(path);
  }
  if (!text.ok()) return text.status();
  INTERLOCK_ASSIGN_OR_RETURN(std::string seed, ParseSigningKey(*text, name, path));
  KeyPair pair = FromSeed(seed);
  sodium_memzero(seed.data(), seed.size());
  sodium_memzero(text->data(), text->size());
  return std::unique_ptr<Signer>(std::make_unique<FileSigner>(
      folder, MakeNoteKey(name, pair.public_key), std::move(pair.secret_key)));
}

}  // namespace interlock::audit
