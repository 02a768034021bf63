// The one privileged process: makes zygotes, lets them clone sandboxes, bounds and ends those, and
// tells cloisterd. Decides nothing. Everything it made ends with it.

#ifndef CLOISTER_SANDBOX_SPAWNER_SPAWNER_H_
#define CLOISTER_SANDBOX_SPAWNER_SPAWNER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "cloister/internal/v1/spawner.pb.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/linux/cgroup.h"
#include "sandbox/spawner/connection.h"
#include "sandbox/spawner/keeper.h"
#include "sandbox/spawner/live_sandbox.h"
#include "sandbox/spawner/poller.h"
#include "sandbox/spawner/zygote_process.h"

namespace cloister::sandbox {

// Thread-safety: none; the process has one thread.
class Spawner {
 public:
  // `cgroups` may be null where the machine offers none. `keeper` outlives it.
  Spawner(Poller poller, UniqueFd socket, internal::v1::Facilities facilities,
          std::unique_ptr<CgroupManager> cgroups, Keeper& keeper);
  ~Spawner();

  // Serves cloisterd until its end of the socket closes; then ends every process and removes every
  // cgroup, and returns. An error means that the loop itself failed; all is ended as well.
  absl::Status Run();

 private:
  // Requests of cloisterd.
  void HandleRequests();
  void Dispatch(const internal::v1::SpawnerRequest& request);
  void StartZygote(const internal::v1::StartZygote& request);
  void StopZygote(const internal::v1::StopZygote& request);
  void CreateSandbox(const internal::v1::CreateSandbox& request);
  void SignalSandbox(const internal::v1::SignalSandbox& request);
  void ForkSandbox(const internal::v1::ForkSandbox& request);
  void AddProcess(const internal::v1::AddProcess& request);
  void SetSandboxLimits(const internal::v1::SetSandboxLimits& request);
  void KillSandbox(int64_t sandbox_id);

  // Events of zygotes.
  void HandleZygoteEvents(int64_t zygote_id);
  void DispatchZygoteEvent(ZygoteProcess& zygote, const internal::v1::ZygoteEvent& event,
                           std::vector<UniqueFd> descriptors);
  void OnCloned(ZygoteProcess& zygote, const internal::v1::SandboxCloned& cloned,
                std::vector<UniqueFd> descriptors);
  absl::Status AnnounceSandbox(LiveSandbox& sandbox, const internal::v1::SandboxCloned& cloned,
                               const std::vector<UniqueFd>& pipes);
  void OnCopyFinished(int64_t sandbox_id);
  void OnCloneFailed(const internal::v1::CloneFailed& failed);
  // Of one that was adopted; its end is told as well.
  void FailAdopted(LiveSandbox& sandbox, const std::string& message,
                   internal::v1::FailureCause cause = {});
  void OnChildExited(const internal::v1::ChildExited& exited);
  void OnNurseryExited(int64_t zygote_id);

  void WatchKeeper();
  void OnKeeperExited();

  // With its further processes.
  void TearDown(LiveSandbox& sandbox);
  // Of those for which `wanted`; of a sandbox and its further processes, these come first.
  std::vector<int64_t> IdsOf(absl::FunctionRef<bool(const LiveSandbox&)> wanted) const;
  // Forgets it, and ends what waited for that.
  std::unique_ptr<LiveSandbox> Remove(int64_t sandbox_id);
  void FinishIfOver(int64_t sandbox_id);
  void FailSandbox(int64_t sandbox_id, const std::string& message,
                   internal::v1::FailureCause cause = {});
  LiveSandbox* FindSandbox(int64_t sandbox_id);
  void Tell(const internal::v1::SpawnerEvent& event, absl::Span<const int> descriptors = {});
  void EndEverything();

  Poller poller_;
  const internal::v1::Facilities facilities_;
  const std::unique_ptr<CgroupManager> cgroups_;
  Keeper& keeper_;
  Poller::Token keeper_watch_ = 0;
  Connection cloisterd_;
  bool cloisterd_gone_ = false;
  absl::Status failure_;
  std::unordered_map<int64_t, std::unique_ptr<ZygoteProcess>> zygotes_;
  std::unordered_map<int64_t, std::unique_ptr<LiveSandbox>> sandboxes_;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_SPAWNER_SPAWNER_H_
