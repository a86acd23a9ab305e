#include "signed_head.h"

#include <utility>

#include "audit/merkle.h"
#include "tree_store.h"

namespace interlock::audit {

core::StatusOr<std::optional<SignedHead>> LastSignedHead(sqlite3* db, std::uint64_t size,
                                                         Signer& signer,
                                                         const std::string& origin) {
  INTERLOCK_ASSIGN_OR_RETURN(std::optional<Checkpoint> head, signer.LastHead(origin));
  if (!head || head->size == 0) return std::optional<SignedHead>();
  SignedHead last{*std::move(head)};
  if (last.head.size <= size) {
    INTERLOCK_ASSIGN_OR_RETURN(StoredTree tree, StoredTree::On(db));
    INTERLOCK_ASSIGN_OR_RETURN(const core::Digest root, TreeRoot(tree, last.head.size));
    last.holds = root == last.head.root;
  }
  return std::optional<SignedHead>(std::move(last));
}

}  // namespace interlock::audit
