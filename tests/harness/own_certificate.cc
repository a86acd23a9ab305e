#include "harness/own_certificate.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <memory>

#include "core/check.h"

namespace interlock::test {
namespace {

constexpr long kValidSeconds = 24L * 3600;

void Extend(X509* certificate, int what, const char* value) {
  X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, nullptr, what, value);
  INTERLOCK_CHECK(extension != nullptr && X509_add_ext(certificate, extension, -1) == 1);
  X509_EXTENSION_free(extension);
}

X509* CertificateOf(EVP_PKEY* key) {
  X509* const certificate = X509_new();
  INTERLOCK_CHECK(certificate != nullptr && X509_set_version(certificate, X509_VERSION_3) == 1);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate), kValidSeconds);
  X509_NAME* const name = X509_get_subject_name(certificate);
  const auto* const text = reinterpret_cast<const unsigned char*>("interlock test");
  INTERLOCK_CHECK(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, text, -1, -1, 0) == 1);
  INTERLOCK_CHECK(X509_set_issuer_name(certificate, name) == 1);
  INTERLOCK_CHECK(X509_set_pubkey(certificate, key) == 1);
  Extend(certificate, NID_basic_constraints, "critical,CA:TRUE");
  Extend(certificate, NID_subject_alt_name, "IP:127.0.0.1");
  INTERLOCK_CHECK(X509_sign(certificate, key, EVP_sha256()) > 0);
  return certificate;
}

struct Own {
  std::unique_ptr<EVP_PKEY, decltype([](EVP_PKEY* key) { EVP_PKEY_free(key); })> key;
  std::unique_ptr<X509, decltype([](X509* certificate) { X509_free(certificate); })> certificate;
};

Own MakeOwn() {
  Own own;
  own.key.reset(EVP_EC_gen("P-256"));
  INTERLOCK_CHECK(own.key != nullptr);
  own.certificate.reset(CertificateOf(own.key.get()));
  return own;
}

void WriteCertificate(const std::string& path, const Own& own) {
  std::FILE* const file = std::fopen(path.c_str(), "we");
  INTERLOCK_CHECK(file != nullptr && PEM_write_X509(file, own.certificate.get()) == 1);
  INTERLOCK_CHECK(std::fclose(file) == 0);
}

}  // namespace

SSL_CTX* ServerWithOwnCertificate(const std::string& path) {
  const Own own = MakeOwn();
  WriteCertificate(path, own);
  SSL_CTX* const server = SSL_CTX_new(TLS_server_method());
  INTERLOCK_CHECK(server != nullptr && SSL_CTX_use_certificate(server, own.certificate.get()) == 1);
  INTERLOCK_CHECK(SSL_CTX_use_PrivateKey(server, own.key.get()) == 1);
  return server;
}

void WriteOwnCertificate(const std::string& path, const std::string& key_path) {
  const Own own = MakeOwn();
  WriteCertificate(path, own);
  std::FILE* const file = std::fopen(key_path.c_str(), "we");
  INTERLOCK_CHECK(file != nullptr && PEM_write_PrivateKey(file, own.key.get(), nullptr, nullptr, 0,
                                                          nullptr, nullptr) == 1);
  INTERLOCK_CHECK(std::fclose(file) == 0);
}

}  // namespace interlock::test
