// The launcher's protocol: fixed-width little-endian fields, every length checked. The two ends are
// built together, so there is no version to negotiate; kHello carries a number that must be equal.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sandbox/launcher.h"

namespace interlock::sandbox {

inline constexpr std::uint32_t kWireVersion = 4;
// Outputs up to this size travel in the result message, longer ones in a memfd beside it.
inline constexpr std::size_t kInlineOutputBytesMax = 96 << 10;
inline constexpr int kProfiles = 4;
inline constexpr int kPoolKinds = 2;  // boxes made ahead: for calls with mounts, and without

enum class MessageKind : std::uint32_t { kHello, kRun, kCancel, kShutdown, kResult, kOutput };

class Writer {
 public:
  // Once for a usual message: what grows by halves touches a page of the heap for each size.
  Writer() { bytes_.reserve(kUsualBytes); }
  void U32(std::uint32_t value) { Raw(&value, sizeof value); }
  void U64(std::uint64_t value) { Raw(&value, sizeof value); }
  void I64(std::int64_t value) { Raw(&value, sizeof value); }
  void Text(std::string_view text) {
    U32(static_cast<std::uint32_t>(text.size()));
    Raw(text.data(), text.size());
  }
  const std::string& bytes() const { return bytes_; }

 private:
  void Raw(const void* data, std::size_t size) {
    bytes_.append(static_cast<const char*>(data), size);
  }
  static constexpr std::size_t kUsualBytes = 1000;
  std::string bytes_;
};

// Reading past the end makes ok() false and yields zeros.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}
  std::uint32_t U32() { return Number<std::uint32_t>(); }
  std::uint64_t U64() { return Number<std::uint64_t>(); }
  std::int64_t I64() { return Number<std::int64_t>(); }
  std::string Text();
  bool ok() const { return ok_; }
  bool finished() const { return ok_ && rest_.empty(); }

 private:
  template <typename T>
  T Number();
  std::string_view rest_;
  bool ok_ = true;
};

// Why this specification cannot run anywhere, or empty. Checked at both ends.
std::string SpecProblem(const BoxSpec& spec);

struct RunRequest {
  std::uint64_t id = 0;
  // Without stdin_bytes: they come as a descriptor when there are any. Without what stays with the
  // daemon: destinations, addresses, on_output.
  BoxSpec spec;
  bool has_channel = false;  // the last descriptor is the way to the broker
  bool streams = false;      // output is told while it comes
};
std::string EncodeRun(const RunRequest& request);
std::optional<RunRequest> DecodeRun(Reader& reader);

struct Hello {
  std::uint32_t version = kWireVersion;
  Capabilities capabilities;
  std::vector<std::string> cgroups;       // removed by the daemon if the launcher could not
  std::vector<std::string> filter_bytes;  // one compiled seccomp program a profile
};
std::string EncodeHello(const Hello& hello);
std::optional<Hello> DecodeHello(Reader& reader);

struct ResultMessage {
  std::uint64_t id = 0;
  BoxResult result;                 // the digests are filled in by the daemon's side
  std::uint32_t outputs_in_fd = 0;  // 1: both outputs are in the descriptor, stdout first
  std::uint64_t stdout_size = 0;
  std::uint64_t stderr_size = 0;
};
std::string EncodeResult(const ResultMessage& message);
std::optional<ResultMessage> DecodeResult(Reader& reader);

struct OutputMessage {
  std::uint64_t id = 0;
  bool is_stderr = false;
  std::string bytes;  // at most kInlineOutputBytesMax
};
std::string EncodeOutput(const OutputMessage& message);
std::optional<OutputMessage> DecodeOutput(Reader& reader);

std::string EncodeCancel(std::uint64_t id);
std::string EncodeShutdown();

}  // namespace interlock::sandbox
