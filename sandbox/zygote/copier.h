// Copies of live sandboxes, from the zygote's side.
//
// A sandbox that may be copied has a *shadow*: a process that shares its memory and its signal
// handlers, and nothing else. It keeps the zygote's privileges, lives in the nursery's pid namespace,
// where the sandbox can neither see nor name it, and is stopped for the zygote, its tracer, from before
// the sandbox runs its first guest code until it dies. It never runs but to make one system call that
// the zygote has approved (traced_process.h). Cloning it copies the sandbox's memory, into a process
// that can still be given namespaces, an identity and a confinement of its own: those of a fresh
// sandbox, and a shadow of its own.
//
//   shadow ──clone──▶ shadow of the copy ──clone, sharing memory──▶ first process of the copy
//
// A snapshot is such a shadow without a first process.

#ifndef CLOISTER_SANDBOX_ZYGOTE_COPIER_H_
#define CLOISTER_SANDBOX_ZYGOTE_COPIER_H_

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cloister/internal/v1/spawner.pb.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/linux/traced_process.h"
#include "sandbox/zygote/confine.h"
#include "sandbox/zygote/copy_checks.h"
#include "sandbox/zygote/hand_over.h"
#include "sandbox/zygote/sandbox_process.h"
#include "sandbox/zygote/stage_clock.h"

namespace cloister::sandbox {

// Thread-safety: none. Ownership: borrows the plan and the configuration; of shadows and copies, the
// duty to kill them. The zygote reaps all, and tells it.
class SandboxCopier {
 public:
  // A sandbox's init. The pid, in the zygote's pid namespace, is its own for as long as it lives.
  struct Init {
    int32_t pid = 0;
    UniqueFd pidfd;
    uid_t user = 0;  // of the sandbox

    Init Duplicate() const;
  };

  // Once, in the zygote, while it may still do anything.
  static absl::StatusOr<std::unique_ptr<SandboxCopier>> Make(
      const ConfinePlan& plan, const internal::v1::ZygoteConfig& config);

  // The caller's next child is born into the nursery's pid namespace.
  absl::Status GoHome() const;

  // In a new child of the zygote, which is to become a shadow: clones the first process of its sandbox
  // into the init's pid namespace, and returns there. Never returns in the shadow.
  absl::Status SplitOff(int init_pidfd) const;

  // In the zygote: waits for that child, keeps it as the sandbox's shadow, and returns the pid of the
  // first process. On an error all of them are killed.
  absl::StatusOr<pid_t> AdoptShadow(int64_t sandbox_id, pid_t shadow, Init init);

  // A copy that has not run yet.
  struct Copy {
    pid_t first_process = 0;  // a snapshot's is its shadow
    pid_t shadow = 0;
  };
  // Copies the sandbox, or snapshot, `request.parent_id`. Its first process is confined and stopped.
  // Errors: NOT_FOUND (no such shadow), Refusal (memory that would stay shared, or is too much; a shadow
  // that was lost and killed, from when on the sandbox is never copied), the kernel's; then every process
  // it made is killed.
  absl::StatusOr<Copy> CopySandbox(const internal::v1::CopySandbox& request, Init init,
                                   const SandboxDescriptors& descriptors, StageClock& clock);

  // Whether /workspace or /tmp of the copy's parent hold anything; then clone a process for
  // CopyFiles.
  absl::StatusOr<bool> HasFilesToCopy(int64_t sandbox_id) const;
  // In a new child of the zygote: once a byte arrives on `go`, copies them, confined to that. Returns its
  // exit status, having said on `report` what went wrong.
  int CopyFiles(int64_t sandbox_id, int go, int report) const;
  static constexpr int kFilesFailed = 1;
  static constexpr int kFilesRefused = 2;  // they are more, or other, than a copy can hold
  // Lets the copy run.
  absl::Status Release(int64_t sandbox_id);

  // Kills what only the sandbox's first process needed, or all there is of a copy not yet released. The
  // shadow's pid, where there was one still.
  std::optional<pid_t> Forget(int64_t sandbox_id);
  // Until it has been reaped.
  bool HasShadow(int64_t sandbox_id) const { return shadows_.contains(sandbox_id); }
  void OnShadowGone(int64_t sandbox_id) { shadows_.erase(sandbox_id); }

 private:
  struct Shadow {
    TracedProcess process;
    Init init;
    pid_t first_process = 0;  // 0: a snapshot
  };
  // Until Release.
  struct Waiting {
    TracedProcess first_process;
    uint64_t scratch = 0;
    int64_t parent_id = 0;
  };

  SandboxCopier(const ConfinePlan& plan, const internal::v1::ZygoteConfig& config,
                HandOver hand_over)
      : plan_(plan), config_(config), hand_over_(std::move(hand_over)) {}

  static absl::StatusOr<UniqueFd> OpenDirectoryOf(const Init& init, const char* directory);
  absl::Status CheckProgram(const Shadow& shadow) const;
  absl::StatusOr<pid_t> CloneShadow(int64_t sandbox_id, const Shadow& source);
  absl::Status CopyDirectories(const Init& from, const Init& to) const;
  absl::StatusOr<uint64_t> MapScratch(const TracedProcess& shadow) const;
  absl::Status GiveDescriptors(const TracedProcess& shadow, uint64_t scratch, const Init& init,
                               const SandboxDescriptors& descriptors);
  absl::StatusOr<TracedProcess> CloneFirstProcess(const TracedProcess& shadow) const;
  absl::Status MakeFirstProcess(const internal::v1::CopySandbox& request, const Init& init,
                                const SandboxDescriptors& descriptors, StageClock& clock,
                                Copy* copy);
  absl::Status LeaveDescriptors(const TracedProcess& shadow) const;

  const ConfinePlan& plan_;
  const internal::v1::ZygoteConfig& config_;
  HandOver hand_over_;
  UniqueFd home_;  // the zygote's own pidfd, at kHomeDescriptor
  const MappingCheck mappings_ = MappingCheck::OfThisProcess();
  std::unordered_map<int64_t, Shadow> shadows_;
  std::unordered_map<int64_t, Waiting> waiting_;
  // Sandboxes whose shadow had to be killed, and why.
  std::unordered_map<int64_t, std::string> lost_;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_ZYGOTE_COPIER_H_
