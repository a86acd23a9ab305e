// audit signer|confirm-clock: the signer as a process of its own, its key, and the clock.
#include <pwd.h>
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <ostream>

#include "audit/signer_service.h"
#include "cli/cli.h"
#include "cli/message_json.h"

namespace interlock::runtime::cli {
namespace {

core::StatusOr<unsigned> UidOf(const std::string& user) {
  std::array<char, 4096> buffer{};
  passwd entry{};
  passwd* found = nullptr;
  ::getpwnam_r(user.c_str(), &entry, buffer.data(), buffer.size(), &found);
  if (found == nullptr) return core::NotFound("there is no user `" + user + "`");
  return entry.pw_uid;
}

// Serves until SIGTERM or SIGINT. The signals are blocked before the service has threads.
int ServeSigner(Session& session, const audit::SignerServiceOptions& options) {
  if (options.folder.empty() || options.socket.empty()) {
    return Fail(session, core::InvalidArgument("give --folder and --socket, or `rotate-key`"));
  }
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  const auto service = audit::SignerService::Start(options);
  if (!service.ok()) return Fail(session, service.status());
  session.io.out << "signing at " << options.socket << std::endl;
  int signal_number = 0;
  sigwait(&signals, &signal_number);
  return kYes;
}

void PrintChange(const Io& io, const wire::LogChange& change, std::string_view what) {
  if (io.json) return PrintJson(io, MessageJson(change));
  io.out << what << ": entry " << change.index() << '\n';
}

int RotateKey(Session& session) {
  auto client = session.Connect();
  if (!client.ok()) return Fail(session, client.status());
  wire::RotateSignerKeyRequest request;
  request.set_parent((*client)->parent());
  const auto change =
      (*client)->Call((*client)->audit, &wire::AuditService::Stub::RotateSignerKey, request);
  if (!change.ok()) return Fail(session, change.status());
  PrintChange(session.io, *change, "the signer has a new key");
  return kYes;
}

int ConfirmClock(Session& session, const std::string& reason) {
  auto client = session.Connect();
  if (!client.ok()) return Fail(session, client.status());
  wire::ConfirmClockRequest request;
  request.set_parent((*client)->parent());
  request.set_reason(reason);
  const auto change =
      (*client)->Call((*client)->audit, &wire::AuditService::Stub::ConfirmClock, request);
  if (!change.ok()) return Fail(session, change.status());
  PrintChange(session.io, *change, "the clock is confirmed");
  return kYes;
}

}  // namespace

void AddSignerCommands(CLI::App& group, Session& session) {
  auto options = std::make_shared<audit::SignerServiceOptions>();
  CLI::App* signer = group.add_subcommand(
      "signer", "Sign heads in a process of its own, best under another user than the daemon's");
  signer->add_option("--folder", options->folder, "Keys and last heads (mode 0700)");
  signer->add_option("--socket", options->socket,
                     "Where the daemon finds it (audit.signer.socket)");
  signer->add_option("--origin", options->origins,
                     "A log that it signs for: <origin>/<tenant>; once for each tenant");
  auto user = std::make_shared<std::string>();
  signer->add_option("--user", *user, "Answer this user only: the daemon's");
  signer->add_flag("--allow-restored", options->allow_restored,
                   "Sign the new log of `audit rotate --restored`; for one start only");
  CLI::App* rotate = signer->add_subcommand(
      "rotate-key", "Give the signer a new key; both keys sign the entry that says so");
  // One action for both: the parser calls the outer command's as well.
  Does(signer, session, [&session, options, user, rotate] {
    if (rotate->parsed()) return RotateKey(session);
    if (!user->empty()) {
      const auto uid = UidOf(*user);
      if (!uid.ok()) return Fail(session, uid.status());
      options->peer_uid = *uid;
    }
    return ServeSigner(session, *options);
  });
  auto reason = std::make_shared<std::string>();
  CLI::App* clock = group.add_subcommand("confirm-clock",
                                         "Vouch for the clock after a jump of more than an hour");
  clock->add_option("--reason", *reason, "Stands in the entry")->required();
  Does(clock, session, [&session, reason] { return ConfirmClock(session, *reason); });
}

}  // namespace interlock::runtime::cli
