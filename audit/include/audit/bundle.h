// Evidence bundles: what one run (or a query) did, with everything that proves it, in one tar that
// anyone can check offline. The form: docs/audit_format.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "audit/proof.h"
#include "audit/verify.h"
#include "core/digest.h"
#include "core/status.h"

namespace interlock::audit {

struct BundleEntry {
  std::uint64_t index = 0;
  std::string bytes;                 // verbatim
  std::vector<core::Digest> hashes;  // RFC 6962 audit path in the checkpoint's tree
};

struct BundleField {
  std::string name;
  std::string value;  // canonical JSON
  std::string salt;   // 32 bytes
};

struct BundlePayload {
  enum class State { kDisclosed, kFields, kWithheld, kErased };
  std::uint64_t entry_index = 0;
  int slot = 0;
  State state = State::kWithheld;
  std::string media;  // kDisclosed
  std::string content;
  std::string salt;                 // 32 bytes
  std::vector<BundleField> fields;  // kFields
  std::uint64_t erased_by = 0;      // kErased: index of the payload.erased entry, which is included
  // kErased: origin of the later log whose entry that is, which is then not included; empty: this
  // one
  std::string erased_in = {};
};

struct BundleContents {
  std::string tenant;
  std::string run;    // the run that is proven whole; empty: entries that a query chose
  std::string query;  // the query, as text
  std::string made_by;
  std::vector<BundleEntry> entries;  // any order
  std::string checkpoint_note;       // with cosignatures
  std::vector<ConsistencyText> consistency;
  std::vector<BundlePayload> payloads;  // one for every commitment of the entries that is not
                                        // withheld
  std::vector<std::string> blobs;       // contents of what entries cite
  std::vector<std::string> keys;        // verifier keys of log and witnesses
};

// Same contents, same bytes. Errors: kInvalidArgument for entries that are none or come twice;
// kResourceExhausted above the limits of tar.h.
core::StatusOr<std::string> MakeBundle(const BundleContents& contents);

struct BundleVerifyOptions {
  std::string verifier_key;  // pinned: without it nothing is vouched for (kCouldNotCheck)
  std::vector<std::string> outside_checkpoints;
  // So many of these must have cosigned, else kIncomplete (unwitnessed); 0: all of them.
  std::vector<std::string> witness_keys;
  std::size_t witnesses_needed = 0;
};

// kTampered: something is not what the pinned key signed, or a part is missing, foreign or changed.
// kIncomplete: nothing wrong, but the run is open, a witness has not cosigned, a cited file is not
// there, an outside checkpoint cannot be linked, or a later log is named as having erased content.
// kCouldNotCheck: no key, not a bundle.
VerifyReport VerifyBundle(std::string_view archive, const BundleVerifyOptions& options);

// Digest names ("sha256:<hex>") in a text, each once, sorted: what a cited file cites in turn.
std::vector<std::string> DigestNamesIn(std::string_view text);

// Files that a manifest is made of, and without which it says nothing: each
// `"sha256":"sha256:<hex>"` in it. Once each, sorted.
std::vector<std::string> PartsNamedIn(std::string_view text);

// The digest names that entry bytes cite. Empty for bytes that are no entry.
std::vector<std::string> CitesOf(std::string_view entry_bytes);

}  // namespace interlock::audit
