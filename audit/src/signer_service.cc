// The signer's side. A few threads take connections from one socket; each exchange is bounded in
// bytes, steps and time, so that a peer can waste only its own turn.
#include "audit/signer_service.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <mutex>
#include <thread>

#include "audit/checkpoint.h"
#include "file_signer.h"
#include "folder_lock.h"
#include "note_key.h"
#include "signer_wire.h"
#include "succession.h"

namespace interlock::audit {
namespace {

constexpr std::size_t kThreads = 4;
constexpr int kFirstByteMillis = 1000;        // a client sends its request as it connects
constexpr std::size_t kProofHashesMax = 128;  // 2 * 64 levels

core::StatusOr<core::Digest> DigestOf(const std::string& base64) {
  const auto bytes = core::BytesFromBase64(base64);
  core::Digest digest;
  if (!bytes.ok() || bytes->size() != digest.size()) {
    return core::InvalidArgument("a hash is not 32 bytes in base64");
  }
  std::memcpy(digest.data(), bytes->data(), digest.size());
  return digest;
}

core::Status BadRequest() {
  return core::InvalidArgument("not a request of the signer's protocol");
}

struct Listener {
  UniqueFd lock;  // flock on "<socket>.lock": one signer a socket, whatever its folder
  UniqueFd socket;
  ino_t inode = 0;
};

class ServiceImpl final : public SignerService {
 public:
  ServiceImpl(SignerServiceOptions options, FolderLock lock, Listener listener, UniqueFd stop)
      : options_(std::move(options)),
        lock_(std::move(lock)),
        listener_(std::move(listener)),
        stop_(std::move(stop)) {
    for (std::thread& thread : threads_) thread = std::thread([this] { Serve(); });
  }
  ~ServiceImpl() override {
    const std::uint64_t one = 1;
    static_cast<void>(!::write(stop_.get(), &one, sizeof one));  // an eventfd of 0 takes it
    for (std::thread& thread : threads_) thread.join();
    // Never the socket of another signer, should somebody have put one there by hand.
    struct stat info {};
    if (::stat(options_.socket.c_str(), &info) == 0 && info.st_ino == listener_.inode) {
      ::unlink(options_.socket.c_str());
    }
    ::unlink((options_.socket + ".lock").c_str());
  }

 private:
  void Serve() {
    std::array<pollfd, 2> wait{{{listener_.socket.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}}};
    while (true) {
      if (::poll(wait.data(), wait.size(), -1) < 0) continue;
      if (wait[1].revents != 0) return;
      UniqueFd fd(::accept4(listener_.socket.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!fd.valid() || !LimitWaiting(fd.get()).ok()) continue;
      WireSocket socket(std::move(fd));
      if (const core::Status peer = CheckPeer(socket); !peer.ok()) {
        static_cast<void>(socket.Send(ErrorLines(peer)));
        continue;  // not waited for: it would hold a thread that others need
      }
      if (!socket.Readable(kFirstByteMillis)) continue;
      const auto request = socket.Receive();
      if (!request.ok()) continue;  // nothing that could be answered
      const auto reply = Answer(socket, *request);
      static_cast<void>(socket.Send(reply.ok() ? *reply : ErrorLines(reply.status())));
    }
  }

  static WireLines ErrorLines(const core::Status& status) {
    std::string message(core::Message(status));
    std::replace(message.begin(), message.end(), '\n', ' ');
    return {"error", std::to_string(static_cast<int>(status.code())), message};
  }

  core::Status CheckPeer(const WireSocket& socket) const {
    if (!options_.peer_uid) return core::OkStatus();
    INTERLOCK_ASSIGN_OR_RETURN(const unsigned uid, socket.PeerUid());
    if (uid == *options_.peer_uid) return core::OkStatus();
    return core::PermissionDenied("this signer answers another user only (--user)");
  }

  core::StatusOr<WireLines> Answer(WireSocket& socket, const WireLines& request) {
    if (request.size() < 2) return BadRequest();
    INTERLOCK_ASSIGN_OR_RETURN(Signer * signer, SignerOf(request[1]));
    if (request[0] == "sign" && request.size() == 5) return Sign(socket, *signer, request);
    if (request[0] == "head" && request.size() == 3) return Head(*signer, request);
    if (request[0] == "keys" && request.size() == 2) {
      WireLines lines = signer->verifier_keys();
      lines.insert(lines.begin(), "keys");
      return lines;
    }
    if (request[0] == "begin_rotation" && request.size() == 2) {
      INTERLOCK_ASSIGN_OR_RETURN(const KeyRotation rotation, signer->BeginRotation());
      return WireLines{"rotation", rotation.old_key, rotation.new_key,
                       core::Base64(rotation.old_signature), core::Base64(rotation.new_signature)};
    }
    if (request[0] == "finish_rotation" && request.size() >= 7) {
      return FinishRotation(socket, *signer, request);
    }
    return BadRequest();
  }

  // A key signs for the origin of its name and for the logs that follow it.
  static core::Status CheckOrigin(const WireLines& request) {
    if (LogNumber(request[2], request[1])) return core::OkStatus();
    return core::PermissionDenied("key `" + request[1] + "` signs for the origin of its name only");
  }

  static core::StatusOr<WireLines> Head(Signer& signer, const WireLines& request) {
    INTERLOCK_RETURN_IF_ERROR(CheckOrigin(request));
    INTERLOCK_ASSIGN_OR_RETURN(const auto head, signer.LastHead(request[2]));
    if (!head) return WireLines{"head"};
    return WireLines{"head", std::to_string(head->size), core::Base64(core::AsBytes(head->root))};
  }

  // Lines 2 to 4: origin, size, root. The log's own lock is held while its proof is awaited: a slow
  // peer holds up its own log alone.
  static core::StatusOr<SignRequest> HeadIn(WireSocket& socket, const WireLines& request) {
    const auto size = ParseWireNumber(request[3]);
    if (!size) return BadRequest();
    INTERLOCK_RETURN_IF_ERROR(CheckOrigin(request));
    INTERLOCK_ASSIGN_OR_RETURN(const core::Digest root, DigestOf(request[4]));
    return SignRequest{request[2], *size, root, [&socket](std::uint64_t old_size, std::uint64_t) {
                         return AskForProof(socket, old_size);
                       }};
  }

  static core::StatusOr<WireLines> Sign(WireSocket& socket, Signer& signer,
                                        const WireLines& request) {
    INTERLOCK_ASSIGN_OR_RETURN(const SignRequest head, HeadIn(socket, request));
    INTERLOCK_ASSIGN_OR_RETURN(const Checkpoint checkpoint, signer.Sign(head));
    return NoteLines(checkpoint);
  }

  static core::StatusOr<WireLines> FinishRotation(WireSocket& socket, Signer& signer,
                                                  const WireLines& request) {
    INTERLOCK_ASSIGN_OR_RETURN(const SignRequest head, HeadIn(socket, request));
    const auto index = ParseWireNumber(request[5]);
    const auto entry = core::BytesFromBase64(request[6]);
    if (!index || !entry.ok() || request.size() > 7 + kProofHashesMax) return BadRequest();
    RotationProof proof{*entry, *index, {}, head};
    for (std::size_t i = 7; i < request.size(); ++i) {
      INTERLOCK_ASSIGN_OR_RETURN(proof.inclusion.emplace_back(), DigestOf(request[i]));
    }
    INTERLOCK_ASSIGN_OR_RETURN(const Checkpoint checkpoint, signer.FinishRotation(proof));
    return NoteLines(checkpoint);
  }

  static WireLines NoteLines(const Checkpoint& checkpoint) {
    WireLines lines = {"note"};
    for (std::size_t at = 0; at < checkpoint.note.size();) {
      const std::size_t end = checkpoint.note.find('\n', at);
      lines.push_back(checkpoint.note.substr(at, end - at));
      at = end + 1;
    }
    return lines;
  }

  static core::StatusOr<std::vector<core::Digest>> AskForProof(WireSocket& socket,
                                                               std::uint64_t old_size) {
    INTERLOCK_RETURN_IF_ERROR(socket.Send({"prove", std::to_string(old_size)}));
    INTERLOCK_ASSIGN_OR_RETURN(const WireLines lines, socket.Receive());
    if (lines[0] != "proof" || lines.size() > 1 + kProofHashesMax) return BadRequest();
    std::vector<core::Digest> proof;
    for (std::size_t i = 1; i < lines.size(); ++i) {
      INTERLOCK_ASSIGN_OR_RETURN(proof.emplace_back(), DigestOf(lines[i]));
    }
    return proof;
  }

  core::StatusOr<Signer*> SignerOf(const std::string& name) {
    const auto& named = options_.origins;
    if (std::find(named.begin(), named.end(), name) == named.end()) {
      return core::PermissionDenied("this signer does not serve `" + name +
                                    "`; start it with --origin for each log");
    }
    const std::lock_guard lock(mutex_);
    if (const auto found = signers_.find(name); found != signers_.end()) return found->second.get();
    const std::string folder = options_.folder + "/" + core::Hex(core::Sha256(name)).substr(0, 16);
    INTERLOCK_ASSIGN_OR_RETURN(
        std::unique_ptr<Signer> signer,
        OpenFileSigner(folder, name,
                       options_.allow_restored ? Successors::kRestored : Successors::kClosed));
    return signers_.emplace(name, std::move(signer)).first->second.get();
  }

  const SignerServiceOptions options_;
  const FolderLock lock_;
  const Listener listener_;
  const UniqueFd stop_;
  std::mutex mutex_;
  std::map<std::string, std::unique_ptr<Signer>> signers_;
  std::array<std::thread, kThreads> threads_;
};

core::StatusOr<UniqueFd> LockSocket(const std::string& path) {
  const std::string name = path + ".lock";
  UniqueFd lock(::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!lock.valid()) return ErrnoStatus("cannot open", name);
  // A signer that ends removes the file: a lock on what it removed keeps nobody out.
  struct stat held {};
  struct stat named {};
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) == 0 && ::fstat(lock.get(), &held) == 0 &&
      ::stat(name.c_str(), &named) == 0 && held.st_ino == named.st_ino) {
    return lock;
  }
  return core::FailedPrecondition("another signer is at `" + path +
                                  "` already; end it, or give this one another --socket");
}

core::StatusOr<Listener> Listen(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    return core::InvalidArgument("`" + path + "` is empty or too long for a socket");
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  Listener listener;
  INTERLOCK_ASSIGN_OR_RETURN(listener.lock, LockSocket(path));
  if (WireSocket::Connect(path).ok()) {  // of an older version, which takes no lock
    return core::FailedPrecondition("something answers at `" + path +
                                    "` already; end it, or give another --socket");
  }
  listener.socket = UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int fd = listener.socket.get();
  ::unlink(path.c_str());  // left by a signer that was killed: nobody has the lock or answers
  struct stat info {};
  if (fd < 0 || ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::chmod(path.c_str(), 0660) != 0 || ::listen(fd, 16) != 0 ||
      ::stat(path.c_str(), &info) != 0) {
    return ErrnoStatus("cannot listen at", path);
  }
  listener.inode = info.st_ino;
  return listener;
}

}  // namespace

core::StatusOr<std::unique_ptr<SignerService>> SignerService::Start(
    const SignerServiceOptions& options) {
  if (options.origins.empty()) {
    return core::InvalidArgument("name the logs that the signer serves, one --origin each");
  }
  for (const std::string& origin : options.origins) {
    if (!IsKeyName(origin)) {
      return core::InvalidArgument("`" + origin + "` is no origin of a log");
    }
  }
  INTERLOCK_RETURN_IF_ERROR(MakeFolder(options.folder));
  struct stat info {};
  if (::stat(options.folder.c_str(), &info) != 0) return ErrnoStatus("cannot stat", options.folder);
  if ((info.st_mode & 0077) != 0) {
    return core::PermissionDenied("others have rights on `" + options.folder +
                                  "`; set its mode to 0700");
  }
  INTERLOCK_ASSIGN_OR_RETURN(FolderLock lock, FolderLock::Take(options.folder));
  INTERLOCK_ASSIGN_OR_RETURN(Listener listener, Listen(options.socket));
  UniqueFd stop(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!stop.valid()) return core::ResourceExhausted("no event for the signer");
  return std::unique_ptr<SignerService>(std::make_unique<ServiceImpl>(
      options, std::move(lock), std::move(listener), std::move(stop)));
}

}  // namespace interlock::audit
