// What a sandbox consists of on the host's side, and what it asks of the spawner.

#ifndef CLOISTER_SANDBOX_HOST_SANDBOX_PARTS_H_
#define CLOISTER_SANDBOX_HOST_SANDBOX_PARTS_H_

#include <poll.h>

#include <cstdint>
#include <functional>
#include <memory>

#include "absl/status/statusor.h"
#include "cloister/internal/v1/spawner.pb.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/host/asio_loop.h"
#include "sandbox/host/guest_channel.h"
#include "sandbox/host/memory_room.h"
#include "sandbox/host/output_reader.h"
#include "sandbox/host/resource_meter.h"
#include "sandbox/sandbox.h"

namespace cloister::sandbox {

class MemberProcess;

// What a sandbox asks of the spawner, and tells its maker. None of it is answered inline.
class SandboxControl {
 public:
  virtual ~SandboxControl() = default;

  // To the first process. Answered by HostSandbox::OnSignaled.
  virtual void SendSignal(int64_t sandbox_id, int signal) = 0;
  // Ends everything inside. Idempotent.
  virtual void Kill(int64_t sandbox_id) = 0;
  // Answered by HostSandbox::OnLimitsSet.
  virtual void SetLimits(const internal::v1::SetSandboxLimits& limits) = 0;

  // What a copy begins with beside its parent's memory.
  struct CopyOrder {
    internal::v1::ForkSandbox request;  // without sandbox_id
    Limits limits;
    int64_t last_cell = 0;
  };
  using CopyCallback = std::function<void(absl::StatusOr<std::unique_ptr<Sandbox>>)>;
  // Copies one that stands still.
  virtual void Copy(CopyOrder order, CopyCallback done) = 0;

  // Makes a further process of a sandbox; `done` follows when it waits for its first frame. From then on
  // its own id names it here: SendSignal and Kill are about it alone. Errors: UNAVAILABLE (the sandbox or
  // the spawner was lost), DEADLINE_EXCEEDED (it did not become ready), INTERNAL (which step failed).
  using ProcessCallback = std::function<void(absl::StatusOr<std::unique_ptr<MemberProcess>>)>;
  virtual void AddProcess(int64_t sandbox_id, ProcessCallback done) = 0;

  // It died before it was given a program or a session.
  virtual void OnIdleLost(int64_t sandbox_id) = 0;
  // The object is gone; what is left of the sandbox has to end.
  virtual void OnDestroyed(int64_t sandbox_id) = 0;
};

// Ownership: of the descriptors. The loop and the control outlive it.
struct SandboxParts {
  // Whether the first process has ended, whether or not anybody was told.
  bool ProcessHasEnded() const {
    pollfd exited{pidfd.get(), POLLIN, 0};
    return ::poll(&exited, 1, 0) == 1;
  }

  // To the first process.
  void SendSignal(int signal) {
    ++unanswered_signals;
    control->SendSignal(id, signal);
  }

  const int64_t id;
  const pid_t host_pid;    // as in SandboxCreated
  const bool shares_user;  // the same
  AsioLoop* const loop;
  SandboxControl* const control;
  const UniqueFd pidfd;
  GuestChannel channel;
  OutputReader output;
  ResourceMeter meter;
  MemoryRoom memory = MemoryRoom(UniqueFd(), UniqueFd());  // known to further processes only
  int unanswered_signals = 0;  // asked for, and not known to have been sent
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_HOST_SANDBOX_PARTS_H_
