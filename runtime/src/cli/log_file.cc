#include "cli/log_file.h"

#include <google/protobuf/util/time_util.h>

#include <algorithm>

#include "audit/rotate.h"
#include "engine/archives.h"
#include "engine/call_query.h"
#include "engine/entry_pager.h"

namespace interlock::runtime::cli {
namespace {

constexpr int kCallsPage = 1000;

using google::protobuf::util::TimeUtil;

wire::Entry WireEntry(const audit::Entry& entry) {
  wire::Entry out;
  out.set_index(static_cast<std::int64_t>(entry.index));
  *out.mutable_create_time() = TimeUtil::MicrosecondsToTimestamp(entry.time_us);
  out.set_kind(entry.kind);
  out.set_run(entry.run);
  out.set_run_seq(entry.run_seq);
  out.set_entry_json(entry.bytes);
  out.set_leaf_hash(std::string(core::AsBytes(entry.leaf_hash)));
  return out;
}

wire::AuditedCall WireCall(const AuditedCall& call) {
  wire::AuditedCall out;
  out.set_name(call.call);
  out.set_run(call.run);
  out.set_tool(call.tool);
  out.set_agent(call.agent);
  out.set_principal(call.principal);
  out.set_subject(call.subject);
  out.set_verdict(call.verdict);
  out.set_code(call.code);
  out.set_outcome(call.outcome);
  out.set_effect(call.effect);
  for (const std::string& rule : call.rules) out.add_rules(rule);
  for (const std::string& approver : call.approvers) out.add_approvers(approver);
  out.set_amount_minor(call.amount_minor);
  out.set_currency(call.currency);
  *out.mutable_create_time() = TimeUtil::MicrosecondsToTimestamp(call.create_time_us);
  *out.mutable_update_time() = TimeUtil::MicrosecondsToTimestamp(call.update_time_us);
  out.set_proposed_index(call.proposed_index);
  out.set_decided_index(call.decided_index);
  out.set_outcome_index(call.outcome_index);
  return out;
}

}  // namespace

core::StatusOr<std::string> OriginOfFile(const std::string& file) {
  INTERLOCK_ASSIGN_OR_RETURN(const auto log, audit::OpenArchive(file));
  return OriginOf(*log);
}

core::StatusOr<wire::Entry> ReadEntryOf(const std::string& file, std::uint64_t index) {
  INTERLOCK_ASSIGN_OR_RETURN(const auto log, audit::OpenArchive(file));
  INTERLOCK_ASSIGN_OR_RETURN(const audit::Entry entry, log->Read(index));
  return WireEntry(entry);
}

core::Status EachEntryOf(const std::string& file, const std::string& run,
                         const std::function<bool(const wire::Entry&)>& each) {
  INTERLOCK_ASSIGN_OR_RETURN(const auto log, audit::OpenArchive(file));
  EntryPager pager(*log, run);
  for (;;) {
    INTERLOCK_ASSIGN_OR_RETURN(const std::vector<audit::Entry> entries, pager.Next());
    if (entries.empty()) return core::OkStatus();
    for (const audit::Entry& entry : entries) {
      if (!each(WireEntry(entry))) return core::OkStatus();
    }
  }
}

core::StatusOr<bool> EachCallOf(const std::string& file, const std::string& filter, int limit,
                                const std::function<void(const wire::AuditedCall&)>& each) {
  // Without the tenant's key no name has an HMAC: nothing would match, and read as "no calls".
  std::string plain;
  INTERLOCK_ASSIGN_OR_RETURN(
      const SqlFilter compiled,
      CompileCallFilter(filter, [&](std::string_view purpose, std::string_view text) {
        plain = purpose;
        return std::string(text);
      }));
  if (!plain.empty()) {
    return core::InvalidArgument("people are HMACs in a file; give the `" + plain +
                                 "` as its HMAC of 64 hex digits, or ask the daemon");
  }
  INTERLOCK_ASSIGN_OR_RETURN(const auto log, audit::OpenArchive(file));
  PageSpec page;
  for (int left = limit; left > 0;) {
    page.size = std::min(left, kCallsPage);
    INTERLOCK_ASSIGN_OR_RETURN(const Page<AuditedCall> found, QueryCallsOf(*log, compiled, page));
    for (const AuditedCall& call : found.items) each(WireCall(call));
    left -= static_cast<int>(found.items.size());
    page.cursor = found.next_cursor;
    if (page.cursor.empty()) return false;
  }
  return true;
}

}  // namespace interlock::runtime::cli
