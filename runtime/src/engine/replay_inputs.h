// What stands in the place of keys, clock, random and transaction while a run is replayed: the
// recorded salts, times and ids.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "audit/keys.h"
#include "core/clock.h"
#include "core/random.h"

namespace interlock::runtime {

// Seals nothing: hands out marks, which CommitWith replaces by the commitments under recorded
// salts. Makes and changes no keys. Used by one thread.
class ReplayKeys final : public audit::KeyStore {
 public:
  explicit ReplayKeys(const audit::KeyStore& real) : real_(real) {}

  // In `body`, for the marks of `sealed`, what this content commits to under `salt`.
  void CommitWith(const audit::SealedPayload& sealed, std::string_view salt,
                  std::string& body) const;
  // What it was made of.
  const std::string& ContentOf(const audit::SealedPayload& sealed) const;
  // The key of one subject, by the id that the run's entries name.
  static std::shared_ptr<const audit::SubjectKey> KeyOfId(std::string key_id);

  core::StatusOr<std::shared_ptr<const audit::SubjectKey>> KeyFor(
      std::string_view subject) override;
  audit::SealedPayload Seal(const audit::SubjectKey& key, std::string_view media,
                            std::string_view plaintext) override;
  audit::SealedPayload SealFields(const audit::SubjectKey& key, std::string_view media,
                                  std::string_view plaintext,
                                  std::span<const audit::PayloadField> fields,
                                  std::vector<core::Digest>& commitments) override;
  core::StatusOr<audit::OpenedPayload> Open(const audit::SealedPayload& payload) override;
  std::string Hmac(std::string_view purpose, std::string_view text) const override {
    return real_.Hmac(purpose, text);
  }
  core::StatusOr<std::string> KeyIdOf(std::string_view subject) override;
  void Refuse(std::string_view) override {}
  void Allow(std::string_view) override {}
  core::Status DestroyKey(std::string_view key_id) override;
  core::Status NoteErasure(std::string_view name) override;
  core::StatusOr<std::vector<std::string>> UnfinishedErasures() override;
  core::Status FinishErasure(std::string_view name) override;
  core::StatusOr<std::int64_t> TextGeneration() override;
  core::StatusOr<std::int64_t> NextTextGeneration() override;

 private:
  struct Content {
    std::string plaintext;
    std::vector<std::pair<std::string, std::string>> fields;  // name, value
    std::vector<core::Digest> marks;                          // of the fields
  };
  core::Digest NextMark();

  const audit::KeyStore& real_;
  std::map<core::Digest, Content> contents_;  // by mark
  std::uint64_t marks_ = 0;
};

// The recorded time; the time of an id in the moment that one is made. Used by one thread.
class ReplayClock final : public core::Clock {
 public:
  std::int64_t WallMicros() const override {
    return id_ms_ ? *std::exchange(id_ms_, std::nullopt) * 1000 : time_us;
  }
  std::int64_t MonotonicMicros() const override { return 0; }
  void MakeIdAt(std::int64_t ms) { id_ms_ = ms; }
  std::int64_t time_us = 0;

 private:
  mutable std::optional<std::int64_t> id_ms_;
};

// Gives the recorded ids, in the order in which they are asked for. Used by one thread.
class ReplayRandom final : public core::Random {
 public:
  explicit ReplayRandom(ReplayClock& clock) : clock_(clock) {}
  void Fill(std::span<std::uint8_t> out) override;
  void Give(std::vector<std::string> ids) { ids_.assign(ids.begin(), ids.end()); }

 private:
  ReplayClock& clock_;
  std::deque<std::string> ids_;
};

}  // namespace interlock::runtime
