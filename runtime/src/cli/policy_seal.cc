// policy key|sign: the seal of a bundle.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <fstream>
#include <ostream>
#include <sstream>

#include "cli/policy_folder.h"
#include "core/ed25519.h"
#include "core/random.h"
#include "policies/seal.h"

namespace interlock::runtime::cli {
namespace {

struct SealOptions {
  std::string folder;
  std::string key_file;
  std::string name;
  std::string origin;
  std::int64_t revision = 0;
};

// A new file that only its owner may read. Errors: kFailedPrecondition, kUnavailable.
core::Status WriteSecret(const std::string& path, const std::string& text) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0 && errno == EEXIST) {
    return core::FailedPrecondition("`" + path + "` is there already; a key is never overwritten");
  }
  if (file < 0) return core::Unavailable("cannot make `" + path + "`");
  const bool whole = ::write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  const bool kept = ::fsync(file) == 0 && ::close(file) == 0;
  return whole && kept ? core::OkStatus() : core::Unavailable("cannot write `" + path + "`");
}

int MakeKey(Session& session, const SealOptions& options) {
  const bool plain = !options.name.empty() && options.name.size() <= 128 &&
                     options.name.find_first_of(" +\t\n") == std::string::npos;
  if (!plain) {
    return Fail(session, core::InvalidArgument("a key's name has no space and no plus"));
  }
  std::string seed(core::kEd25519SeedBytes, '\0');
  core::SystemRandom().Fill({reinterpret_cast<std::uint8_t*>(seed.data()), seed.size()});
  const policies::SealKey key = policies::MakeSealKey(options.name, seed);
  const core::Status written = WriteSecret(options.key_file, key.secret + "\n");
  if (!written.ok()) return Fail(session, written);
  if (session.io.json) {
    PrintJson(session.io, {{"verifier_key", key.verifier}});
  } else {
    session.io.out << key.verifier << '\n';
  }
  return kYes;
}

int Sign(Session& session, const SealOptions& options) {
  const auto files = policies::Bundle::ReadFolder(options.folder);
  if (!files.ok()) return Fail(session, files.status());
  std::ifstream in(options.key_file, std::ios::binary);
  std::ostringstream secret;
  secret << in.rdbuf();
  if (!in) return Fail(session, core::NotFound("cannot read `" + options.key_file + "`"));
  const auto note = policies::SignBundle(secret.str(), options.origin, options.revision, *files);
  if (!note.ok()) return Fail(session, note.status());
  const std::string path = options.folder + "/" + policies::kSealFile;
  const core::Status written = WriteText(path, *note);
  if (!written.ok()) return Fail(session, written);
  if (session.io.json) {
    PrintJson(
        session.io,
        {{"seal", path}, {"revision", options.revision}, {"files", policies::FilesDigest(*files)}});
  } else {
    session.io.out << "sealed " << files->size() << " files as revision " << options.revision
                   << " of " << EscapeForTerminal(options.origin) << '\n';
  }
  return kYes;
}

}  // namespace

void AddPolicySealCommands(CLI::App& group, Session& session) {
  auto options = std::make_shared<SealOptions>();
  CLI::App* key = group.add_subcommand("key", "Make a key that bundles are signed with");
  key->add_option("NAME", options->name, "The name of the key")->required();
  key->add_option("FILE", options->key_file, "Where its secret goes (mode 0600)")->required();
  Does(key, session, [&session, options] { return MakeKey(session, *options); });
  CLI::App* sign =
      group.add_subcommand("sign", "Seal a bundle: writes bundle.note beside its files");
  sign->add_option("FOLDER", options->folder, "Folder of *.lua policies")->required();
  sign->add_option("--key", options->key_file, "The file of the secret key")->required();
  sign->add_option("--origin", options->origin, "What the bundle is, as the trust root says it")
      ->required();
  sign->add_option("--revision", options->revision, "Above that of the active bundle")->required();
  Does(sign, session, [&session, options] { return Sign(session, *options); });
}

}  // namespace interlock::runtime::cli
