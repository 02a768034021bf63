// The part of the zygote that clones further processes into living sandboxes.

#include <cerrno>
#include <string>
#include <utility>

#include "sandbox/base/monotonic_time.h"
#include "sandbox/zygote/zygote.h"

namespace cloister::sandbox {

// The spawner, which asks, keeps the sandbox's init: were that found by its pid, it could be another's.
absl::Status Zygote::JoinSandbox(const internal::v1::CloneSandbox& request,
                                 std::vector<UniqueFd> descriptors) {
  const int64_t id = request.sandbox_id();
  const auto home = homes_.find(request.joined_sandbox_id());
  if (home == homes_.end() || descriptors.size() != (has_nursery() ? 1 : 0)) {
    errno = 0;
    return ReportCloneFailure(id, absl::NotFoundError("the sandbox has ended"));
  }
  Init init;
  init.user = home->second.user;
  if (has_nursery()) init.pidfd = std::move(descriptors.front());
  const PendingClone pending = {.sandbox_id = id,
                                .asked_at = MonotonicNanoseconds(),
                                .joined_sandbox_id = request.joined_sandbox_id(),
                                .copy = std::nullopt};
  const absl::Status status = CloneSandbox(pending, init);
  return status.ok() ? status : ReportCloneFailure(id, status);
}

void Zygote::AddResident(pid_t pid, int64_t sandbox_id, int64_t home, uid_t user) {
  children_[pid] = {sandbox_id, Role::kFirstProcess, home};
  homes_[home].user = user;
  ++homes_[home].processes;
}

void Zygote::RemoveResident(int64_t home) {
  const auto found = homes_.find(home);
  if (--found->second.processes > 0) return;
  if (has_nursery()) user_ids_.Return(found->second.user);
  homes_.erase(found);
}

}  // namespace cloister::sandbox
