// The tables of schema version 1, as it wrote them: frozen here, so that a change of what is in the
// program cannot go unseen.
#pragma once

namespace interlock::audit {

// clang-format off
inline constexpr const char* kSchemaV1 = R"sql(
CREATE TABLE log(
  id INTEGER PRIMARY KEY CHECK(id = 1),
  tenant TEXT NOT NULL, origin TEXT NOT NULL, verifier_key TEXT NOT NULL, created_us INTEGER NOT NULL
) STRICT;
CREATE TABLE entry(
  idx INTEGER PRIMARY KEY CHECK(idx >= 0),
  hash BLOB NOT NULL CHECK(length(hash) = 32),
  bytes BLOB NOT NULL CHECK(length(bytes) BETWEEN 2 AND 65535)
) STRICT;
CREATE TABLE tile(
  id INTEGER PRIMARY KEY CHECK(id >= 0),
  root BLOB NOT NULL CHECK(length(root) = 32),
  hashes BLOB NOT NULL CHECK(length(hashes) = 8192)
) STRICT;
CREATE TABLE checkpoint(
  size INTEGER PRIMARY KEY CHECK(size > 0),
  root BLOB NOT NULL CHECK(length(root) = 32),
  note TEXT NOT NULL
) STRICT;
CREATE TABLE payload(
  id INTEGER PRIMARY KEY CHECK(id >= 0),
  key_id TEXT NOT NULL,
  commitment BLOB NOT NULL CHECK(length(commitment) = 32),
  media TEXT NOT NULL,
  plain_bytes INTEGER NOT NULL CHECK(plain_bytes >= 0),
  sealed BLOB
) STRICT;

CREATE TABLE blob(
  digest BLOB PRIMARY KEY CHECK(length(digest) = 32),
  bytes BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TRIGGER blob_new BEFORE INSERT ON blob WHEN EXISTS (SELECT 1 FROM blob WHERE digest = NEW.digest)
  BEGIN SELECT RAISE(ABORT, 'blobs are append-only'); END;
CREATE TRIGGER blob_no_update BEFORE UPDATE ON blob BEGIN SELECT RAISE(ABORT, 'blobs are append-only'); END;
CREATE TRIGGER blob_no_delete BEFORE DELETE ON blob BEGIN SELECT RAISE(ABORT, 'blobs are append-only'); END;

CREATE TRIGGER log_fixed_update BEFORE UPDATE ON log BEGIN SELECT RAISE(ABORT, 'the log row is fixed'); END;
CREATE TRIGGER log_fixed_delete BEFORE DELETE ON log BEGIN SELECT RAISE(ABORT, 'the log row is fixed'); END;
CREATE TRIGGER log_once BEFORE INSERT ON log WHEN EXISTS (SELECT 1 FROM log)
  BEGIN SELECT RAISE(ABORT, 'the log row is fixed'); END;

CREATE TRIGGER entry_next BEFORE INSERT ON entry
  WHEN NEW.idx IS NOT (SELECT coalesce(max(idx), -1) + 1 FROM entry)
  BEGIN SELECT RAISE(ABORT, 'entry index must be the next one'); END;
CREATE TRIGGER entry_no_update BEFORE UPDATE ON entry BEGIN SELECT RAISE(ABORT, 'entries are append-only'); END;
CREATE TRIGGER entry_no_delete BEFORE DELETE ON entry BEGIN SELECT RAISE(ABORT, 'entries are append-only'); END;

CREATE TRIGGER tile_new BEFORE INSERT ON tile WHEN EXISTS (SELECT 1 FROM tile WHERE id = NEW.id)
  BEGIN SELECT RAISE(ABORT, 'tiles are append-only'); END;
CREATE TRIGGER tile_no_update BEFORE UPDATE ON tile BEGIN SELECT RAISE(ABORT, 'tiles are append-only'); END;
CREATE TRIGGER tile_no_delete BEFORE DELETE ON tile BEGIN SELECT RAISE(ABORT, 'tiles are append-only'); END;

CREATE TRIGGER checkpoint_next BEFORE INSERT ON checkpoint
  WHEN NEW.size <= (SELECT coalesce(max(size), 0) FROM checkpoint)
  BEGIN SELECT RAISE(ABORT, 'checkpoints only grow'); END;
CREATE TRIGGER checkpoint_no_update BEFORE UPDATE ON checkpoint
  BEGIN SELECT RAISE(ABORT, 'checkpoints are append-only'); END;
CREATE TRIGGER checkpoint_no_delete BEFORE DELETE ON checkpoint
  BEGIN SELECT RAISE(ABORT, 'checkpoints are append-only'); END;

CREATE TRIGGER payload_next BEFORE INSERT ON payload
  WHEN NEW.id <= (SELECT coalesce(max(id), -1) FROM payload)
  BEGIN SELECT RAISE(ABORT, 'payload keys only grow'); END;
CREATE TRIGGER payload_erase_only BEFORE UPDATE ON payload
  WHEN NEW.sealed IS NOT NULL OR NEW.id IS NOT OLD.id OR NEW.key_id IS NOT OLD.key_id
    OR NEW.commitment IS NOT OLD.commitment OR NEW.media IS NOT OLD.media
    OR NEW.plain_bytes IS NOT OLD.plain_bytes
  BEGIN SELECT RAISE(ABORT, 'a payload can only be erased'); END;
CREATE TRIGGER payload_no_delete BEFORE DELETE ON payload
  BEGIN SELECT RAISE(ABORT, 'a payload can only be erased'); END;

CREATE TABLE p_watermark(
  id INTEGER PRIMARY KEY CHECK(id = 1),
  next_idx INTEGER NOT NULL,  -- entries below it are in the projections
  schema_digest TEXT NOT NULL
) STRICT;
)sql";
// clang-format on

}  // namespace interlock::audit
