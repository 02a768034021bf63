// The file system a sandbox sees: the runtime image read-only, a minimal /dev, and per sandbox a
// /proc of its own processes and private /tmp and /workspace.

#ifndef CLOISTER_SANDBOX_LINUX_MOUNT_TREE_H_
#define CLOISTER_SANDBOX_LINUX_MOUNT_TREE_H_

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "sandbox/base/unique_fd.h"

namespace cloister::sandbox {

// A read-only tmpfs, attached nowhere yet, with the nodes of a minimal /dev. Needs CAP_MKNOD on the
// machine itself; nodes made inside a user namespace would be dead.
absl::StatusOr<UniqueFd> MakeDeviceTree();

// Turns the caller's new, not yet shared mount namespace into the image's: `image_root` read-only
// as /, `device_tree` (from MakeDeviceTree; -1 binds the machine's own nodes, one mount each) as
// its /dev, the caller's pid namespace as its /proc. Nothing else stays reachable. The image must
// have the directories /dev, /proc, /tmp and /workspace.
absl::Status EnterImage(const std::string& image_root, int device_tree);

struct SandboxMounts {
  // Of /tmp and /workspace each.
  int64_t workspace_bytes = 0;
  uid_t owner = 0;
  gid_t group = 0;
};

// Mounts what is private to one sandbox over the image in the caller's mount namespace: /proc of
// the caller's pid namespace, /tmp, /workspace.
absl::Status MountSandboxFilesystems(const SandboxMounts& mounts);

// Changes the size of a mounted tmpfs. `path` may lead into another mount namespace
// (/proc/PID/root/tmp). Below what is in use the kernel refuses.
absl::Status ResizeTmpfs(const std::string& path, int64_t bytes);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_LINUX_MOUNT_TREE_H_
