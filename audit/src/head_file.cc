#include "head_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>

namespace interlock::audit {
namespace {

constexpr std::string_view kHeadMagic = "ILHEAD1\n";
constexpr std::size_t kHeadBytes = 8 + 8 + 8 + 32 + 32;
constexpr std::size_t kSlotBytes = 4096;  // a sector of its own

void AppendBigEndian(std::uint64_t value, std::string& out) {
  for (int shift = 56; shift >= 0; shift -= 8) out += static_cast<char>(value >> shift & 0xFF);
}

std::uint64_t BigEndianAt(std::string_view bytes, std::size_t at) {
  std::uint64_t value = 0;
  for (const char c : bytes.substr(at, 8)) value = value << 8 | static_cast<unsigned char>(c);
  return value;
}

std::string EncodeHead(const SignedHead& head) {
  std::string bytes(kHeadMagic);
  AppendBigEndian(head.turn, bytes);
  AppendBigEndian(head.size, bytes);
  bytes += core::AsBytes(head.root);
  const core::Digest sum = core::Sha256(bytes);
  bytes += core::AsBytes(sum);
  return bytes;
}

std::optional<SignedHead> DecodeHead(std::string_view bytes) {
  if (bytes.size() != kHeadBytes || bytes.substr(0, 8) != kHeadMagic) return std::nullopt;
  const core::Digest sum = core::Sha256(bytes.substr(0, kHeadBytes - 32));
  if (core::AsBytes(sum) != bytes.substr(kHeadBytes - 32)) return std::nullopt;
  SignedHead head{BigEndianAt(bytes, 8), BigEndianAt(bytes, 16), {}};
  std::memcpy(head.root.data(), bytes.data() + 24, head.root.size());
  return head;
}

}  // namespace

core::StatusOr<HeadFile> HeadFile::Open(const std::string& path) {
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

core::Status HeadFile::Store(std::uint64_t size, const core::Digest& root) {
  const SignedHead next{last_.turn + 1, size, root};
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

core::Status HeadFile::Load() {
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

}  // namespace interlock::audit
