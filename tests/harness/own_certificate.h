// A certificate for 127.0.0.1 that whoever has its file trusts.
#pragma once

#include <openssl/ssl.h>

#include <string>

namespace interlock::test {

// For a server on loopback, with a key of its own; the certificate is written to `path` (PEM). The
// caller frees it. Ends the program when it cannot.
SSL_CTX* ServerWithOwnCertificate(const std::string& path);

// For a server in a program of its own; both PEM. Ends the program when it cannot.
void WriteOwnCertificate(const std::string& path, const std::string& key_path);

}  // namespace interlock::test
