// The right to run a tool is a value that only the gate can make, from a durable intent (rule 6).
//
// `PermitMint` is created once in main() and handed to the gate. A house test allows its name in
// the gate, in main and in tests only, so "a tool call that was not decided, allowed and recorded"
// does not compile.
#pragma once

#include <cstdint>
#include <string>

#include "core/digest.h"

namespace interlock::core {

// A permit that was not used 30 s after its intent is void: outcome `not_started` (rule 4).
inline constexpr std::int64_t kPermitLifeMicros = 30'000'000;

struct PermitTerms {
  std::string call_id;
  Digest tool_digest{};    // of the manifest that was decided on
  Digest args_digest{};    // SHA-256 of the canonical arguments
  Digest limits_digest{};  // of the execution limits written into the intent
  std::int64_t expires_monotonic_us = 0;
};

// Move-only proof that an intent for exactly this call is durable. The executor consumes it.
class Permit {
 public:
  Permit(Permit&& other) noexcept = default;
  Permit& operator=(Permit&&) noexcept = delete;
  Permit(const Permit&) = delete;
  Permit& operator=(const Permit&) = delete;

  const PermitTerms& terms() const { return terms_; }

 private:
  friend class PermitMint;
  explicit Permit(PermitTerms terms) : terms_(std::move(terms)) {}
  PermitTerms terms_;
};

// The right to run a look-up (a tool of effect `read`, named by the bundle) without a prior intent
// (rule 2).
class LookupPermit {
 public:
  LookupPermit(LookupPermit&&) noexcept = default;
  LookupPermit& operator=(LookupPermit&&) noexcept = delete;
  LookupPermit(const LookupPermit&) = delete;
  LookupPermit& operator=(const LookupPermit&) = delete;

  const PermitTerms& terms() const { return terms_; }

 private:
  friend class PermitMint;
  explicit LookupPermit(PermitTerms terms) : terms_(std::move(terms)) {}
  PermitTerms terms_;
};

// Resource type; thread-safe (holds no state).
class PermitMint {
 public:
  PermitMint() = default;
  PermitMint(const PermitMint&) = delete;
  PermitMint& operator=(const PermitMint&) = delete;

  // Precondition: the intent for `terms.call_id` is durable.
  Permit Mint(PermitTerms terms) const { return Permit(std::move(terms)); }
  // Precondition: the tool is of effect `read` and named by the bundle or manifest.
  LookupPermit MintLookup(PermitTerms terms) const { return LookupPermit(std::move(terms)); }
};

}  // namespace interlock::core
