// Opening what a call wants mounted. Paths are resolved once, without following a link anywhere,
// and from then on only descriptors are used.
#pragma once

#include <sys/types.h>

#include <map>
#include <string>
#include <utility>

#include "fd.h"
#include "sandbox/launcher.h"

namespace interlock::sandbox {

// O_PATH descriptor of an absolute path below `root_fd`; ELOOP if a link is on the way.
Fd OpenPath(int root_fd, const std::string& absolute_path);

// A detached copy of the tree at `path_fd` (or at `path` in the current mount namespace), nosuid,
// nodev and as `access` says. Files of `owner` appear to belong to kUidOutside when `idmap` is a
// user namespace. errno.
Fd DetachTree(int path_fd, Access access, Profile profile, int idmap);

// User namespaces that translate one owner of files to kUidOutside, made on first use.
// One per launcher; not thread-safe.
class IdMaps {
 public:
  // -1 with errno when this process may not make one.
  int Get(uid_t uid, gid_t gid);

 private:
  std::map<std::pair<uid_t, gid_t>, Fd> maps_;
};

// Writes /proc/<pid>/{setgroups,uid_map,gid_map} with one id each. False with errno.
bool WriteIdMaps(pid_t pid, uid_t inside_uid, uid_t outside_uid, gid_t inside_gid,
                 gid_t outside_gid, bool privileged);

}  // namespace interlock::sandbox
