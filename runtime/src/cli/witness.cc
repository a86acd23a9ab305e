// audit witness|cosign: both ends of c2sp.org/tlog-witness.
#include "audit/witness.h"

#include <httplib.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <fstream>
#include <iterator>
#include <ostream>

#include "audit/cosignature.h"
#include "audit/proof.h"
#include "cli/evidence.h"
#include "core/digest.h"

namespace interlock::runtime::cli {
namespace {

struct WitnessArguments {
  std::string folder;
  std::string listen = "127.0.0.1:7446";
  std::string name = "interlock.witness";
  std::vector<std::string> logs;
};

int Run(Session& session, const WitnessArguments& arguments) {
  const std::size_t colon = arguments.listen.rfind(':');
  const std::string host = arguments.listen.substr(0, colon);
  int port = -1;
  if (colon == std::string::npos ||
      std::sscanf(arguments.listen.c_str() + colon, ":%d", &port) != 1 || port < 0 ||
      port > 65535) {
    return Fail(session, core::InvalidArgument("--listen is HOST:PORT"));
  }
  const core::SystemClock clock;
  const auto witness = audit::Witness::Open({.folder = arguments.folder,
                                             .name = arguments.name,
                                             .log_keys = arguments.logs,
                                             .clock = &clock});
  if (!witness.ok()) return Fail(session, witness.status());
  httplib::Server server;
  server.set_payload_max_length(audit::kWitnessRequestBytesMax);
  server.Post("/add-checkpoint", [&](const httplib::Request& request, httplib::Response& response) {
    const audit::WitnessReply reply = (*witness)->AddCheckpoint(request.body);
    response.status = reply.status;
    response.set_content(reply.body, reply.content_type.c_str());
  });
  if (port == 0) {
    port = server.bind_to_any_port(host.c_str());
  } else if (!server.bind_to_port(host.c_str(), port)) {
    port = -1;
  }
  if (port < 0) return Fail(session, core::Unavailable("cannot listen on " + arguments.listen));
  session.io.out << "witness " << (*witness)->verifier_key() << "\nlistening on http://" << host
                 << ":" << port << "\n"
                 << std::flush;
  return server.listen_after_bind() ? kYes : kCouldNotTell;
}

struct CosignArguments {
  std::string url;
  std::string key;
  std::string out;
};

// The log's side: brings a head to a witness and keeps what it says.
class Cosigner {
 public:
  Cosigner(Client& client, const CosignArguments& arguments)
      : client_(client), arguments_(arguments), http_(arguments.url) {
    http_.set_connection_timeout(10);
    http_.set_read_timeout(30);
  }

  core::StatusOr<std::string> Collect() {
    wire::GetCheckpointRequest request;
    request.set_parent(client_.parent());
    INTERLOCK_ASSIGN_OR_RETURN(
        head_, client_.Call(client_.audit, &wire::AuditService::Stub::GetCheckpoint, request));
    // A witness that has seen the log before says how far, and is then given the proof from there.
    INTERLOCK_ASSIGN_OR_RETURN(httplib::Result answer, Post(0));
    if (answer->status == 409 && answer->get_header_value("Content-Type") == "text/x.tlog.size") {
      INTERLOCK_ASSIGN_OR_RETURN(answer, Post(std::atoll(answer->body.c_str())));
    }
    if (answer->status != 200) {
      return core::FailedPrecondition("the witness refuses (" + std::to_string(answer->status) +
                                      "): " + answer->body.substr(0, answer->body.find('\n')));
    }
    std::string note = audit::WithSignatureLines(head_.note(), answer->body);
    INTERLOCK_RETURN_IF_ERROR(audit::CosignedAt(note, arguments_.key).status());
    return note;
  }

 private:
  core::StatusOr<httplib::Result> Post(std::int64_t old_size) {
    audit::ConsistencyText text{static_cast<std::uint64_t>(old_size), {}, head_.note()};
    if (old_size > 0) {
      wire::GetConsistencyProofRequest request;
      request.set_parent(client_.parent());
      request.set_old_tree_size(old_size);
      request.set_tree_size(head_.tree_size());
      INTERLOCK_ASSIGN_OR_RETURN(
          const auto proof,
          client_.Call(client_.audit, &wire::AuditService::Stub::GetConsistencyProof, request));
      for (const std::string& hash : proof.hashes()) {
        core::Digest& digest = text.hashes.emplace_back();
        if (hash.size() != digest.size()) return core::DataLoss("malformed proof");
        std::copy(hash.begin(), hash.end(), digest.begin());
      }
    }
    httplib::Result answer =
        http_.Post("/add-checkpoint", audit::ConsistencyBody(text), "text/plain");
    if (!answer) return core::Unavailable("no witness at " + arguments_.url);
    return answer;
  }

  Client& client_;
  const CosignArguments& arguments_;
  httplib::Client http_;
  wire::Checkpoint head_;
};

// The cosignatures of other witnesses on the same head stay.
int Cosign(Session& session, const CosignArguments& arguments) {
  auto client = session.Connect();
  if (!client.ok()) return Fail(session, client.status());
  auto note = Cosigner(**client, arguments).Collect();
  if (!note.ok()) return Fail(session, note.status());
  std::ifstream in(arguments.out, std::ios::binary);
  const std::string before{std::istreambuf_iterator<char>(in), {}};
  const std::size_t text = note->find("\n\n");
  if (before.substr(0, text + 2) == note->substr(0, text + 2)) {
    note = audit::WithSignatureLines(before, std::string_view(*note).substr(text + 2));
  }
  if (const core::Status kept = WriteWhole(arguments.out, *note); !kept.ok()) {
    return Fail(session, kept);
  }
  session.io.out << *note;
  return kYes;
}

void AddCosign(CLI::App& group, Session& session) {
  auto arguments = std::make_shared<CosignArguments>();
  CLI::App* cosign = group.add_subcommand("cosign", "Have a witness cosign the newest head");
  cosign->add_option("--witness", arguments->url, "http://127.0.0.1:7446")->required();
  cosign->add_option("--witness-key", arguments->key, "What it printed at its start")->required();
  cosign
      ->add_option("--out", arguments->out,
                   "Where to keep the head, e.g. DATA/tenants/main/cosigned.note")
      ->required();
  Does(cosign, session, [&session, arguments] { return Cosign(session, *arguments); });
}

}  // namespace

void AddWitnessCommands(CLI::App& group, Session& session) {
  AddCosign(group, session);
  auto arguments = std::make_shared<WitnessArguments>();
  CLI::App* witness = group.add_subcommand("witness", "Cosign the heads of logs, over HTTP");
  witness->add_option("--folder", arguments->folder, "Its key and what it has seen")->required();
  witness->add_option("--listen", arguments->listen, "HOST:PORT; port 0: a free one");
  witness->add_option("--name", arguments->name, "Name of its key");
  witness->add_option("--log", arguments->logs, "Verifier key of a log; may be given again")
      ->required();
  Does(witness, session, [&session, arguments] { return Run(session, *arguments); });
}

}  // namespace interlock::runtime::cli
