// The warmed process from which a template's sandboxes are cloned. Serves one control socket, runs
// no guest code, has one thread.

#ifndef CLOISTER_SANDBOX_ZYGOTE_ZYGOTE_H_
#define CLOISTER_SANDBOX_ZYGOTE_ZYGOTE_H_

#include <sys/types.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "cloister/internal/v1/spawner.pb.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/linux/clone.h"
#include "sandbox/zygote/confine.h"
#include "sandbox/zygote/copier.h"
#include "sandbox/zygote/guest_runtime.h"
#include "sandbox/zygote/user_ids.h"
#include "sandbox/zygote/sandbox_pipes.h"
#include "sandbox/zygote/stage_clock.h"

namespace cloister::sandbox {

// Thread-safety: none. Ownership: of `runtime`, none; of the sockets, the descriptors.
class Zygote {
 public:
  // `control` leads to the spawner, `nursery` to the nursery; without one, sandboxes get no
  // namespaces.
  Zygote(GuestRuntime& runtime, UniqueFd control, UniqueFd nursery);

  // Sets up, then serves until it has retired or the spawner is gone. Returns the exit status. In
  // clones it does not return.
  int Run();

 private:
  struct PendingClone {
    int64_t sandbox_id;
    int64_t asked_at;  // monotonic nanoseconds
    bool forkable = false;
    int64_t joined_sandbox_id = 0;                  // of a further process
    std::optional<internal::v1::CopySandbox> copy;  // of another sandbox, not of the zygote
  };
  using Init = SandboxCopier::Init;

  enum class Role { kFirstProcess, kShadow };
  struct Child {
    int64_t sandbox_id;  // of a further process, its own
    Role role;
    int64_t home;  // the sandbox it is in
  };
  // A sandbox with processes that are not reaped yet, shadows excepted.
  struct Home {
    uid_t user = 0;
    int processes = 0;
  };
  // What the spawner is told of.
  struct Cloned {
    UniqueFd first_process = {};
    UniqueFd shadow = {};  // or none
    UniqueFd file_copier = {};  // or none
    int64_t memory_bytes = 0;  // of a copy: above the zygote's own
  };
  // A process that copies files into a copy: a byte on `go` has it begin, and on `report` it says what went
  // wrong.
  struct FileCopier {
    int64_t sandbox_id;
    UniqueFd go;
    UniqueFd report;
  };

  // Each of these returns an error only where the zygote must end.
  absl::Status SetUp();
  absl::Status WarmUp(const internal::v1::ZygoteConfig& config);
  absl::Status Serve();
  absl::Status HandleRequests();
  absl::Status HandleRequest(const internal::v1::ZygoteRequest& request,
                             std::vector<UniqueFd> descriptors);
  absl::Status ReapChildren();
  absl::Status OnReaped(pid_t pid, const internal::v1::ChildExited& exited);
  // Once nothing is left that serves the sandbox and nobody else.
  absl::Status TellEnd(int64_t sandbox_id);
  void AddResident(pid_t pid, int64_t sandbox_id, int64_t home, uid_t user);
  void RemoveResident(int64_t home);
  // Copies take as long as guests make them: at most one between looks at the queue, and after those who
  // wait for a fresh sandbox.
  PendingClone TakeNext();
  bool has_pending() const { return !pending_.empty() || !pending_copies_.empty(); }
  absl::Status CloneNext();

  // Clones one sandbox into the namespaces of `init`, and tells the spawner.
  absl::Status CloneSandbox(const PendingClone& pending, const Init& init);
  // The same for a further process of a sandbox.
  absl::Status JoinSandbox(const internal::v1::CloneSandbox& request,
                           std::vector<UniqueFd> descriptors);
  absl::StatusOr<std::string> PlaceDirectory(const PendingClone& pending) const;
  // Which namespace the next child is born into.
  absl::Status ChooseNamespace(const PendingClone& pending, const Init& init);
  // In the parent: learns the first process, and keeps the shadow where it is to have one.
  absl::StatusOr<Cloned> AdoptClone(const PendingClone& pending, const Init& init,
                                    CloneResult clone);
  // The same for a copy of another sandbox.
  absl::Status CopySandbox(const PendingClone& pending, const Init& init);
  absl::StatusOr<Cloned> DescribeCopy(int64_t sandbox_id, const SandboxCopier::Copy& copy);
  absl::Status FinishCopy(int64_t sandbox_id);
  absl::Status ReleaseCopy(int64_t sandbox_id);
  // In time for the spawner to put it into the copy's cgroup. No process where there are no files.
  absl::StatusOr<UniqueFd> StartFileCopier(int64_t sandbox_id);
  std::unordered_map<pid_t, FileCopier>::iterator FindFileCopier(int64_t sandbox_id);
  absl::Status OnFilesCopied(const FileCopier& copier, const internal::v1::ChildExited& exited);
  absl::Status TellCloned(const PendingClone& pending, const StageClock& clock,
                          const Cloned& cloned, const Init& init, const SandboxPipes& pipes);
  absl::Status FailCopy(int64_t sandbox_id, const absl::Status& status);
  absl::Status ReportCloneFailure(int64_t sandbox_id, const absl::Status& status);
  absl::Status RequestInit();
  absl::StatusOr<Init> TakeInit();
  absl::Status Send(const internal::v1::ZygoteEvent& event, absl::Span<const int> descriptors = {});

  bool has_nursery() const { return static_cast<bool>(nursery_); }
  bool finished() const {
    return retired_ && children_.empty() && file_copiers_.empty() && !has_pending();
  }

  GuestRuntime& runtime_;
  const UniqueFd control_;
  const UniqueFd nursery_;
  UniqueFd child_signals_;
  internal::v1::ZygoteConfig config_;
  std::optional<ConfinePlan> plan_;
  std::string stage_;  // of the set-up, for ZygoteBroken
  bool retired_ = false;
  std::deque<PendingClone> pending_;
  std::deque<PendingClone> pending_copies_;
  int clones_in_a_row_ = 0;
  std::unordered_map<pid_t, Child> children_;
  std::unordered_map<int64_t, Home> homes_;
  UserIds user_ids_;
  std::deque<uid_t> promised_;  // to the inits asked for, in their order
  // Of sandboxes whose shadow or file copier has not been reaped yet: what they shared is not gone before.
  std::unordered_map<int64_t, internal::v1::ChildExited> ended_;
  std::unordered_map<pid_t, FileCopier> file_copiers_;
  std::unique_ptr<SandboxCopier> copier_;  // none without a nursery
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_ZYGOTE_ZYGOTE_H_
