#include "wire.h"

#include <cstring>

namespace interlock::sandbox {
namespace {
constexpr std::uint32_t kItemsMax = 4096;
constexpr std::size_t kPathBytesMax = 4095;

Writer Begin(MessageKind kind) {
  Writer writer;
  writer.U32(static_cast<std::uint32_t>(kind));
  return writer;
}

// A count that the reader can still hold: wrong counts must not make us allocate.
std::uint32_t Count(Reader& reader) {
  const std::uint32_t count = reader.U32();
  return reader.ok() && count <= kItemsMax ? count : 0;
}

bool NormalAbsolute(std::string_view path) {
  if (path.empty() || path.front() != '/' || path.size() > kPathBytesMax) return false;
  if (path.size() > 1 && path.back() == '/') return false;
  std::string_view rest = path.substr(1);
  while (!rest.empty()) {
    const std::size_t slash = rest.find('/');
    const std::string_view part = rest.substr(0, slash);
    if (part.empty() || part == "." || part == "..") return false;
    rest = slash == std::string_view::npos ? std::string_view() : rest.substr(slash + 1);
  }
  return path.find('\0') == std::string_view::npos;
}

bool IsOrIsBeneath(std::string_view path, std::string_view folder) {
  return path.starts_with(folder) && (path.size() == folder.size() || path[folder.size()] == '/');
}

std::string MountProblem(const Mount& mount) {
  if (!NormalAbsolute(mount.host_path)) {
    return "mount source `" + mount.host_path + "` is not a normal absolute path";
  }
  if (!NormalAbsolute(mount.box_path)) {
    return "mount target `" + mount.box_path + "` is not a normal absolute path";
  }
  for (const std::string_view taken : {"/proc", "/dev", "/sys"}) {
    if (IsOrIsBeneath(mount.box_path, taken)) {
      return "mount target `" + mount.box_path + "` belongs to the box";
    }
  }
  for (const std::string_view taken : {"/", "/usr", "/etc", "/tmp", "/bin", "/sbin", "/lib"}) {
    if (mount.box_path == taken) return "mount target `" + mount.box_path + "` belongs to the box";
  }
  const Quota& quota = mount.quota;
  if (quota.bytes == 0) return "";
  if (mount.access != Access::kReadWrite) {
    return "mount `" + mount.host_path + "` is read-only and needs no quota";
  }
  if (quota.bytes < 0 || quota.files < 1 || quota.files > kQuotaFilesMax) {
    return "the quota of mount `" + mount.host_path + "` must be 1 byte or more, 1 to " +
           std::to_string(kQuotaFilesMax) + " files";
  }
  return "";
}

std::string LimitsProblem(const Limits& limits) {
  const std::pair<const char*, std::int64_t> all[] = {
      {"wall_ms", limits.wall_ms},           {"cpu_ms", limits.cpu_ms},
      {"memory_bytes", limits.memory_bytes}, {"pids", limits.pids},
      {"stdout_bytes", limits.stdout_bytes}, {"stderr_bytes", limits.stderr_bytes},
      {"file_bytes", limits.file_bytes},     {"tmp_bytes", limits.tmp_bytes},
      {"tmp_inodes", limits.tmp_inodes}};
  for (const auto& [name, value] : all) {
    if (value <= 0 || value > (std::int64_t{1} << 42)) {
      return std::string("limit `") + name + "` must be between 1 and 2^42";
    }
  }
  constexpr std::int64_t kStreamBytesMax = 64 << 20;  // kept in the launcher's memory
  if (limits.stdout_bytes > kStreamBytesMax || limits.stderr_bytes > kStreamBytesMax) {
    return "an output limit is above 64 MiB";
  }
  return "";
}

std::string WordsProblem(const BoxSpec& spec) {
  std::size_t argv_bytes = 0;
  for (const std::string& word : spec.argv) {
    argv_bytes += word.size() + 1;
    if (word.find('\0') != std::string::npos) return "an argument holds a NUL byte";
  }
  std::size_t env_bytes = 0;
  for (const auto& [name, value] : spec.env) {
    env_bytes += name.size() + value.size() + 2;
    if (name.empty() || name.find_first_of(std::string_view("=\0", 2)) != std::string::npos ||
        value.find('\0') != std::string::npos) {
      return "environment variable `" + name + "` is malformed";
    }
  }
  if (argv_bytes > kArgvBytesMax || spec.argv.size() > kItemsMax) return "argv is above 64 KiB";
  if (env_bytes > kArgvBytesMax || spec.env.size() > kItemsMax) return "env is above 64 KiB";
  return "";
}
}  // namespace

std::string Reader::Text() {
  const std::uint32_t size = U32();
  if (!ok_ || size > rest_.size()) {
    ok_ = false;
    return "";
  }
  std::string text(rest_.substr(0, size));
  rest_.remove_prefix(size);
  return text;
}

template <typename T>
T Reader::Number() {
  T value{};
  if (!ok_ || rest_.size() < sizeof value) {
    ok_ = false;
    return T{};
  }
  std::memcpy(&value, rest_.data(), sizeof value);
  rest_.remove_prefix(sizeof value);
  return value;
}
template std::uint32_t Reader::Number<std::uint32_t>();
template std::uint64_t Reader::Number<std::uint64_t>();
template std::int64_t Reader::Number<std::int64_t>();

std::string SpecProblem(const BoxSpec& spec) {
  if (spec.argv.empty() || !NormalAbsolute(spec.argv[0])) {
    return "argv[0] must be a normal absolute path inside the box, such as /bin/sh";
  }
  if (!NormalAbsolute(spec.work_dir)) return "work_dir must be a normal absolute path";
  if (spec.stdin_bytes.size() > kStdinBytesMax) return "stdin is above 1 MiB";
  if (spec.input != nullptr && !spec.stdin_bytes.empty()) return "give one of stdin and input";
  if (spec.mounts.size() > kMountsMax) return "more than 64 mounts";
  if (spec.destinations.size() > kDestinationsMax) return "more than 16 destinations";
  if (std::string problem = WordsProblem(spec); !problem.empty()) return problem;
  for (const Mount& mount : spec.mounts) {
    if (std::string problem = MountProblem(mount); !problem.empty()) return problem;
  }
  return LimitsProblem(spec.limits);
}

std::string EncodeRun(const RunRequest& request) {
  const BoxSpec& spec = request.spec;
  Writer writer = Begin(MessageKind::kRun);
  writer.U64(request.id);
  writer.U32(static_cast<std::uint32_t>(spec.profile));
  writer.U32(static_cast<std::uint32_t>(spec.level_min));
  writer.U32(static_cast<std::uint32_t>(spec.argv.size()));
  for (const std::string& word : spec.argv) writer.Text(word);
  writer.U32(static_cast<std::uint32_t>(spec.env.size()));
  for (const auto& [name, value] : spec.env) {
    writer.Text(name);
    writer.Text(value);
  }
  writer.U32(static_cast<std::uint32_t>(spec.mounts.size()));
  for (const Mount& mount : spec.mounts) {
    writer.Text(mount.host_path);
    writer.Text(mount.box_path);
    writer.U32(static_cast<std::uint32_t>(mount.access));
    writer.I64(mount.quota.bytes);
    writer.I64(mount.quota.files);
  }
  writer.Text(spec.work_dir);
  const Limits& l = spec.limits;
  for (const std::int64_t value : {l.wall_ms, l.cpu_ms, l.memory_bytes, l.pids, l.stdout_bytes,
                                   l.stderr_bytes, l.file_bytes, l.tmp_bytes, l.tmp_inodes}) {
    writer.I64(value);
  }
  writer.U32(request.has_channel ? 1 : 0);
  writer.U32(request.streams ? 1 : 0);
  return writer.bytes();
}

std::optional<RunRequest> DecodeRun(Reader& reader) {
  RunRequest request;
  BoxSpec& spec = request.spec;
  request.id = reader.U64();
  const std::uint32_t profile = reader.U32();
  const std::uint32_t level = reader.U32();
  if (profile >= kProfiles || level > static_cast<std::uint32_t>(Level::kFull)) return std::nullopt;
  spec.profile = static_cast<Profile>(profile);
  spec.level_min = static_cast<Level>(level);
  for (std::uint32_t n = Count(reader); n > 0; --n) spec.argv.push_back(reader.Text());
  for (std::uint32_t n = Count(reader); n > 0; --n) {
    std::string name = reader.Text();
    spec.env.emplace_back(std::move(name), reader.Text());
  }
  for (std::uint32_t n = Count(reader); n > 0; --n) {
    Mount mount;
    mount.host_path = reader.Text();
    mount.box_path = reader.Text();
    mount.access = reader.U32() == 0 ? Access::kReadOnly : Access::kReadWrite;
    mount.quota.bytes = reader.I64();
    mount.quota.files = reader.I64();
    spec.mounts.push_back(std::move(mount));
  }
  spec.work_dir = reader.Text();
  Limits& l = spec.limits;
  for (std::int64_t* value : {&l.wall_ms, &l.cpu_ms, &l.memory_bytes, &l.pids, &l.stdout_bytes,
                              &l.stderr_bytes, &l.file_bytes, &l.tmp_bytes, &l.tmp_inodes}) {
    *value = reader.I64();
  }
  request.has_channel = reader.U32() != 0;
  request.streams = reader.U32() != 0;
  if (!reader.finished()) return std::nullopt;
  return request;
}

std::string EncodeHello(const Hello& hello) {
  Writer writer = Begin(MessageKind::kHello);
  writer.U32(hello.version);
  writer.U32(static_cast<std::uint32_t>(hello.capabilities.level));
  writer.U32(static_cast<std::uint32_t>(hello.capabilities.features.size()));
  for (const Feature& feature : hello.capabilities.features) {
    writer.Text(feature.name);
    writer.U32(feature.available ? 1 : 0);
    writer.Text(feature.detail);
    writer.Text(feature.fix);
  }
  writer.U32(static_cast<std::uint32_t>(hello.cgroups.size()));
  for (const std::string& path : hello.cgroups) writer.Text(path);
  writer.U32(static_cast<std::uint32_t>(hello.filter_bytes.size()));
  for (const std::string& filter : hello.filter_bytes) writer.Text(filter);
  return writer.bytes();
}

std::optional<Hello> DecodeHello(Reader& reader) {
  Hello hello;
  hello.version = reader.U32();
  const std::uint32_t level = reader.U32();
  if (hello.version != kWireVersion || level > static_cast<std::uint32_t>(Level::kFull)) {
    return std::nullopt;
  }
  hello.capabilities.level = static_cast<Level>(level);
  for (std::uint32_t n = Count(reader); n > 0; --n) {
    Feature feature;
    feature.name = reader.Text();
    feature.available = reader.U32() != 0;
    feature.detail = reader.Text();
    feature.fix = reader.Text();
    hello.capabilities.features.push_back(std::move(feature));
  }
  for (std::uint32_t n = Count(reader); n > 0; --n) hello.cgroups.push_back(reader.Text());
  for (std::uint32_t n = Count(reader); n > 0; --n) hello.filter_bytes.push_back(reader.Text());
  if (!reader.finished() || hello.filter_bytes.size() != kProfiles) return std::nullopt;
  return hello;
}

std::string EncodeResult(const ResultMessage& message) {
  const BoxResult& r = message.result;
  Writer writer = Begin(MessageKind::kResult);
  writer.U64(message.id);
  writer.U32(static_cast<std::uint32_t>(r.kind));
  writer.I64(r.value);
  writer.Text(r.detail);
  writer.U32(static_cast<std::uint32_t>(r.level));
  for (const std::int64_t value :
       {r.stdout_dropped, r.stderr_dropped, r.wall_us, r.cpu_us, r.memory_peak_bytes}) {
    writer.I64(value);
  }
  writer.U32(static_cast<std::uint32_t>(r.refused.size()));
  for (const std::string& name : r.refused) writer.Text(name);
  writer.U32(message.outputs_in_fd);
  writer.U64(message.stdout_size);
  writer.U64(message.stderr_size);
  const bool in_message = message.outputs_in_fd == 0;
  writer.Text(in_message ? std::string_view(r.stdout_bytes) : std::string_view());
  writer.Text(in_message ? std::string_view(r.stderr_bytes) : std::string_view());
  return writer.bytes();
}

std::optional<ResultMessage> DecodeResult(Reader& reader) {
  ResultMessage message;
  BoxResult& r = message.result;
  message.id = reader.U64();
  const std::uint32_t kind = reader.U32();
  r.value = static_cast<int>(reader.I64());
  r.detail = reader.Text();
  const std::uint32_t level = reader.U32();
  if (kind > static_cast<std::uint32_t>(EndKind::kLost) ||
      level > static_cast<std::uint32_t>(Level::kFull)) {
    return std::nullopt;
  }
  r.kind = static_cast<EndKind>(kind);
  r.level = static_cast<Level>(level);
  for (std::int64_t* value :
       {&r.stdout_dropped, &r.stderr_dropped, &r.wall_us, &r.cpu_us, &r.memory_peak_bytes}) {
    *value = reader.I64();
  }
  for (std::uint32_t n = Count(reader); n > 0; --n) r.refused.push_back(reader.Text());
  message.outputs_in_fd = reader.U32();
  message.stdout_size = reader.U64();
  message.stderr_size = reader.U64();
  r.stdout_bytes = reader.Text();
  r.stderr_bytes = reader.Text();
  if (!reader.finished()) return std::nullopt;
  return message;
}

std::string EncodeOutput(const OutputMessage& message) {
  Writer writer = Begin(MessageKind::kOutput);
  writer.U64(message.id);
  writer.U32(message.is_stderr ? 1 : 0);
  writer.Text(message.bytes);
  return writer.bytes();
}

std::optional<OutputMessage> DecodeOutput(Reader& reader) {
  OutputMessage message;
  message.id = reader.U64();
  message.is_stderr = reader.U32() != 0;
  message.bytes = reader.Text();
  if (!reader.finished()) return std::nullopt;
  return message;
}

std::string EncodeCancel(std::uint64_t id) {
  Writer writer = Begin(MessageKind::kCancel);
  writer.U64(id);
  return writer.bytes();
}

std::string EncodeShutdown() { return Begin(MessageKind::kShutdown).bytes(); }

}  // namespace interlock::sandbox
