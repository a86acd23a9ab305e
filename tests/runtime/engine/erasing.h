// What tests of erasure and retention look at: files, keys, what is found.
#pragma once

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <iterator>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "audit/keys.h"
#include "audit/verify.h"
#include "harness.h"
#include "runtime/projectors.h"

namespace interlock::runtime::test {

inline constexpr const char* kAllowAll = R"(
policy "open" { version = "1", owner = "tests", tools = { "*" }, default = "deny" }
on("*", "everything", function(c) return allow() end)
)";
inline std::vector<std::pair<std::string, std::string>> FilesOf(const std::string& folder) {
  std::vector<std::pair<std::string, std::string>> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    std::ifstream in(entry.path(), std::ios::binary);
    files.emplace_back(entry.path().string(), std::string(std::istreambuf_iterator<char>(in), {}));
  }
  return files;
}

// Files that hold the bytes, whatever the case of letters (an index folds it).
inline std::vector<std::string> FilesWith(const std::string& folder, const std::string& needle) {
  const auto lower = [](std::string text) {
    for (char& c : text) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
    return text;
  };
  std::vector<std::string> found;
  for (const auto& [path, bytes] : FilesOf(folder)) {
    if (lower(bytes).find(lower(needle)) != std::string::npos) found.push_back(path);
  }
  return found;
}

template <typename T>
core::StatusOr<T> Wait(const std::function<void(Reply<T>)>& start) {
  std::promise<core::StatusOr<T>> promise;
  start([&](core::StatusOr<T> value) { promise.set_value(std::move(value)); });
  return promise.get_future().get();
}

inline core::StatusOr<Erasure> Erase(Harness& h, const std::string& subject,
                                     std::string request = "") {
  return Wait<Erasure>([&](Reply<Erasure> reply) {
    h.engine().EraseSubject(
        h.operator_one,
        {.subject = subject, .reason = "asked", .legal_basis = "Art. 17", .request_id = request},
        std::move(reply));
  });
}

inline constexpr std::int64_t kMonthMicros = 2'629'746ll * 1'000'000;

inline core::StatusOr<RetentionReport> ApplyRetention(Harness& h, bool validate_only) {
  return Wait<RetentionReport>([&](Reply<RetentionReport> reply) {
    h.engine().ApplyRetention(h.operator_one, validate_only, std::move(reply));
  });
}

inline core::StatusOr<FoundTexts> Search(Harness& h, const std::string& text) {
  return Wait<FoundTexts>([&](Reply<FoundTexts> reply) {
    h.engine().SearchCalls(h.auditor, {}, text, std::move(reply));
  });
}

inline std::vector<AuditedCall> Query(Harness& h, const std::string& filter) {
  const auto page = h.engine().QueryCalls(h.operator_one, {}, filter);
  EXPECT_TRUE(page.ok()) << page.status();
  return page.ok() ? page->items : std::vector<AuditedCall>{};
}

inline audit::VerifyReport VerifyFolder(const std::string& folder) {
  const auto projectors = MakeProjectors();
  audit::VerifyOptions options;
  options.database = folder + "/audit.db";
  for (const auto& projector : projectors) options.projectors.push_back(projector.get());
  return audit::Verify(options);
}

// The wrapped keys that stand in keys.db, by key id.
inline std::map<std::string, std::string> WrappedKeys(const std::string& folder) {
  std::map<std::string, std::string> keys;
  sqlite3* db = nullptr;
  EXPECT_EQ(sqlite3_open_v2((folder + "/keys.db").c_str(), &db, SQLITE_OPEN_READONLY, nullptr),
            SQLITE_OK);
  sqlite3_stmt* select = nullptr;
  sqlite3_prepare_v2(db, "SELECT key_id, wrapped FROM data_key WHERE wrapped IS NOT NULL", -1,
                     &select, nullptr);
  while (sqlite3_step(select) == SQLITE_ROW) {
    keys[reinterpret_cast<const char*>(sqlite3_column_text(select, 0))] =
        std::string(static_cast<const char*>(sqlite3_column_blob(select, 1)),
                    static_cast<std::size_t>(sqlite3_column_bytes(select, 1)));
  }
  sqlite3_finalize(select);
  sqlite3_close(db);
  return keys;
}

inline ToolSpec Write(std::string name) {
  return {.name = std::move(name), .effect = tools::Effect::kWrite};
}

}  // namespace interlock::runtime::test
