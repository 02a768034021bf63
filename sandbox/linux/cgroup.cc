#include "sandbox/linux/cgroup.h"

#include <unistd.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "sandbox/base/status_macros.h"
#include "sandbox/base/syscall_status.h"
#include "sandbox/linux/cgroup_parse.h"
#include "sandbox/linux/cgroup_v1.h"
#include "sandbox/linux/cgroup_v2.h"

namespace cloister::sandbox {
namespace {

// Machines may mount both: then the memory controller, which only one of them can have, decides.
bool HasMemoryOnV1(const std::vector<CgroupMount>& mounts) {
  return std::any_of(mounts.begin(), mounts.end(), [](const CgroupMount& mount) {
    return std::find(mount.controllers.begin(), mount.controllers.end(), "memory") !=
           mount.controllers.end();
  });
}

// A group's next user may be charged for so much of what it did not use. More stays where copies of
// a sandbox still have its pages: such a group is not used again.
constexpr int64_t kMaxInheritedBytes = int64_t{4} << 20;

// Slots set aside that one request looks at again.
constexpr size_t kTriedAtOnce = 16;

// Ready for another sandbox: empty, without its predecessor's pages and peak.
absl::Status Reset(Cgroup& group) {
  CLOISTER_ASSIGN_OR_RETURN(const bool empty, group.IsEmpty());
  if (!empty) {
    (void)group.KillAll();
    return absl::UnavailableError(
        absl::StrCat("cgroup ", group.name(), " still has processes in it"));
  }
  CLOISTER_ASSIGN_OR_RETURN(const int64_t left, group.Reclaim());
  if (left > kMaxInheritedBytes) {
    return absl::UnimplementedError(
        absl::StrCat(left, " bytes stay charged to cgroup ", group.name()));
  }
  return group.ResetPeak();
}

}  // namespace

absl::StatusOr<std::unique_ptr<CgroupManager>> CgroupManager::Create() {
  CLOISTER_ASSIGN_OR_RETURN(const CgroupSystem system, CgroupSystem::Running());
  return Create(system);
}

absl::StatusOr<std::unique_ptr<CgroupManager>> CgroupManager::Create(const CgroupSystem& system) {
  const std::vector<CgroupMount> mounts = ParseCgroupMounts(system.mountinfo);
  if (mounts.empty()) {
    return absl::FailedPreconditionError(
        "no cgroup file system is mounted: mount cgroup2 on /sys/fs/cgroup");
  }
  CLOISTER_ASSIGN_OR_RETURN(std::unique_ptr<CgroupHierarchies> hierarchies,
                            HasMemoryOnV1(mounts) ? MakeCgroupsV1(system) : MakeCgroupsV2(system));
  return std::make_unique<CgroupManager>(std::move(hierarchies));
}

absl::StatusOr<std::unique_ptr<Cgroup>> CgroupManager::FreeOrNew() {
  if (free_.empty()) {
    // Those that were dying when they came back have had time to.
    for (size_t tried = std::min(stuck_.size(), kTriedAtOnce); tried > 0; --tried) {
      std::unique_ptr<Cgroup> group = std::move(stuck_.front());
      stuck_.pop_front();
      (Reset(*group).ok() ? free_ : stuck_).push_back(std::move(group));
    }
  }
  if (free_.empty()) return hierarchies_->Make(absl::StrCat("s", next_slot_++));
  std::unique_ptr<Cgroup> group = std::move(free_.back());
  free_.pop_back();
  return group;
}

absl::StatusOr<std::unique_ptr<Cgroup>> CgroupManager::Acquire(
    const internal::v1::CgroupLimits& limits) {
  CLOISTER_ASSIGN_OR_RETURN(std::unique_ptr<Cgroup> group, FreeOrNew());
  const absl::Status status = group->SetLimits(limits);
  if (!status.ok()) {
    free_.push_back(std::move(group));
    return status;
  }
  return group;
}

absl::Status CgroupManager::Release(std::unique_ptr<Cgroup> group) {
  const absl::Status status = Reset(*group);
  if (status.ok()) {
    if (free_.size() < maximum_free_) free_.push_back(std::move(group));
  } else if (!absl::IsUnimplemented(status)) {
    stuck_.push_back(std::move(group));
  } else {
    // It is empty, but what it counts would be of all who used it: make a new one next time.
    return absl::OkStatus();
  }
  return status;
}

absl::StatusOr<std::unique_ptr<Cgroup>> CgroupManager::MakeNamed(
    const std::string& name, const internal::v1::CgroupLimits& limits) {
  CLOISTER_ASSIGN_OR_RETURN(std::unique_ptr<Cgroup> group, hierarchies_->Make(name));
  CLOISTER_RETURN_IF_ERROR(group->SetLimits(limits));
  return group;
}

absl::Status CgroupManager::RemoveTrees(const std::vector<std::string>& paths,
                                        absl::Duration patience) {
  CgroupTree tree;
  absl::Status status;
  for (const std::string& path : paths) status.Update(RemoveGroupTree(tree, path, patience));
  return status;
}

}  // namespace cloister::sandbox
