// keys.db: one data key per subject, wrapped by the master key; the tenant's HMAC key; sealing.
#include "audit/keys.h"

#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <mutex>
#include <optional>
#include <set>
#include <shared_mutex>
#include <unordered_map>

#include "audit/commitment.h"
#include "private_file.h"
#include "sqlite.h"

namespace interlock::audit {
namespace {

constexpr std::size_t kKeyBytes = crypto_aead_xchacha20poly1305_ietf_KEYBYTES;
constexpr std::size_t kNonceBytes = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES;
constexpr std::size_t kTagBytes = crypto_aead_xchacha20poly1305_ietf_ABYTES;
constexpr std::size_t kSaltBytes = 32;
static_assert(kNonceBytes + kSaltBytes + kTagBytes == kSealBytes);
constexpr std::size_t kCachedKeysMax = 65'536;
constexpr std::size_t kCachedHmacsMax = 16'384;
constexpr std::int64_t kKeysApplicationId = 0x494C4B59;  // "ILKY"

// Destroying a key keeps its row (so that its content stays erased) and overwrites the wrapped
// bytes: secure_delete zeroes the old content, journal_mode DELETE leaves no second copy behind.
// A subject that comes back gets a row of its own; the old one then goes by `subject/key_id`.
constexpr const char* kKeysSchema = R"sql(
CREATE TABLE IF NOT EXISTS tenant_key(id INTEGER PRIMARY KEY CHECK(id = 1), wrapped BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS data_key(
  id INTEGER PRIMARY KEY,
  key_id TEXT NOT NULL UNIQUE,
  subject TEXT NOT NULL UNIQUE,  -- HMAC of the subject's name; of an older key: HMAC/key_id
  wrapped BLOB                   -- NULL when destroyed
) STRICT;
CREATE TABLE IF NOT EXISTS unfinished_erasure(key_id TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS p_text_generation(
  id INTEGER PRIMARY KEY CHECK(id = 1), generation INTEGER NOT NULL) STRICT;
INSERT OR IGNORE INTO p_text_generation(id, generation) VALUES(1, 0);
)sql";

constexpr std::string_view kFieldLabel("interlock/field\0", 16);

using Secret = std::array<unsigned char, kKeyBytes>;

unsigned char* Bytes(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }
const unsigned char* Bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

class DataKey final : public SubjectKey {
 public:
  DataKey(std::string key_id, const Secret& secret) : key_id_(std::move(key_id)), secret_(secret) {}
  ~DataKey() override { sodium_memzero(secret_.data(), secret_.size()); }
  const std::string& key_id() const override { return key_id_; }
  const Secret& secret() const { return secret_; }

 private:
  const std::string key_id_;
  Secret secret_;
};

std::string Nonce(core::Random& random) {
  std::string nonce(kNonceBytes, '\0');
  random.Fill({Bytes(nonce), nonce.size()});
  return nonce;
}

// Encrypts bytes [from, end) of `out` in place and appends the tag; the nonce stands before them.
void EncryptInPlace(std::string& out, std::size_t from, std::string_view context,
                    const Secret& key) {
  const std::size_t plain = out.size() - from;
  out.resize(out.size() + kTagBytes);
  unsigned char* text = Bytes(out) + from;
  crypto_aead_xchacha20poly1305_ietf_encrypt(text, nullptr, text, plain, Bytes(context),
                                             context.size(), nullptr, Bytes(out), key.data());
}

// The inverse for nonce || ciphertext. False when the bytes, the context or the key are not the
// ones.
bool Decrypt(std::string_view sealed, std::string_view context, const Secret& key,
             std::string& plain) {
  if (sealed.size() < kNonceBytes + kTagBytes) return false;
  const std::string_view text = sealed.substr(kNonceBytes);
  plain.resize(text.size() - kTagBytes);
  return crypto_aead_xchacha20poly1305_ietf_decrypt(Bytes(plain), nullptr, nullptr, Bytes(text),
                                                    text.size(), Bytes(context), context.size(),
                                                    Bytes(sealed), key.data()) == 0;
}

std::string SealContext(std::string_view key_id, std::string_view media) {
  std::string context(key_id);
  context += '\0';
  context += media;
  return context;
}

core::StatusOr<Secret> LoadMasterKey(const std::string& folder, core::Random& random) {
  const std::string path = folder + "/master.key";
  auto text = ReadPrivateFile(path);
  if (text.status().code() == core::StatusCode::kNotFound) {
    struct stat info {};
    if (::stat((folder + "/keys.db").c_str(), &info) == 0) {
      return core::FailedPrecondition("`" + path +
                                      "` is missing and keys.db was made with it; restore it");
    }
    std::string bytes(kKeyBytes, '\0');
    random.Fill({Bytes(bytes), bytes.size()});
    std::string hex = core::Hex(bytes) + "\n";
    INTERLOCK_RETURN_IF_ERROR(CreatePrivateFile(path, hex));
    sodium_memzero(bytes.data(), bytes.size());
    sodium_memzero(hex.data(), hex.size());
    text = ReadPrivateFile(path);
  }
  if (!text.ok()) return text.status();
  auto bytes = core::BytesFromHex(std::string_view(*text).substr(0, 2 * kKeyBytes));
  const bool sound = bytes.ok() && bytes->size() == kKeyBytes &&
                     std::string_view(*text).substr(2 * kKeyBytes) == "\n";
  sodium_memzero(text->data(), text->size());
  if (!sound) return core::DataLoss("`" + path + "` is not a master key");
  Secret secret;
  std::memcpy(secret.data(), bytes->data(), kKeyBytes);
  sodium_memzero(bytes->data(), bytes->size());
  return secret;
}

core::Status BeingErased() {
  return core::FailedPrecondition("the subject is being erased; try again when that is done");
}

class FileKeyStore final : public KeyStore {
 public:
  FileKeyStore(const Secret& master, core::Random* random) : random_(random), master_(master) {}
  ~FileKeyStore() override { sodium_memzero(master_.data(), master_.size()); }

  core::Status Start(const std::string& path, bool created) {
    INTERLOCK_ASSIGN_OR_RETURN(db_, OpenDb(path, SQLITE_OPEN_READWRITE));
    // EXTRA: a commit is the journal's deletion, and the folder is synced after that too. Else a
    // power cut brings the journal back, and with it a key that was destroyed, or takes one away
    // under which content was sealed.
    INTERLOCK_RETURN_IF_ERROR(Exec(db_.get(),
                                   "PRAGMA journal_mode = DELETE; PRAGMA synchronous = EXTRA;"
                                   "PRAGMA secure_delete = ON; PRAGMA temp_store = MEMORY"));
    INTERLOCK_RETURN_IF_ERROR(CheckApplication(created));
    INTERLOCK_RETURN_IF_ERROR(Exec(db_.get(), kKeysSchema));
    INTERLOCK_RETURN_IF_ERROR(PrepareAll());
    return LoadTenantKey();
  }

  core::Status StartReading(const std::string& path) {
    INTERLOCK_ASSIGN_OR_RETURN(db_, OpenDb(path, SQLITE_OPEN_READONLY));
    INTERLOCK_ASSIGN_OR_RETURN(const std::int64_t id, QueryInt(db_.get(), "PRAGMA application_id"));
    if (id != kKeysApplicationId) return core::FailedPrecondition("keys.db is not a key store");
    INTERLOCK_RETURN_IF_ERROR(PrepareAll());
    return LoadTenantKey();
  }

  core::StatusOr<std::shared_ptr<const SubjectKey>> KeyFor(std::string_view subject) override {
    if (auto key = Cached(by_subject_, subject)) return {std::move(key)};
    const std::string name = Hmac("subject", subject);
    const std::lock_guard lock(db_mutex_);
    if (refused_.contains(name)) return BeingErased();
    INTERLOCK_ASSIGN_OR_RETURN(std::shared_ptr<const DataKey> key, LoadOrMake(name));
    Remember(subject, key);
    return std::shared_ptr<const SubjectKey>(std::move(key));
  }

  SealedPayload Seal(const SubjectKey& key, std::string_view media,
                     std::string_view plaintext) override {
    std::vector<core::Digest> none;
    return SealFields(key, media, plaintext, {}, none);
  }

  SealedPayload SealFields(const SubjectKey& key, std::string_view media,
                           std::string_view plaintext, std::span<const PayloadField> fields,
                           std::vector<core::Digest>& commitments) override {
    // Every SubjectKey comes from KeyFor, so it is a DataKey.
    const auto& data_key = static_cast<const DataKey&>(key);
    SealedPayload payload;
    payload.key_id = data_key.key_id();
    payload.media = media;
    payload.plain_bytes = plaintext.size();
    std::string& out = payload.sealed;
    out.reserve(kNonceBytes + kSaltBytes + plaintext.size() + kTagBytes);
    out.resize(kNonceBytes + kSaltBytes);
    random_->Fill({Bytes(out), out.size()});
    const std::string_view salt = std::string_view(out).substr(kNonceBytes, kSaltBytes);
    payload.commitment = Commitment(salt, media, plaintext);
    const std::optional<core::HmacKey> salts =
        fields.empty() ? std::nullopt : std::optional<core::HmacKey>(salt);
    for (const PayloadField& field : fields) {
      const core::Digest field_salt = salts->Of({kFieldLabel, field.name});
      commitments.push_back(FieldCommitment(core::AsBytes(field_salt), field));
    }
    out += plaintext;
    EncryptInPlace(out, kNonceBytes, SealContext(payload.key_id, media), data_key.secret());
    return payload;
  }

  core::StatusOr<OpenedPayload> Open(const SealedPayload& payload) override {
    INTERLOCK_ASSIGN_OR_RETURN(const std::shared_ptr<const DataKey> key, ById(payload.key_id));
    std::string plain;
    if (!Decrypt(payload.sealed, SealContext(payload.key_id, payload.media), key->secret(),
                 plain) ||
        plain.size() < kSaltBytes) {
      return core::DataLoss("a sealed payload does not open with its key");
    }
    OpenedPayload opened{payload.media, plain.substr(kSaltBytes), plain.substr(0, kSaltBytes)};
    sodium_memzero(plain.data(), plain.size());
    if (Commitment(opened.salt, opened.media, opened.plaintext) != payload.commitment) {
      return core::DataLoss("a payload is not what its commitment says");
    }
    return opened;
  }

  std::string Hmac(std::string_view purpose, std::string_view text) const override {
    // Names that come back with every call, as against a request's.
    const bool again = purpose == "scope" || purpose == "subject" || purpose == "read";
    if (!again) return Keyed(purpose, text);
    std::string name;
    name.reserve(purpose.size() + 1 + text.size());
    name.append(purpose).append(1, '\0').append(text);
    {
      const std::shared_lock lock(cache_mutex_);
      const auto found = hmacs_.find(name);
      if (found != hmacs_.end()) return found->second;
    }
    std::string hex = Keyed(purpose, text);
    const std::unique_lock lock(cache_mutex_);
    if (hmacs_.size() >= kCachedHmacsMax) hmacs_.clear();
    hmacs_.insert_or_assign(std::move(name), hex);
    return hex;
  }

  core::StatusOr<std::string> KeyIdOf(std::string_view subject) override {
    const std::string name = Hmac("subject", subject);
    const std::lock_guard lock(db_mutex_);
    ResetAtExit reset(by_subject_query_);
    by_subject_query_.Text(1, name);
    INTERLOCK_ASSIGN_OR_RETURN(const bool row, by_subject_query_.Step());
    if (!row) return core::NotFound("nothing is sealed for this subject");
    if (by_subject_query_.IsNull(1)) return core::FailedPrecondition("the subject was erased");
    return std::string(by_subject_query_.Bytes(0));
  }

  void Refuse(std::string_view subject) override {
    const std::lock_guard lock(db_mutex_);
    refused_.insert(Hmac("subject", subject));
    ForgetKeys();
  }

  void Allow(std::string_view subject) override {
    const std::lock_guard lock(db_mutex_);
    refused_.erase(Hmac("subject", subject));
  }

  core::Status DestroyKey(std::string_view key_id) override {
    const std::lock_guard lock(db_mutex_);
    SqlTransaction transaction(db_.get());
    INTERLOCK_RETURN_IF_ERROR(transaction.Begin());
    INTERLOCK_RETURN_IF_ERROR(note_unfinished_.Text(1, key_id).Run());
    INTERLOCK_RETURN_IF_ERROR(destroy_by_id_.Text(1, key_id).Run());
    INTERLOCK_RETURN_IF_ERROR(transaction.Commit());
    ForgetKeys();
    return core::OkStatus();
  }

  core::Status NoteErasure(std::string_view name) override {
    const std::lock_guard lock(db_mutex_);
    INTERLOCK_ASSIGN_OR_RETURN(
        Statement note,
        Statement::Prepare(db_.get(),
                           "INSERT OR IGNORE INTO unfinished_erasure(key_id) VALUES(?)"));
    return note.Text(1, name).Run();
  }

  core::StatusOr<std::vector<std::string>> UnfinishedErasures() override {
    const std::lock_guard lock(db_mutex_);
    INTERLOCK_ASSIGN_OR_RETURN(
        Statement select,
        Statement::Prepare(db_.get(), "SELECT key_id FROM unfinished_erasure ORDER BY key_id"));
    std::vector<std::string> keys;
    for (;;) {
      INTERLOCK_ASSIGN_OR_RETURN(const bool row, select.Step());
      if (!row) return keys;
      keys.emplace_back(select.Bytes(0));
    }
  }

  core::Status FinishErasure(std::string_view name) override {
    const std::lock_guard lock(db_mutex_);
    INTERLOCK_ASSIGN_OR_RETURN(
        Statement finish,
        Statement::Prepare(db_.get(), "DELETE FROM unfinished_erasure WHERE key_id = ?"));
    INTERLOCK_RETURN_IF_ERROR(finish.Text(1, name).Run());
    INTERLOCK_ASSIGN_OR_RETURN(
        Statement subject,
        Statement::Prepare(db_.get(), "SELECT subject FROM data_key WHERE key_id = ?"));
    INTERLOCK_ASSIGN_OR_RETURN(const bool row, subject.Text(1, name).Step());
    if (row) refused_.erase(std::string(subject.Bytes(0)));
    return core::OkStatus();
  }

  core::StatusOr<std::int64_t> TextGeneration() override {
    const std::lock_guard lock(db_mutex_);
    return QueryInt(db_.get(), "SELECT generation FROM p_text_generation");
  }

  core::StatusOr<std::int64_t> NextTextGeneration() override {
    const std::lock_guard lock(db_mutex_);
    return QueryInt(
        db_.get(), "UPDATE p_text_generation SET generation = generation + 1 RETURNING generation");
  }

 private:
  struct TextHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>()(text);
    }
  };
  using Cache =
      std::unordered_map<std::string, std::shared_ptr<const DataKey>, TextHash, std::equal_to<>>;

  std::string Keyed(std::string_view purpose, std::string_view text) const {
    return core::Hex(hmac_->Of({purpose, std::string_view("\0", 1), text}));
  }

  core::Status CheckApplication(bool created) {
    if (created) {
      return Exec(db_.get(), "PRAGMA application_id = " + std::to_string(kKeysApplicationId));
    }
    INTERLOCK_ASSIGN_OR_RETURN(const std::int64_t id, QueryInt(db_.get(), "PRAGMA application_id"));
    // 0: a crash between making the file and marking it; there is nothing in it yet.
    if (id == kKeysApplicationId) return core::OkStatus();
    if (id != 0) return core::FailedPrecondition("keys.db is not a key store");
    return CheckApplication(true);
  }

  core::Status PrepareAll() {
    INTERLOCK_ASSIGN_OR_RETURN(
        by_subject_query_,
        Statement::Prepare(db_.get(), "SELECT key_id, wrapped FROM data_key WHERE subject = ?"));
    INTERLOCK_ASSIGN_OR_RETURN(
        by_id_query_,
        Statement::Prepare(db_.get(), "SELECT key_id, wrapped FROM data_key WHERE key_id = ?"));
    INTERLOCK_ASSIGN_OR_RETURN(
        insert_, Statement::Prepare(
                     db_.get(), "INSERT INTO data_key(key_id, subject, wrapped) VALUES(?, ?, ?)"));
    INTERLOCK_ASSIGN_OR_RETURN(
        set_aside_, Statement::Prepare(db_.get(),
                                       "UPDATE data_key SET subject = subject || '/' || key_id "
                                       "WHERE subject = ? AND wrapped IS NULL"));
    INTERLOCK_ASSIGN_OR_RETURN(
        unfinished_,
        Statement::Prepare(db_.get(),
                           "SELECT 1 FROM unfinished_erasure JOIN data_key USING(key_id) "
                           "WHERE subject = ?"));
    INTERLOCK_ASSIGN_OR_RETURN(destroy_by_id_,
                               Statement::Prepare(db_.get(),
                                                  "UPDATE data_key SET wrapped = NULL "
                                                  "WHERE key_id = ? AND wrapped IS NOT NULL"));
    INTERLOCK_ASSIGN_OR_RETURN(
        note_unfinished_,
        Statement::Prepare(db_.get(),
                           "INSERT INTO unfinished_erasure(key_id) SELECT key_id FROM data_key "
                           "WHERE key_id = ? AND wrapped IS NOT NULL ON CONFLICT DO NOTHING"));
    return core::OkStatus();
  }

  std::string Wrap(const Secret& secret, std::string_view name) {
    std::string out = Nonce(*random_);
    out.append(reinterpret_cast<const char*>(secret.data()), secret.size());
    EncryptInPlace(out, kNonceBytes, name, master_);
    return out;
  }

  core::StatusOr<Secret> Unwrap(std::string_view wrapped, std::string_view name) const {
    std::string plain;
    if (!Decrypt(wrapped, name, master_, plain) || plain.size() != kKeyBytes) {
      return core::DataLoss("key `" + std::string(name) +
                            "` does not open with this master key; is master.key the right one");
    }
    Secret secret;
    std::memcpy(secret.data(), plain.data(), secret.size());
    sodium_memzero(plain.data(), plain.size());
    return secret;
  }

  core::Status LoadTenantKey() {
    Secret key{};
    const core::Status status = ReadTenantKey(key);
    if (status.ok())
      hmac_.emplace(std::string_view(reinterpret_cast<char*>(key.data()), key.size()));
    sodium_memzero(key.data(), key.size());
    return status;
  }

  core::Status ReadTenantKey(Secret& key) {
    INTERLOCK_ASSIGN_OR_RETURN(Statement select,
                               Statement::Prepare(db_.get(), "SELECT wrapped FROM tenant_key"));
    INTERLOCK_ASSIGN_OR_RETURN(const bool row, select.Step());
    if (row) {
      INTERLOCK_ASSIGN_OR_RETURN(key, Unwrap(select.Bytes(0), "tenant"));
      return core::OkStatus();
    }
    random_->Fill(key);
    const std::string wrapped = Wrap(key, "tenant");
    INTERLOCK_ASSIGN_OR_RETURN(
        Statement insert,
        Statement::Prepare(db_.get(), "INSERT INTO tenant_key(id, wrapped) VALUES(1, ?)"));
    return insert.Blob(1, wrapped).Run();
  }

  // Looks one row up; nullptr when there is none.
  core::StatusOr<std::shared_ptr<const DataKey>> Load(Statement& query, std::string_view argument) {
    ResetAtExit reset(query);
    query.Text(1, argument);
    INTERLOCK_ASSIGN_OR_RETURN(const bool row, query.Step());
    if (!row) return std::shared_ptr<const DataKey>();
    std::string key_id(query.Bytes(0));
    if (query.IsNull(1)) return core::NotFound("the key was destroyed: the content is erased");
    INTERLOCK_ASSIGN_OR_RETURN(Secret secret, Unwrap(query.Bytes(1), key_id));
    auto key = std::make_shared<const DataKey>(std::move(key_id), secret);
    sodium_memzero(secret.data(), secret.size());
    return key;
  }

  core::StatusOr<std::shared_ptr<const DataKey>> LoadOrMake(const std::string& name) {
    auto found = Load(by_subject_query_, name);
    const bool erased = found.status().code() == core::StatusCode::kNotFound;
    if (!erased && (!found.ok() || *found != nullptr)) return found;
    {
      ResetAtExit reset(unfinished_);
      INTERLOCK_ASSIGN_OR_RETURN(const bool unfinished, unfinished_.Text(1, name).Step());
      if (unfinished) return BeingErased();
    }
    Secret secret;
    random_->Fill(secret);
    std::string id_bytes(12, '\0');
    random_->Fill({Bytes(id_bytes), id_bytes.size()});
    std::string key_id = core::Hex(id_bytes);
    const std::string wrapped = Wrap(secret, key_id);
    const core::Status status = Insert(name, key_id, wrapped);
    auto key = std::make_shared<const DataKey>(std::move(key_id), secret);
    sodium_memzero(secret.data(), secret.size());
    if (!status.ok()) return status;
    return key;
  }

  // A destroyed key of the subject makes room in the same commit.
  core::Status Insert(const std::string& name, const std::string& key_id,
                      const std::string& wrapped) {
    SqlTransaction transaction(db_.get());
    INTERLOCK_RETURN_IF_ERROR(transaction.Begin());
    INTERLOCK_RETURN_IF_ERROR(set_aside_.Text(1, name).Run());
    const core::Status status = insert_.Text(1, key_id).Text(2, name).Blob(3, wrapped).Run();
    sqlite3_clear_bindings(insert_.get());
    if (!status.ok()) return status;
    return transaction.Commit();
  }

  core::StatusOr<std::shared_ptr<const DataKey>> ById(const std::string& key_id) {
    if (auto key = Cached(by_id_, key_id)) return key;
    const std::lock_guard lock(db_mutex_);
    INTERLOCK_ASSIGN_OR_RETURN(std::shared_ptr<const DataKey> key, Load(by_id_query_, key_id));
    if (key == nullptr) return core::NotFound("no key `" + key_id + "`");
    const std::unique_lock cache(cache_mutex_);
    if (by_id_.size() >= kCachedKeysMax) by_id_.clear();
    by_id_.insert_or_assign(key_id, key);
    return key;
  }

  std::shared_ptr<const DataKey> Cached(const Cache& cache, std::string_view name) {
    const std::shared_lock lock(cache_mutex_);
    const auto found = cache.find(name);
    return found == cache.end() ? nullptr : found->second;
  }

  // db_mutex_ held. Rare; the other subjects' keys are read again.
  void ForgetKeys() {
    const std::unique_lock cache(cache_mutex_);
    by_subject_.clear();
    by_id_.clear();
    hmacs_.clear();
  }

  void Remember(std::string_view subject, const std::shared_ptr<const DataKey>& key) {
    const std::unique_lock lock(cache_mutex_);
    if (by_subject_.size() >= kCachedKeysMax) by_subject_.clear();
    by_subject_.insert_or_assign(std::string(subject), key);
    by_id_.insert_or_assign(key->key_id(), key);
  }

  core::Random* const random_;
  Secret master_;
  std::optional<core::HmacKey> hmac_;  // the tenant's

  std::mutex db_mutex_;  // the connection and its statements; taken before cache_mutex_
  Db db_;
  Statement by_subject_query_;
  Statement by_id_query_;
  Statement insert_;
  Statement set_aside_;
  Statement unfinished_;
  Statement destroy_by_id_;
  Statement note_unfinished_;
  std::set<std::string> refused_;  // HMACs of subjects that are being erased

  mutable std::shared_mutex cache_mutex_;
  mutable std::unordered_map<std::string, std::string> hmacs_;  // by purpose || 0x00 || text
  Cache by_subject_;
  Cache by_id_;
};

// SQLite gives its journal the mode of the database; so the file is made first, and private.
core::StatusOr<bool> TouchKeysFile(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) == 0) {
    INTERLOCK_RETURN_IF_ERROR(CheckPrivate(path));
    return false;
  }
  INTERLOCK_RETURN_IF_ERROR(CreatePrivateFile(path, ""));
  return true;
}

}  // namespace

core::Digest Commitment(std::string_view salt, std::string_view media, std::string_view plaintext) {
  return core::Sha256(
      {std::string_view("\x02", 1), salt, media, std::string_view("\0", 1), plaintext});
}

core::Digest FieldSalt(std::string_view salt, std::string_view name) {
  return core::HmacKey(salt).Of({kFieldLabel, name});
}

core::Digest FieldCommitment(std::string_view field_salt, const PayloadField& field) {
  return core::Sha256({std::string_view("\x03", 1), field_salt, field.name,
                       std::string_view("\0", 1), field.value});
}

core::StatusOr<std::unique_ptr<KeyStore>> KeyStore::Open(const std::string& folder,
                                                         core::Random* random) {
  if (sodium_init() < 0) return core::Internal("libsodium does not start");
  INTERLOCK_RETURN_IF_ERROR(MakeFolder(folder));
  INTERLOCK_ASSIGN_OR_RETURN(Secret master, LoadMasterKey(folder, *random));
  auto store = std::make_unique<FileKeyStore>(master, random);
  sodium_memzero(master.data(), master.size());
  const std::string path = folder + "/keys.db";
  INTERLOCK_ASSIGN_OR_RETURN(const bool created, TouchKeysFile(path));
  INTERLOCK_RETURN_IF_ERROR(store->Start(path, created));
  return std::unique_ptr<KeyStore>(std::move(store));
}

core::StatusOr<std::unique_ptr<KeyStore>> KeyStore::OpenForReading(const std::string& folder,
                                                                   core::Random* random) {
  if (sodium_init() < 0) return core::Internal("libsodium does not start");
  for (const char* name : {"/keys.db", "/master.key"}) {
    const std::string file = folder + name;
    struct stat info {};
    if (::stat(file.c_str(), &info) != 0) return core::NotFound("there is no `" + file + "`");
    INTERLOCK_RETURN_IF_ERROR(CheckPrivate(file));
  }
  INTERLOCK_ASSIGN_OR_RETURN(Secret master, LoadMasterKey(folder, *random));
  auto store = std::make_unique<FileKeyStore>(master, random);
  sodium_memzero(master.data(), master.size());
  INTERLOCK_RETURN_IF_ERROR(store->StartReading(folder + "/keys.db"));
  return std::unique_ptr<KeyStore>(std::move(store));
}

}  // namespace interlock::audit
