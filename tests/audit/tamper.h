// What an attacker does to a closed log with a program of their own: no authorizer, triggers
// dropped and put back, hashes recomputed.
#pragma once

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <string>
#include <vector>

#include "audit/merkle.h"

namespace interlock::audit {

class RawDb {
 public:
  explicit RawDb(const std::string& path) {
    EXPECT_EQ(sqlite3_open(path.c_str(), &db_), SQLITE_OK);
  }
  ~RawDb() { sqlite3_close(db_); }
  RawDb(const RawDb&) = delete;
  RawDb& operator=(const RawDb&) = delete;

  // The error text, or empty.
  std::string Try(const std::string& sql) {
    char* error = nullptr;
    const int rc = sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, &error);
    std::string text = rc == SQLITE_OK ? "" : (error == nullptr ? "error" : error);
    sqlite3_free(error);
    return text;
  }
  void Do(const std::string& sql) { EXPECT_EQ(Try(sql), "") << sql; }

  std::vector<std::string> Column(const std::string& sql) {
    std::vector<std::string> out;
    sqlite3_stmt* statement = nullptr;
    EXPECT_EQ(sqlite3_prepare_v2(db_, sql.c_str(), -1, &statement, nullptr), SQLITE_OK) << sql;
    while (sqlite3_step(statement) == SQLITE_ROW) {
      const auto* data = static_cast<const char*>(sqlite3_column_blob(statement, 0));
      out.emplace_back(data == nullptr ? "" : data,
                       static_cast<std::size_t>(sqlite3_column_bytes(statement, 0)));
    }
    sqlite3_finalize(statement);
    return out;
  }

  // Runs the edits with all triggers gone, and puts those back.
  void DoWithoutTriggers(const std::vector<std::string>& edits) {
    const auto triggers = Column("SELECT sql FROM sqlite_schema WHERE type = 'trigger'");
    for (const std::string& name :
         Column("SELECT name FROM sqlite_schema WHERE type = 'trigger'")) {
      Do("DROP TRIGGER " + name);
    }
    for (const std::string& edit : edits) Do(edit);
    for (const std::string& trigger : triggers) Do(trigger);
  }

  // SQL that stores `bytes` as entry `index` with a hash that fits.
  static std::string Rewrite(std::uint64_t index, const std::string& bytes) {
    return "UPDATE entry SET bytes = x'" + core::Hex(bytes) + "', hash = x'" +
           core::Hex(LeafHash(bytes)) + "' WHERE idx = " + std::to_string(index);
  }
  std::string EntryBytes(std::uint64_t index) {
    return Column("SELECT bytes FROM entry WHERE idx = " + std::to_string(index)).at(0);
  }

 private:
  sqlite3* db_ = nullptr;
};

inline std::string Replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  if (at != std::string::npos) text.replace(at, from.size(), to);
  return text;
}

}  // namespace interlock::audit
