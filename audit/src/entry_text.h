// The bytes of an entry: written by text append, read back by one strict pass. Format:
// docs/audit_format.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "audit/log.h"
#include "audit/payload_key.h"
#include "core/digest.h"
#include "core/status.h"

namespace interlock::audit {

inline constexpr int kEntryVersion = 1;
inline constexpr std::size_t kKindBytesMax = 64;
inline constexpr std::size_t kActorBytesMax = 256;
inline constexpr std::string_view kHeartbeatKind = "checkpoint.heartbeat";
inline constexpr std::string_view kMigratedKind = "log.migrated";

// A tenant's name: a word of a-z, 0-9, `-` and `_`, of at most 64 bytes. It needs no escape in
// JSON, so that a part of an entry and a decoded text compare alike.
bool IsTenantName(std::string_view name);

// What the log adds to an entry.
struct Envelope {
  std::uint64_t index = 0;
  std::int64_t time_us = 0;
  std::int64_t run_seq = -1;
  std::string_view tenant;
  std::string_view prev;  // hex, or empty for the first entry of a run and entries of no run
};

// Where the parts stand in the bytes.
struct Span {
  std::size_t at = 0;
  std::size_t size = 0;
  std::string_view In(std::string_view bytes) const { return bytes.substr(at, size); }
};
struct EntryLayout {
  Span body;
  Span kind;
  Span run;
};

// The members of the body. Errors (kInvalidArgument, naming the field): kind not [a-z_.]+, actor
// empty or too long, cites not sorted digest names, body not a canonical object (see canonical.h).
// The run is the caller's to check: once, and not with each of its entries.
core::StatusOr<core::JsonObjectView> CheckNewEntry(const NewEntry& entry);

// Appends the entry's bytes to `out`. Precondition: CheckNewEntry. Spans count from the entry's
// first byte.
EntryLayout AppendEntry(const NewEntry& entry, const Envelope& envelope, std::string& out);

// An entry read back; views into the bytes.
struct ParsedEntry {
  std::string_view actor;
  std::string_view body;
  std::string_view cites;
  std::string_view kind;
  std::string_view run;
  Envelope envelope;
};

// Accepts exactly what AppendEntry writes (with any kind); nullopt for all other bytes.
std::optional<ParsedEntry> ParseEntry(std::string_view bytes);

}  // namespace interlock::audit
