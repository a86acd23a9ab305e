// Fits a call to the machine: which user its box must be, and its mounts, opened.
#pragma once

#include <string>
#include <vector>

#include "ground.h"
#include "maker.h"
#include "mounts.h"
#include "plan.h"
#include "quota.h"
#include "steering.h"

namespace interlock::sandbox {

struct Fitting {
  Go go;
  std::vector<Fd> mounts;  // in the order of the call's, if `go.mounts_are_fds`
  std::vector<WritableFolder> folders;
  Shape shape;          // with namespaces: that its box must have
  bool usual = true;    // a ready box will do
  std::string problem;  // non-empty: the call cannot run; one line, what to do
};

// One per launcher; not thread-safe.
class Fitter {
 public:
  Fitter(const Ground& ground, CountBudget& counting) : ground_(ground), counting_(counting) {}

  // Privileged: the box is an unused user, and each mount shows its owner's files as that user's.
  // Where the file system cannot do that, the box is the owner of the first mount that it may
  // write. Unprivileged: the box is us.
  Fitting WithNamespaces(const RunRequest& request, const Shape& usual);
  // Without namespaces paths stay where they are, and the box is `own_user`, unless a mount can
  // only be used by its owner. Never root: what root owns is the whole machine.
  Fitting Without(const RunRequest& request, uid_t own_user) const;

 private:
  bool OpenIdMapped(const BoxSpec& spec, Fitting& fitting);

  const Ground& ground_;
  CountBudget& counting_;
  IdMaps id_maps_;
};

}  // namespace interlock::sandbox
