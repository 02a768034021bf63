#include "sandbox/linux/cgroup_base.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "sandbox/base/status_macros.h"
#include "sandbox/base/syscall_status.h"

namespace cloister::sandbox {
namespace {

constexpr char kPrefix[] = "cloister-";
constexpr absl::Duration kPatience = absl::Seconds(1);
constexpr absl::Duration kPause = absl::Milliseconds(1);

// A descriptor that holds the directory's lock; none where somebody else does.
UniqueFd TryLock(const std::string& directory) {
  UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd && ::flock(fd.get(), LOCK_EX | LOCK_NB) < 0) return UniqueFd();
  return fd;
}

// Whether the locked directory is still the one at its path.
bool IsAt(const UniqueFd& lock, const std::string& path) {
  struct stat locked {};
  struct stat there {};
  return ::fstat(lock.get(), &locked) == 0 && ::stat(path.c_str(), &there) == 0 &&
         locked.st_dev == there.st_dev && locked.st_ino == there.st_ino;
}

// Until it is locked, another spawner that starts takes it for an abandoned one and removes it: then it
// is made again.
absl::StatusOr<UniqueFd> MakeLocked(CgroupTree& tree, const std::string& path) {
  const absl::Time end = absl::Now() + kPatience;
  for (;;) {
    CLOISTER_RETURN_IF_ERROR(tree.MakeDirectory(path));
    UniqueFd lock = TryLock(path);
    if (lock && IsAt(lock, path)) return lock;
    const absl::Status status = SyscallError(absl::StrCat("lock ", path));
    // Whoever holds its lock to remove it is about to.
    while (::access(path.c_str(), F_OK) == 0 && absl::Now() < end) absl::SleepFor(kPause);
    if (absl::Now() >= end) return status;
  }
}

// What cannot be removed is left for the next start: it is not in the way of this one.
void RemoveAbandoned(CgroupTree& tree, const std::string& parent) {
  for (const std::string& group : SubGroups(parent)) {
    if (!absl::StartsWith(group, absl::StrCat(parent, "/", kPrefix))) continue;
    if (TryLock(group)) RemoveGroupTree(tree, group, kPatience).IgnoreError();
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<CgroupBase>> CgroupBase::Make(std::shared_ptr<CgroupTree> tree,
                                                             const std::string& parent) {
  RemoveAbandoned(*tree, parent);
  std::string path = absl::StrCat(parent, "/", kPrefix, ::getpid());
  CLOISTER_ASSIGN_OR_RETURN(UniqueFd lock, MakeLocked(*tree, path));
  return std::unique_ptr<CgroupBase>(
      new CgroupBase(std::move(tree), std::move(path), std::move(lock)));
}

CgroupBase::~CgroupBase() { RemoveGroupTree(*tree_, path_, kPatience).IgnoreError(); }

}  // namespace cloister::sandbox
