// One zygote with its nursery, as the spawner sees them.

#ifndef CLOISTER_SANDBOX_SPAWNER_ZYGOTE_PROCESS_H_
#define CLOISTER_SANDBOX_SPAWNER_ZYGOTE_PROCESS_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cloister/internal/v1/spawner.pb.h"
#include "sandbox/linux/cgroup.h"
#include "sandbox/spawner/connection.h"
#include "sandbox/spawner/launch.h"
#include "sandbox/spawner/poller.h"

namespace cloister::sandbox {

// Thread-safety: none. Destroying it kills every process of the template and waits for their end.
class ZygoteProcess {
 public:
  enum class State { kStarting, kReady, kRetired, kFailed };

  struct Callbacks {
    std::function<void()> on_readable;  // Receive has something to say
    std::function<void()> on_exit;      // the nursery has ended, and all below it
  };

  // Launches the guest binary, in a cgroup beside those of sandboxes. `cgroups` may be null;
  // `scratch_directory` as in LaunchOptions.
  static absl::StatusOr<std::unique_ptr<ZygoteProcess>> Start(
      Poller& poller, CgroupManager* cgroups, const internal::v1::Facilities& facilities,
      const std::string& scratch_directory, const internal::v1::StartZygote& request,
      Callbacks callbacks);

  ZygoteProcess(const ZygoteProcess&) = delete;
  ZygoteProcess& operator=(const ZygoteProcess&) = delete;
  ~ZygoteProcess();

  int64_t id() const { return id_; }
  const internal::v1::ZygoteSpec& spec() const { return spec_; }
  State state() const { return state_; }
  void set_state(State state) { state_ = state; }

  void Clone(const internal::v1::CreateSandbox& request);
  // Copies one of its sandboxes: SandboxCloned, then FinishCopy, then CopyFinished.
  void Copy(const internal::v1::ForkSandbox& request);
  void FinishCopy(int64_t sandbox_id);
  // Clones a further process of a sandbox; `init` is that sandbox's, or -1.
  void AddProcess(const internal::v1::AddProcess& request, int init);
  // No more clones; it ends with its last sandbox. One that still warms up is killed.
  void Retire();
  // It ends at once, and everything below it.
  void Kill();

  // As ReceivePacket, never waiting. After the end of the connection nothing is readable any more.
  absl::Status Receive(internal::v1::ZygoteEvent* event, std::vector<UniqueFd>* descriptors);

  // After on_exit, once: reaps the nursery and says how the zygote ended, in words.
  std::string Reap();

 private:
  ZygoteProcess(Poller& poller, int64_t id, internal::v1::ZygoteSpec spec)
      : poller_(poller), id_(id), spec_(std::move(spec)) {}

  Poller& poller_;
  const int64_t id_;
  const internal::v1::ZygoteSpec spec_;
  std::unique_ptr<Cgroup> cgroup_;
  State state_ = State::kStarting;
  UniqueFd nursery_;
  Poller::Token nursery_watch_ = 0;
  std::unique_ptr<Connection> control_;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_SPAWNER_ZYGOTE_PROCESS_H_
