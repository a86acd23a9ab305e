#include "plan.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "message.h"

namespace interlock::sandbox {

std::string EncodeGo(const Go& go) {
  Writer writer;
  writer.Text(EncodeRun(go.request));
  writer.U32(go.has_input ? 1 : 0);
  writer.U32(go.mounts_are_fds ? 1 : 0);
  writer.I64(go.tasks_max);
  writer.U32(go.memory_by_rlimit ? 1 : 0);
  writer.U32(go.uid);
  writer.U32(go.gid);
  return writer.bytes();
}

bool DecodeGo(std::string_view bytes, Go& go) {
  Reader reader(bytes);
  const std::string run = reader.Text();
  Reader run_reader(run);
  run_reader.U32();  // message kind
  std::optional<RunRequest> request = DecodeRun(run_reader);
  if (!request) return false;
  go.request = std::move(*request);
  go.has_input = reader.U32() != 0;
  go.mounts_are_fds = reader.U32() != 0;
  go.tasks_max = reader.I64();
  go.memory_by_rlimit = reader.U32() != 0;
  go.uid = reader.U32();
  go.gid = reader.U32();
  return reader.finished();
}

void SendReport(int socket, const Report& report) {
  SendMessage(socket, std::string_view(reinterpret_cast<const char*>(&report), sizeof report), {},
              0);
}

void Steps::Fail(const char* step, const char* object) const {
  Report report;
  report.kind = ReportKind::kFailed;
  report.error = errno;
  std::snprintf(report.step, sizeof report.step, "%s%s%s", step, *object == '\0' ? "" : " ",
                object);
  SendReport(socket_, report);
  ::_exit(1);
}

}  // namespace interlock::sandbox
