// What erasure does to the files (rule 21): the caller has destroyed a key, or decided that
// payloads are kept no longer.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "audit/log.h"
#include "core/status.h"

namespace interlock::audit {

inline constexpr std::size_t kErasedPerCommand = 2000;  // payload rows; 64 KiB of ids in an entry

// At most `max` payload rows (audit/payload_key.h) from `first` on that still hold ciphertext under
// this key, ascending. Reads the whole table: about a second a million rows.
core::StatusOr<std::vector<std::int64_t>> SealedUnder(const Log& log, std::string_view key_id,
                                                      std::int64_t first, std::size_t max);

// Ids of the keys that payload rows with ciphertext are sealed under. Reads the whole table.
core::StatusOr<std::set<std::string, std::less<>>> KeysIn(const Log& log);

// In a closed log: erases the ciphertext of these payload rows, or of all rows under a key. Durable
// when it returns; the entry of a later log that says so is durable before. Idempotent. The file
// stays read-only for all others. Return: rows that had ciphertext. Errors: kUnavailable while a
// reader is in the middle of a query; try again.
core::StatusOr<std::int64_t> EraseInArchive(const std::string& database,
                                            const std::vector<std::int64_t>& ids);
core::StatusOr<std::int64_t> EraseInArchive(const std::string& database, std::string_view key_id);

// Whether the file of a closed log can be written: asked before an entry says that something of it
// is erased. What a crash left half done in it is taken back. Changes nothing else.
core::Status CanEraseInArchive(const std::string& database);

// Copies what the write-ahead log holds into `audit.db` and truncates it to nothing: what was
// overwritten stands in no file of the folder any more. Holds the writer up for no longer than a
// commit of its own takes, and waits for nobody. Errors: kUnavailable while a reader needs the old
// pages, or others are just writing; try again.
core::Status EmptyWal(const std::string& folder);

// Processes other than this one that are in the middle of reading the log, as far as the system
// tells (/proc/locks), ascending.
std::vector<int> WalReaders(const std::string& folder);

}  // namespace interlock::audit
