// How one log follows another: names of files and origins, and the entries with which a log ends
// and the next one begins (docs/audit_format.md, "Rotation").
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "audit/verify.h"
#include "entry_text.h"
#include "findings.h"

namespace interlock::audit {

inline constexpr std::string_view kOpenedKind = "log.opened";
inline constexpr std::string_view kCarriedKind = "state.carried";
inline constexpr std::string_view kClosedKind = "log.closed";
inline constexpr std::int64_t kCarriedFormat = 1;
inline constexpr std::uint64_t kLogsMax = 9999;  // of a folder

// The first log has the origin of its folder, later ones "/2", "/3", … after it.
std::string OriginOf(std::string_view base, std::uint64_t number);
// The number of the log with this origin; nullopt when it is none of `base`.
std::optional<std::uint64_t> LogNumber(std::string_view origin, std::string_view base);
// "audit-0001.db"
std::string ArchiveName(std::uint64_t number);

// Names what a log carries: SHA-256 over the SHA-256 of each body.
class CarriedDigest {
 public:
  void Add(std::string_view body);
  std::string Name() const;
  std::uint64_t entries() const { return hashes_.size() / 32; }

 private:
  std::string hashes_;
};

std::string CarriedObject(const CarriedDigest& carried);
// nullopt for a body that does not have the form.
std::optional<Opening> ReadOpening(std::string_view body);
// The digest of what the log closed with.
std::optional<std::string> ReadClosing(std::string_view body);

// The rules of these entries within one log. Entries come in order. One per thread.
class SuccessionCheck {
 public:
  explicit SuccessionCheck(Findings* findings) : findings_(findings) {}

  // Whether Next must see the entry, whatever its kind.
  bool Concerns(std::uint64_t index) const {
    return index <= carried_entries_ || closed_at_.has_value();
  }
  void Next(std::uint64_t index, const ParsedEntry& entry);
  void End(std::uint64_t size);

  const std::optional<Opening>& opening() const { return opening_; }
  const std::optional<std::string>& closed_with() const { return closed_with_; }

 private:
  Findings* const findings_;
  std::optional<Opening> opening_;
  std::optional<std::string> closed_with_;
  std::optional<std::uint64_t> closed_at_;
  std::uint64_t carried_entries_ = 0;
  CarriedDigest carried_;
};

}  // namespace interlock::audit
