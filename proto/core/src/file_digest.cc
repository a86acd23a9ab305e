#include "core/file_digest.h"

#include <openssl/evp.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <vector>

#include "core/check.h"

namespace interlock::core {
namespace {

constexpr std::size_t kPartBytes = 256 << 10;

}  // namespace

StatusOr<Digest> Sha256OfFile(int fd, std::int64_t bytes_max) {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                        &EVP_MD_CTX_free);
  INTERLOCK_CHECK(context != nullptr &&
                  EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) == 1);
  std::vector<char> part(kPartBytes);
  std::int64_t total = 0;
  while (true) {
    const ssize_t size = ::read(fd, part.data(), part.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return Unavailable("the file cannot be read");
    if (size == 0) break;
    total += size;
    if (total > bytes_max) {
      return ResourceExhausted("the file is above " + std::to_string(bytes_max) + " bytes");
    }
    INTERLOCK_CHECK(EVP_DigestUpdate(context.get(), part.data(), static_cast<std::size_t>(size)) ==
                    1);
  }
  Digest digest;
  INTERLOCK_CHECK(EVP_DigestFinal_ex(context.get(), digest.data(), nullptr) == 1);
  return digest;
}

}  // namespace interlock::core
