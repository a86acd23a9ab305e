// audit witness: the other end of c2sp.org/tlog-witness; the daemon is the log's.
#include "audit/witness.h"

#include <httplib.h>

#include <CLI/CLI.hpp>
#include <ostream>

#include "cli/evidence.h"

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

}  // namespace

void AddWitnessCommands(CLI::App& group, Session& session) {
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
