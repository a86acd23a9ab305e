#include "rotation_check.h"

#include "audit/merkle.h"
#include "core/digest.h"
#include "core/json.h"
#include "note_key.h"
#include "sqlite.h"
#include "tree_store.h"

namespace interlock::audit {
namespace {

bool Signed(const std::optional<std::string>& signature, std::string_view text,
            std::string_view key_text) {
  if (!signature) return false;
  const auto key = ParseVerifierKey(key_text);
  const auto bytes = core::BytesFromBase64(*signature);
  return key.ok() && bytes.ok() && SignatureHolds(*bytes, text, *key);
}

}  // namespace

std::optional<std::string> RotatedKey(std::string_view body, std::string_view old_key) {
  const auto view = core::JsonObjectView::Of(body);
  if (!view.ok()) return std::nullopt;
  const auto old_name = view->String("old_key");
  auto new_name = view->String("new_key");
  if (!old_name || !new_name || *old_name != old_key) return std::nullopt;
  const std::string text = "interlock signer rotation v1\n" + *old_name + "\n" + *new_name + "\n";
  if (!Signed(view->String("old_signature"), text, *old_name) ||
      !Signed(view->String("new_signature"), text, *new_name)) {
    return std::nullopt;
  }
  return new_name;
}

std::vector<std::string> KeysBefore(const std::vector<std::string>& bodies, std::string key) {
  std::vector<std::string> before;
  for (auto body = bodies.rbegin(); body != bodies.rend(); ++body) {
    const auto view = core::JsonObjectView::Of(*body);
    const auto old = view.ok() ? view->String("old_key") : std::nullopt;
    if (!old || RotatedKey(*body, *old) != key) continue;
    key = *old;
    before.push_back(key);
  }
  return before;
}

core::StatusOr<Checkpoint> SignWithNextKey(Signer& signer, const SignRequest& head, sqlite3* db,
                                           std::uint64_t rotated_at) {
  INTERLOCK_ASSIGN_OR_RETURN(Statement row,
                             Statement::Prepare(db, "SELECT bytes FROM entry WHERE idx = ?"));
  INTERLOCK_ASSIGN_OR_RETURN(const bool there,
                             row.Int(1, static_cast<std::int64_t>(rotated_at)).Step());
  if (!there) return core::DataLoss("entry " + std::to_string(rotated_at) + " is missing");
  INTERLOCK_ASSIGN_OR_RETURN(StoredTree tree, StoredTree::On(db));
  INTERLOCK_ASSIGN_OR_RETURN(auto path, InclusionPath(tree, rotated_at, head.size));
  return signer.FinishRotation({row.Bytes(0), rotated_at, std::move(path), head});
}

}  // namespace interlock::audit
