// Calls as auditors take them away: a table, JSON lines, CSV, OCSF.
#pragma once

#include <string>

#include "cli/client.h"
#include "cli/io.h"

namespace interlock::runtime::cli {

enum class CallFormat { kTable, kJsonLines, kCsv, kOcsf };

inline constexpr const char* kOcsfVersion = "1.3.0";

// One OCSF API Activity event (class_uid 6003) of kOcsfVersion.
core::Json OcsfEvent(const wire::AuditedCall& call);
// One RFC 4180 line without its end, and the one that names its columns. A cell that a spreadsheet
// would take for a formula gets a leading apostrophe.
std::string CsvLine(const wire::AuditedCall& call);
std::string CsvHead();

class CallPrinter {
 public:
  CallPrinter(const Io& io, CallFormat format);
  void Add(const wire::AuditedCall& call);
  void End();  // a table is printed whole

 private:
  const Io& io_;
  const CallFormat format_;
  Table table_;
};

}  // namespace interlock::runtime::cli
