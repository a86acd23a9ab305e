// A log's file read without a daemon: closed logs, snapshots. No content: that needs the keys, and
// opening it is recorded.
#pragma once

#include <functional>
#include <string>

#include "cli/client.h"
#include "core/status.h"

namespace interlock::runtime::cli {

// The name of the log, by which a daemon finds it among the closed ones.
core::StatusOr<std::string> OriginOfFile(const std::string& file);
// Errors: kNotFound for a file or entry that is not there.
core::StatusOr<wire::Entry> ReadEntryOf(const std::string& file, std::uint64_t index);
// In order, those of `run` or all, until `each` says false.
core::Status EachEntryOf(const std::string& file, const std::string& run,
                         const std::function<bool(const wire::Entry&)>& each);
// Newest first, at most `limit`; gives whether there are more. People are compared as HMACs.
// Errors: kInvalidArgument for a filter that is none; kInternal for the tables of another version.
core::StatusOr<bool> EachCallOf(const std::string& file, const std::string& filter, int limit,
                                const std::function<void(const wire::AuditedCall&)>& each);

}  // namespace interlock::runtime::cli
