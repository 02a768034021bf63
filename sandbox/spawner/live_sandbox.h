// One sandbox as the spawner sees it: its processes' pidfds and its cgroup. Or a further process of
// another, which has the same life, but neither init nor cgroup.

#ifndef CLOISTER_SANDBOX_SPAWNER_LIVE_SANDBOX_H_
#define CLOISTER_SANDBOX_SPAWNER_LIVE_SANDBOX_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cloister/internal/v1/spawner.pb.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/linux/cgroup.h"
#include "sandbox/spawner/poller.h"

namespace cloister::sandbox {

// From the request to clone it until nothing is left of it.
//
// Thread-safety: none. Ownership: of the descriptors and, while it lives, of a cgroup slot.
// `cgroups` may be null: sandboxes then have none.
class LiveSandbox {
 public:
  LiveSandbox(int64_t id, int64_t zygote_id, Poller& poller, CgroupManager* cgroups)
      : id_(id), zygote_id_(zygote_id), poller_(poller), cgroups_(cgroups) {}
  LiveSandbox(const LiveSandbox&) = delete;
  LiveSandbox& operator=(const LiveSandbox&) = delete;
  ~LiveSandbox();

  int64_t id() const { return id_; }
  int64_t zygote_id() const { return zygote_id_; }

  // It is a copy of another: its limits are those asked for, and it waits for FinishCopy.
  void BecomeCopy(const internal::v1::ForkSandbox& request) { copy_ = request; }
  bool is_copy() const { return copy_.has_value(); }
  int64_t parent_id() const { return copy_.has_value() ? copy_->parent_id() : 0; }

  // Copies of it are born in its group, and leave it when they are adopted: meanwhile they must not count
  // against what its programs may start.
  void BeginCopy() { ChangeCopies(+1); }
  void EndCopy() { ChangeCopies(-1); }

  // It is a further process of `home`, which outlives it: in its namespaces and its cgroup.
  void Join(LiveSandbox& home);
  // No more, though still known whose it was. Nothing happens to others.
  void Leave();
  LiveSandbox* home() const { return home_; }
  const std::set<int64_t>& members() const { return members_; }
  bool CanBeJoined() const { return home_ == nullptr && !(is_copy() && copy_->snapshot()); }
  // Of the sandbox; -1 where it has none.
  int init() const { return init_.get(); }

  // Pidfds; but for the first they may be none.
  struct Processes {
    UniqueFd first;
    UniqueFd init;
    UniqueFd shadow;
    UniqueFd file_copier;
  };
  // Takes over what the zygote cloned, in a cgroup of its own from here on.
  absl::Status Adopt(Processes processes, const internal::v1::ZygoteSpec& spec);
  bool is_adopted() const { return static_cast<bool>(first_process_); }

  // For a kill that came while it was still being cloned.
  void KillWhenAdopted() { kill_when_adopted_ = true; }
  bool kill_when_adopted() const { return kill_when_adopted_; }

  // What a copy is announced with, once it has its files.
  struct Announcement {
    internal::v1::SandboxCloned cloned;
    std::vector<UniqueFd> pipes;
  };
  void KeepAnnouncement(Announcement announcement) { announcement_ = std::move(announcement); }
  std::optional<Announcement> TakeAnnouncement() { return std::exchange(announcement_, {}); }

  // Fills in what cloisterd is told of it.
  void Describe(internal::v1::SandboxCreated* created) const;
  // The descriptors of SandboxCreated that come from here: the pidfd, and the cgroup's files.
  int first_process() const { return first_process_.get(); }
  absl::StatusOr<std::vector<UniqueFd>> OpenCgroupFiles() const;

  void Signal(int signal);
  absl::Status SetLimits(const internal::v1::CgroupLimits& limits, int64_t workspace_bytes);

  // Kills everything in it. `on_end` runs once the init has gone; without one, never. Idempotent.
  void BeginTeardown(std::function<void()> on_end);
  bool is_ending() const { return ending_since_ != 0; }

  // The zygote has reaped the first process, or is gone itself and can tell nothing.
  void OnChildExited(const internal::v1::ChildExited& exited) { child_exited_ = exited; }
  void OnZygoteGone();

  // Whether nothing is left to wait for; then Finish gives the slot back and says how it was.
  bool IsOver() const { return child_exited_.has_value() && init_gone_ && members_.empty(); }
  internal::v1::SandboxExited Finish();

 private:
  void StopWatching();
  void EndFirstProcess();
  absl::Status JoinCgroup(const internal::v1::CgroupLimits& limits, const Processes& processes);
  void ChangeCopies(int change);
  // What the group is told to allow: shadows, copies and further processes are not the program's, and
  // count.
  internal::v1::CgroupLimits WithShadow(const internal::v1::CgroupLimits& limits) const;
  void RenewLimits();
  absl::Status ResizeWorkspace(int64_t bytes);
  void ReadCgroup(internal::v1::SandboxExited* exited);
  void DescribeMember(internal::v1::SandboxExited* exited);
  // Whether the kernel killed one of the group for lack of memory, and nobody was told of that kill.
  bool TakeOomKill();
  // Its sandbox, which may be itself.
  const LiveSandbox& whole() const { return home_ == nullptr ? *this : *home_; }

  const int64_t id_;
  const int64_t zygote_id_;
  Poller& poller_;
  CgroupManager* const cgroups_;
  UniqueFd first_process_;
  pid_t host_pid_ = 0;  // of the first process, until that is reaped
  UniqueFd init_;
  std::unique_ptr<Cgroup> cgroup_;
  int64_t oom_kill_baseline_ = 0;
  bool may_have_children_ = false;
  std::optional<int64_t> cpu_baseline_;  // where the cgroup counts for more than one process
  int64_t workspace_bytes_ = 0;
  int64_t ending_since_ = 0;  // monotonic nanoseconds; 0 while it lives
  Poller::Token init_watch_ = 0;
  bool init_gone_ = false;
  bool has_shadow_ = false;
  int copies_ = 0;  // being made
  LiveSandbox* home_ = nullptr;
  std::set<int64_t> members_;
  internal::v1::CgroupLimits limits_;
  bool kill_when_adopted_ = false;
  std::optional<internal::v1::ForkSandbox> copy_;
  std::optional<Announcement> announcement_;
  std::optional<internal::v1::ChildExited> child_exited_;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_SPAWNER_LIVE_SANDBOX_H_
