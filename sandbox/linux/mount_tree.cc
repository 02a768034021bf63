#include "sandbox/linux/mount_tree.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "sandbox/base/status_macros.h"
#include "sandbox/base/syscall_status.h"

namespace cloister::sandbox {
namespace {

struct DeviceNode {
  const char* name;
  unsigned minor;  // of major 1, the kernel's memory devices
};

constexpr DeviceNode kDeviceNodes[] = {
    {"null", 3}, {"zero", 5}, {"full", 7}, {"random", 8}, {"urandom", 9},
};
constexpr unsigned kMemoryDevices = 1;

struct Link {
  const char* name;
  const char* target;
};

// POSIX shared memory and semaphores live in the sandbox's own /tmp, and count against its size.
constexpr Link kDeviceLinks[] = {
    {"fd", "/proc/self/fd"},
    {"stdin", "/proc/self/fd/0"},
    {"stdout", "/proc/self/fd/1"},
    {"stderr", "/proc/self/fd/2"},
    {"shm", "/tmp"},
};

// Every inode costs kernel memory whatever the size of its file.
constexpr int64_t kBytesPerInode = 4096;
constexpr int64_t kMinInodes = 1024;

absl::Status MakeDeviceLinks(int directory) {
  for (const Link& link : kDeviceLinks) {
    if (symlinkat(link.target, directory, link.name) != 0) {
      return SyscallError(absl::StrCat("make /dev/", link.name));
    }
  }
  return absl::OkStatus();
}

absl::Status SetMountAttributes(int directory, const char* path, uint64_t attributes) {
  mount_attr attr = {};
  attr.attr_set = attributes;
  if (mount_setattr(directory, path, AT_EMPTY_PATH, &attr, sizeof(attr)) != 0) {
    return SyscallError(absl::StrCat("set the mount attributes of ", path));
  }
  return absl::OkStatus();
}

absl::Status MountTmpfs(const char* path, const std::string& options) {
  if (mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV, options.c_str()) == 0) {
    return absl::OkStatus();
  }
  return SyscallError(absl::StrCat("mount a tmpfs on ", path, " (", options, ")"));
}

// Device nodes without CAP_MKNOD: the machine's own, one bind mount each.
absl::Status BindMachineDevices(const std::string& dev) {
  CLOISTER_RETURN_IF_ERROR(MountTmpfs(dev.c_str(), "mode=755,size=64k,nr_inodes=32"));
  for (const DeviceNode& node : kDeviceNodes) {
    const std::string target = absl::StrCat(dev, "/", node.name);
    const std::string source = absl::StrCat("/dev/", node.name);
    UniqueFd file(open(target.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0666));
    if (!file) return SyscallError(absl::StrCat("make ", target));
    if (mount(source.c_str(), target.c_str(), nullptr, MS_BIND, nullptr) != 0) {
      return SyscallError(absl::StrCat("bind ", source));
    }
  }
  UniqueFd directory(open(dev.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return SyscallError(absl::StrCat("open ", dev));
  CLOISTER_RETURN_IF_ERROR(MakeDeviceLinks(directory.get()));
  return SetMountAttributes(directory.get(), "",
                            MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
}

absl::Status BindImage(const std::string& image_root) {
  // Nothing that is mounted from here on must reach the machine, nor the other way round.
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return SyscallError("make mounts private");
  }
  if (mount(image_root.c_str(), image_root.c_str(), nullptr, MS_BIND, nullptr) != 0) {
    return SyscallError(absl::StrCat("bind the image ", image_root,
                                     " (it must exist and have nothing mounted inside it)"));
  }
  return SetMountAttributes(AT_FDCWD, image_root.c_str(),
                            MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
}

absl::Status PivotTo(const std::string& image_root) {
  if (chdir(image_root.c_str()) != 0) return SyscallError(absl::StrCat("chdir ", image_root));
  // pivot_root(".", ".") stacks the old root over the new one, where it can be detached at once.
  if (syscall(SYS_pivot_root, ".", ".") != 0) return SyscallError("pivot_root");
  if (umount2(".", MNT_DETACH) != 0) return SyscallError("detach the old root");
  return chdir("/") == 0 ? absl::OkStatus() : SyscallError("chdir /");
}

}  // namespace

absl::StatusOr<UniqueFd> MakeDeviceTree() {
  UniqueFd context(fsopen("tmpfs", FSOPEN_CLOEXEC));
  if (!context) return SyscallError("fsopen tmpfs");
  if (fsconfig(context.get(), FSCONFIG_SET_STRING, "mode", "755", 0) != 0 ||
      fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) {
    return SyscallError("configure a tmpfs for /dev");
  }
  UniqueFd tree(fsmount(context.get(), FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC));
  if (!tree) return SyscallError("fsmount");
  const mode_t old_umask = umask(0);
  for (const DeviceNode& node : kDeviceNodes) {
    const dev_t device = makedev(kMemoryDevices, node.minor);
    if (mknodat(tree.get(), node.name, S_IFCHR | 0666, device) != 0) {
      umask(old_umask);
      return SyscallError(absl::StrCat("make /dev/", node.name, " (needs CAP_MKNOD)"));
    }
  }
  umask(old_umask);
  CLOISTER_RETURN_IF_ERROR(MakeDeviceLinks(tree.get()));
  CLOISTER_RETURN_IF_ERROR(SetMountAttributes(tree.get(), "", MOUNT_ATTR_RDONLY));
  return tree;
}

absl::Status EnterImage(const std::string& image_root, int device_tree) {
  CLOISTER_RETURN_IF_ERROR(BindImage(image_root));
  const std::string dev = image_root + "/dev";
  if (device_tree < 0) {
    CLOISTER_RETURN_IF_ERROR(BindMachineDevices(dev));
  } else if (move_mount(device_tree, "", AT_FDCWD, dev.c_str(), MOVE_MOUNT_F_EMPTY_PATH) != 0) {
    return SyscallError(absl::StrCat("mount ", dev));
  }
  // While the machine's /proc is still in sight: the kernel lets a user namespace mount a /proc
  // only if it could see one whole already.
  const std::string proc = image_root + "/proc";
  if (mount("proc", proc.c_str(), "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) != 0) {
    return SyscallError(absl::StrCat("mount ", proc));
  }
  return PivotTo(image_root);
}

absl::Status MountSandboxFilesystems(const SandboxMounts& mounts) {
  // Over the nursery's /proc, which nobody in the sandbox has the privilege to uncover. Only
  // processes, only one's own: none of the machine's files in /proc tells the sandbox anything it
  // needs.
  if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC,
            "subset=pid,hidepid=invisible") != 0) {
    return SyscallError("mount /proc");
  }
  const int64_t inodes = std::max(kMinInodes, mounts.workspace_bytes / kBytesPerInode);
  const std::string options =
      absl::StrCat("mode=700,size=", mounts.workspace_bytes, ",nr_inodes=", inodes,
                   ",uid=", mounts.owner, ",gid=", mounts.group);
  CLOISTER_RETURN_IF_ERROR(MountTmpfs("/tmp", options));
  return MountTmpfs("/workspace", options);
}

absl::Status ResizeTmpfs(const std::string& path, int64_t bytes) {
  UniqueFd context(fspick(AT_FDCWD, path.c_str(), FSPICK_CLOEXEC));
  if (!context) return SyscallError(absl::StrCat("fspick ", path));
  const std::string size = absl::StrCat(bytes);
  const std::string inodes = absl::StrCat(std::max(kMinInodes, bytes / kBytesPerInode));
  if (fsconfig(context.get(), FSCONFIG_SET_STRING, "size", size.c_str(), 0) != 0 ||
      fsconfig(context.get(), FSCONFIG_SET_STRING, "nr_inodes", inodes.c_str(), 0) != 0 ||
      fsconfig(context.get(), FSCONFIG_CMD_RECONFIGURE, nullptr, nullptr, 0) != 0) {
    return SyscallError(absl::StrCat("resize ", path, " to ", bytes, " bytes"));
  }
  return absl::OkStatus();
}

}  // namespace cloister::sandbox
