// A key store that opens what it is told to not now.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "audit/keys.h"

namespace interlock::runtime::test {

// Thread-safe.
class OpenFaults {
 public:
  using Fault = std::function<core::Status(const audit::SealedPayload&)>;
  // Asked from now on before anything is opened; null: nobody is.
  void Set(Fault fault) {
    const std::lock_guard lock(mutex_);
    fault_ = std::move(fault);
  }
  core::Status Of(const audit::SealedPayload& payload) const {
    const std::lock_guard lock(mutex_);
    return fault_ ? fault_(payload) : core::OkStatus();
  }

 private:
  mutable std::mutex mutex_;
  Fault fault_;
};

// As the store behind it, but for Open.
class KeysThatFail final : public audit::KeyStore {
 public:
  KeysThatFail(std::unique_ptr<audit::KeyStore> keys, const OpenFaults& faults)
      : keys_(std::move(keys)), faults_(faults) {}

  core::StatusOr<audit::OpenedPayload> Open(const audit::SealedPayload& payload) override {
    if (core::Status fault = faults_.Of(payload); !fault.ok()) return fault;
    return keys_->Open(payload);
  }

  core::StatusOr<std::shared_ptr<const audit::SubjectKey>> KeyFor(
      std::string_view subject) override {
    return keys_->KeyFor(subject);
  }
  audit::SealedPayload Seal(const audit::SubjectKey& key, std::string_view media,
                            std::string_view plaintext) override {
    return keys_->Seal(key, media, plaintext);
  }
  audit::SealedPayload SealFields(const audit::SubjectKey& key, std::string_view media,
                                  std::string_view plaintext,
                                  std::span<const audit::PayloadField> fields,
                                  std::vector<core::Digest>& commitments) override {
    return keys_->SealFields(key, media, plaintext, fields, commitments);
  }
  std::string Hmac(std::string_view purpose, std::string_view text) const override {
    return keys_->Hmac(purpose, text);
  }
  core::StatusOr<std::string> KeyIdOf(std::string_view subject) override {
    return keys_->KeyIdOf(subject);
  }
  void Refuse(std::string_view subject) override { keys_->Refuse(subject); }
  void Allow(std::string_view subject) override { keys_->Allow(subject); }
  core::Status DestroyKey(std::string_view key_id) override { return keys_->DestroyKey(key_id); }
  core::Status NoteErasure(std::string_view name) override { return keys_->NoteErasure(name); }
  core::StatusOr<std::vector<std::string>> UnfinishedErasures() override {
    return keys_->UnfinishedErasures();
  }
  core::Status FinishErasure(std::string_view name) override { return keys_->FinishErasure(name); }
  core::StatusOr<std::int64_t> TextGeneration() override { return keys_->TextGeneration(); }
  core::StatusOr<std::int64_t> NextTextGeneration() override { return keys_->NextTextGeneration(); }

 private:
  const std::unique_ptr<audit::KeyStore> keys_;
  const OpenFaults& faults_;
};

}  // namespace interlock::runtime::test
