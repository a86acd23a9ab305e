// The daemon's side of a signer in another process.
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <mutex>

#include "audit/checkpoint.h"
#include "note_key.h"
#include "signer_wire.h"

namespace interlock::audit {
namespace {

core::Status Strange() {
  return core::Unavailable("the signer's answer is not of its protocol; is it of this version");
}

// "error", code, message.
core::Status ErrorOf(const WireLines& reply) {
  const auto code = reply.size() == 3 ? ParseWireNumber(reply[1]) : std::nullopt;
  if (!code || *code == 0 || *code > 16) return Strange();
  return core::Error(static_cast<core::StatusCode>(*code), reply[2]);
}

core::StatusOr<WireLines> Ask(WireSocket& socket, const WireLines& lines) {
  const core::Status sent = socket.Send(lines);
  // A signer that answers other users only says so without having read the request.
  auto received = socket.Receive();
  if (!received.ok()) return sent.ok() ? received.status() : sent;
  WireLines reply = *std::move(received);
  if (reply[0] == "error") return ErrorOf(reply);
  return reply;
}

class RemoteSigner final : public Signer {
 public:
  RemoteSigner(std::string socket, std::string name)
      : socket_(std::move(socket)), name_(std::move(name)) {}

  core::Status Load() {
    INTERLOCK_ASSIGN_OR_RETURN(WireSocket socket, Connect());
    INTERLOCK_ASSIGN_OR_RETURN(WireLines reply, Ask(socket, {"keys", name_}));
    if (reply.size() < 2 || reply[0] != "keys") return Strange();
    reply.erase(reply.begin());
    for (const std::string& key : reply) {
      const auto parsed = ParseVerifierKey(key);
      if (!parsed.ok() || parsed->name != name_) return Strange();
    }
    const std::lock_guard lock(mutex_);
    keys_ = std::move(reply);
    return core::OkStatus();
  }

  core::StatusOr<Checkpoint> Sign(const SignRequest& request) override {
    INTERLOCK_ASSIGN_OR_RETURN(const std::string note, NoteOf("sign", request, {}));
    return Checked(request, note);
  }

  core::StatusOr<std::optional<Checkpoint>> LastHead(std::string_view origin) override {
    INTERLOCK_ASSIGN_OR_RETURN(WireSocket socket, Connect());
    INTERLOCK_ASSIGN_OR_RETURN(const WireLines reply,
                               Ask(socket, {"head", name_, std::string(origin)}));
    if (reply == WireLines{"head"}) return std::optional<Checkpoint>();
    const auto size =
        reply.size() == 3 && reply[0] == "head" ? ParseWireNumber(reply[1]) : std::nullopt;
    const auto root =
        size ? core::BytesFromBase64(reply[2]) : core::StatusOr<std::string>(Strange());
    Checkpoint head{std::string(origin), size.value_or(0), {}, {}};
    if (!root.ok() || root->size() != head.root.size()) return Strange();
    std::memcpy(head.root.data(), root->data(), head.root.size());
    return std::optional(std::move(head));
  }

  std::string verifier_key() const override {
    const std::lock_guard lock(mutex_);
    return keys_.back();
  }
  std::vector<std::string> verifier_keys() const override {
    const std::lock_guard lock(mutex_);
    return keys_;
  }
  bool independent() const override { return peer_uid_ != ::geteuid(); }

  core::StatusOr<KeyRotation> BeginRotation() override {
    INTERLOCK_ASSIGN_OR_RETURN(WireSocket socket, Connect());
    INTERLOCK_ASSIGN_OR_RETURN(const WireLines reply, Ask(socket, {"begin_rotation", name_}));
    if (reply.size() != 5 || reply[0] != "rotation") return Strange();
    const auto old_signature = core::BytesFromBase64(reply[3]);
    const auto new_signature = core::BytesFromBase64(reply[4]);
    if (!old_signature.ok() || !new_signature.ok()) return Strange();
    KeyRotation rotation{reply[1], reply[2], *old_signature, *new_signature};
    INTERLOCK_RETURN_IF_ERROR(CheckRotation(rotation));
    return rotation;
  }

  core::StatusOr<Checkpoint> FinishRotation(const RotationProof& proof) override {
    WireLines more = {std::to_string(proof.index), core::Base64(proof.entry)};
    for (const core::Digest& hash : proof.inclusion) {
      more.push_back(core::Base64(core::AsBytes(hash)));
    }
    INTERLOCK_ASSIGN_OR_RETURN(const std::string note, NoteOf("finish_rotation", proof.head, more));
    INTERLOCK_RETURN_IF_ERROR(Load());
    return Checked(proof.head, note);
  }

 private:
  // What the signer answers to a head, which it may want to see proven.
  core::StatusOr<std::string> NoteOf(const char* verb, const SignRequest& request,
                                     const WireLines& more) {
    INTERLOCK_ASSIGN_OR_RETURN(WireSocket socket, Connect());
    WireLines lines = {verb, name_, std::string(request.origin), std::to_string(request.size),
                       core::Base64(core::AsBytes(request.root))};
    lines.insert(lines.end(), more.begin(), more.end());
    INTERLOCK_ASSIGN_OR_RETURN(WireLines reply, Ask(socket, lines));
    if (reply.size() == 2 && reply[0] == "prove") {
      const auto old_size = ParseWireNumber(reply[1]);
      if (!old_size || *old_size >= request.size || !request.prove) return Strange();
      INTERLOCK_ASSIGN_OR_RETURN(const std::vector<core::Digest> proof,
                                 request.prove(*old_size, request.size));
      lines = {"proof"};
      for (const core::Digest& hash : proof) lines.push_back(core::Base64(core::AsBytes(hash)));
      INTERLOCK_ASSIGN_OR_RETURN(reply, Ask(socket, lines));
    }
    if (reply.size() < 2 || reply[0] != "note") return Strange();
    std::string note;
    for (std::size_t i = 1; i < reply.size(); ++i) note += reply[i] + "\n";
    return note;
  }

  // Not taken on trust: it must be our head, signed by the key that we know.
  core::StatusOr<Checkpoint> Checked(const SignRequest& request, const std::string& note) const {
    INTERLOCK_ASSIGN_OR_RETURN(Checkpoint checkpoint, OpenCheckpoint(note, verifier_key()));
    if (checkpoint.origin != request.origin || checkpoint.size != request.size ||
        checkpoint.root != request.root) {
      return Strange();
    }
    return checkpoint;
  }

  core::StatusOr<WireSocket> Connect() {
    INTERLOCK_ASSIGN_OR_RETURN(WireSocket socket, WireSocket::Connect(socket_));
    INTERLOCK_ASSIGN_OR_RETURN(peer_uid_, socket.PeerUid());
    return socket;
  }

  const std::string socket_;
  const std::string name_;
  mutable std::mutex mutex_;
  std::vector<std::string> keys_;
  std::atomic<unsigned> peer_uid_{::geteuid()};
};

}  // namespace

core::StatusOr<std::unique_ptr<Signer>> ConnectSigner(const std::string& socket,
                                                      std::string_view name) {
  auto signer = std::make_unique<RemoteSigner>(socket, std::string(name));
  INTERLOCK_RETURN_IF_ERROR(signer->Load());
  return std::unique_ptr<Signer>(std::move(signer));
}

}  // namespace interlock::audit
