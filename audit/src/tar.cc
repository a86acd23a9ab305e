#include "audit/tar.h"

#include <algorithm>
#include <cstring>

namespace interlock::audit {
namespace {

constexpr std::size_t kBlock = 512;
constexpr std::size_t kFileBytesMax = 0x3FFF'FFFF;  // ten octal digits

bool IsNameChar(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '_' || c == '-';
}

bool IsName(std::string_view name) {
  if (name.empty() || name.size() > kTarNameMax) return false;
  while (true) {
    const std::size_t slash = name.find('/');
    const std::string_view part = name.substr(0, slash);
    if (part.empty() || part == "." || part == ".." ||
        !std::all_of(part.begin(), part.end(), IsNameChar)) {
      return false;
    }
    if (slash == std::string_view::npos) return true;
    name.remove_prefix(slash + 1);
  }
}

void PutOctal(std::size_t value, std::size_t digits, char* at) {
  for (std::size_t i = digits; i-- > 0; value >>= 3) at[i] = static_cast<char>('0' + (value & 7));
}

// IEEE Std 1003.1, pax, "ustar Interchange Format". The sum is taken with its own field as spaces.
std::string Header(std::string_view name, std::size_t size) {
  std::string block(kBlock, '\0');
  std::memcpy(block.data(), name.data(), name.size());
  PutOctal(0644, 7, &block[100]);
  PutOctal(0, 7, &block[108]);
  PutOctal(0, 7, &block[116]);
  PutOctal(size, 11, &block[124]);
  PutOctal(0, 11, &block[136]);
  std::memset(&block[148], ' ', 8);
  block[156] = '0';
  std::memcpy(&block[257], "ustar\00000", 8);
  std::size_t sum = 0;
  for (const char c : block) sum += static_cast<unsigned char>(c);
  PutOctal(sum, 6, &block[148]);
  block[154] = '\0';
  return block;
}

std::size_t Padding(std::size_t size) { return (kBlock - size % kBlock) % kBlock; }

core::Status Odd(std::size_t offset) {
  return core::InvalidArgument("not a bundle's tar: unexpected bytes at offset " +
                               std::to_string(offset));
}

bool AllZero(std::string_view bytes) {
  return bytes.find_first_not_of('\0') == std::string_view::npos;
}

}  // namespace

core::StatusOr<std::string> WriteTar(std::vector<TarFile> files) {
  if (files.size() > kTarFilesMax) return core::ResourceExhausted("too many files for one bundle");
  std::sort(files.begin(), files.end(),
            [](const TarFile& a, const TarFile& b) { return a.name < b.name; });
  std::size_t total = 2 * kBlock;
  for (std::size_t i = 0; i < files.size(); ++i) {
    if (!IsName(files[i].name) || (i > 0 && files[i].name == files[i - 1].name)) {
      return core::InvalidArgument("file name `" + files[i].name + "` is not allowed or twice");
    }
    total += kBlock + files[i].bytes.size() + Padding(files[i].bytes.size());
    if (files[i].bytes.size() > kFileBytesMax || total > kTarBytesMax) {
      return core::ResourceExhausted("the bundle is above 512 MiB; ask for less");
    }
  }
  std::string archive;
  archive.reserve(total);
  for (const TarFile& file : files) {
    archive += Header(file.name, file.bytes.size());
    archive += file.bytes;
    archive.append(Padding(file.bytes.size()), '\0');
  }
  archive.append(2 * kBlock, '\0');
  return archive;
}

core::StatusOr<std::vector<TarFile>> ReadTar(std::string_view archive) {
  if (archive.size() > kTarBytesMax) return core::ResourceExhausted("the bundle is above 512 MiB");
  std::vector<TarFile> files;
  std::size_t at = 0;
  while (archive.size() - at >= kBlock && !AllZero(archive.substr(at, kBlock))) {
    const std::string_view header = archive.substr(at, kBlock);
    const std::string_view name = header.substr(0, header.substr(0, 100).find('\0'));
    std::size_t size = 0;
    for (const char c : header.substr(124, 11))
      size = size * 8 + static_cast<unsigned char>(c) - '0';
    if (!IsName(name) || size > kFileBytesMax || header != Header(name, size)) return Odd(at);
    if (!files.empty() && name <= files.back().name) return Odd(at);
    if (files.size() == kTarFilesMax)
      return core::ResourceExhausted("too many files in the bundle");
    at += kBlock;
    const std::size_t padding = Padding(size);
    if (archive.size() - at < size + padding) return Odd(at);
    if (!AllZero(archive.substr(at + size, padding))) return Odd(at + size);
    files.push_back({std::string(name), std::string(archive.substr(at, size))});
    at += size + padding;
  }
  if (archive.size() - at != 2 * kBlock || !AllZero(archive.substr(at))) return Odd(at);
  return files;
}

}  // namespace interlock::audit
