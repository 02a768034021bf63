// Control groups: what bounds a sandbox's memory, processes and processors from outside. One
// interface over v1 and v2, chosen at start by what is mounted.
//
// Making and removing a group costs 60 to 100 µs per controller, so groups are slots: used by one
// sandbox after another, never by two at once, and reset in between.
//
// Thread-safety: none; all of it belongs to the spawner's one thread.
// Units: bytes, nanoseconds, thousandths of a core.

#ifndef CLOISTER_SANDBOX_LINUX_CGROUP_H_
#define CLOISTER_SANDBOX_LINUX_CGROUP_H_

#include <sys/types.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cloister/internal/v1/spawner.pb.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/linux/cgroup_tree.h"

namespace cloister::sandbox {

// One group, in as many hierarchies as there are. Destroying the object removes the directories
// where nothing lives in them any more.
class Cgroup {
 public:
  virtual ~Cgroup() = default;

  // The last part of its path, e.g. "s7".
  virtual const std::string& name() const = 0;

  // Sets all limits; 0 means none. Lowering memory below what is in use makes the kernel reclaim
  // and may kill.
  virtual absl::Status SetLimits(const internal::v1::CgroupLimits& limits) = 0;

  // Moves a process, with all its threads, into the group.
  virtual absl::Status Attach(pid_t pid) = 0;

  // Since the group was made. Compare with a reading from before the sandbox used it.
  virtual absl::StatusOr<int64_t> OomKillCount() = 0;
  virtual absl::StatusOr<int64_t> PeakBytes() = 0;
  virtual absl::StatusOr<int64_t> CurrentBytes() = 0;
  // UNIMPLEMENTED where no hierarchy of the group accounts for time.
  virtual absl::StatusOr<int64_t> CpuNanoseconds() = 0;

  // The peak starts anew from what is in use now. UNIMPLEMENTED on v2 before Linux 6.12: such
  // groups are not used twice.
  virtual absl::Status ResetPeak() = 0;

  // For a reader without privileges: v1 memory.max_usage_in_bytes and cpuacct.usage, v2 memory.peak
  // and cpu.stat. Read them with pread(2) at 0. What they tell is of this sandbox only until the
  // group is released.
  virtual absl::StatusOr<UniqueFd> OpenPeakFile() = 0;
  virtual absl::StatusOr<UniqueFd> OpenCpuFile() = 0;
  // The same for what is in use now: v1 memory.usage_in_bytes, v2 memory.current; and for what that
  // consists of, memory.stat of both.
  virtual absl::StatusOr<UniqueFd> OpenUsageFile() = 0;
  virtual absl::StatusOr<UniqueFd> OpenMemoryStatFile() = 0;

  // Closes the descriptors it can open again, as its next use does: for one that is left alone for long.
  virtual void Rest() = 0;

  // Sends SIGKILL to everything in it; from then on, until SetLimits, nothing in it can fork. They
  // die soon after: see IsEmpty.
  virtual absl::Status KillAll() = 0;

  // Whether no process is left in it; zombies do not count.
  virtual absl::StatusOr<bool> IsEmpty() = 0;

  // Gives cached pages back, so that the next user of the group starts near zero, and returns what
  // is still charged to it. Costs up to a millisecond; does nothing where little is in use.
  virtual absl::StatusOr<int64_t> Reclaim() = 0;
};

// Where groups can be made: one version of the kernel interface.
//
// Ownership: removes its base directories, and what is left in them, when destroyed.
class CgroupHierarchies {
 public:
  virtual ~CgroupHierarchies() = default;

  // "v1" or "v2".
  virtual std::string_view version() const = 0;

  // Whether memory, pids or cpu can be used; if not, why and the remedy.
  virtual absl::Status Available(std::string_view controller) const = 0;

  // The directories everything is made in, one per hierarchy.
  virtual const std::vector<std::string>& paths() const = 0;

  virtual absl::StatusOr<std::unique_ptr<Cgroup>> Make(const std::string& name) = 0;
};

// Owns the groups of one spawner: `cloister-PID` below the spawner's own group, with one directory
// per slot in it.
class CgroupManager {
 public:
  // Finds out what is mounted, removes what spawners of dead pids left behind, and makes the base.
  // Errors: FAILED_PRECONDITION, saying what is missing and the remedy.
  static absl::StatusOr<std::unique_ptr<CgroupManager>> Create();

  // For tests: everything below a tree of their own.
  static absl::StatusOr<std::unique_ptr<CgroupManager>> Create(const CgroupSystem& system);

  explicit CgroupManager(std::unique_ptr<CgroupHierarchies> hierarchies)
      : hierarchies_(std::move(hierarchies)) {}

  // Kills what is left, and removes every directory, waiting up to a second for the dying. Groups
  // that were handed out must be destroyed or released before.
  ~CgroupManager() = default;

  // "v1" or "v2".
  std::string_view version() const { return hierarchies_->version(); }

  // Whether memory, pids or cpu is bounded; if not, why and the remedy.
  absl::Status Available(std::string_view controller) const {
    return hierarchies_->Available(controller);
  }
  bool HasController(std::string_view controller) const { return Available(controller).ok(); }

  // A free slot with these limits and a fresh peak, or a new one.
  absl::StatusOr<std::unique_ptr<Cgroup>> Acquire(const internal::v1::CgroupLimits& limits);

  // Free slots that are kept, with their directories and descriptors: more than come and go at once in
  // quiet times, so that a burst does not stay.
  static constexpr size_t kMaximumFree = 256;
  // For tests: another bound.
  void SetMaximumFree(size_t maximum) { maximum_free_ = maximum; }

  // Takes a slot back, kills what is left in it, and uses it again or, where enough are free, removes
  // it. One that is not empty yet, or cannot be reset, is set aside, and the error says why; it is
  // tried again when slots run short. Never waits for processes to die.
  absl::Status Release(std::unique_ptr<Cgroup> group);

  // A group beside the slots, e.g. for zygotes. `name` must not begin with "s" and a digit.
  absl::StatusOr<std::unique_ptr<Cgroup>> MakeNamed(const std::string& name,
                                                    const internal::v1::CgroupLimits& limits);

  // The base directories, for RemoveTrees.
  const std::vector<std::string>& Paths() const { return hierarchies_->paths(); }

  int64_t free_slots() const { return static_cast<int64_t>(free_.size()); }
  int64_t stuck_slots() const { return static_cast<int64_t>(stuck_.size()); }

  // Removes base directories with all groups in them, and kills what lives there, as far as the
  // caller may: for who outlives the spawner. Waits up to `patience` for the dying.
  static absl::Status RemoveTrees(const std::vector<std::string>& paths, absl::Duration patience);

 private:
  absl::StatusOr<std::unique_ptr<Cgroup>> FreeOrNew();

  std::unique_ptr<CgroupHierarchies> hierarchies_;  // first: its groups go before it
  std::deque<std::unique_ptr<Cgroup>> free_;
  std::deque<std::unique_ptr<Cgroup>> stuck_;
  int64_t next_slot_ = 0;
  size_t maximum_free_ = kMaximumFree;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_LINUX_CGROUP_H_
