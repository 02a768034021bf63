// A process that the spawner made for us, from its creation until it waits for its first frame: the
// first process of a sandbox, or a further one.
//
// Thread-safety: the loop's thread only.

#ifndef CLOISTER_SANDBOX_HOST_SPAWNED_PROCESS_H_
#define CLOISTER_SANDBOX_HOST_SPAWNED_PROCESS_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "cloister/internal/v1/spawner.pb.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/host/guest_channel.h"
#include "sandbox/host/sandbox_parts.h"

namespace cloister::sandbox {

class SpawnedProcess {
 public:
  virtual ~SpawnedProcess() = default;

  // Calls `ready` once, never inline: OK when the guest is confined and waits, INTERNAL with the
  // step that failed otherwise.
  virtual void AwaitReady(std::function<void(absl::Status)> ready) = 0;

  // From the spawner. Each may destroy it.
  virtual void OnLimitsSet(const std::string& /*error*/) {}
  virtual void OnSignaled() = 0;
  virtual void OnExited(const internal::v1::SandboxExited& exit) = 0;
  virtual void OnSpawnerLost() = 0;
};

// Whether these can be the descriptors of a SandboxCreated; INTERNAL where they cannot.
absl::Status CheckDescriptors(const std::vector<UniqueFd>& descriptors);

// Of descriptors that were checked.
SandboxParts MakeSandboxParts(AsioLoop* loop, SandboxControl* control,
                              const internal::v1::SandboxCreated& created,
                              std::vector<UniqueFd> descriptors);

// Begins to watch them.
absl::Status OpenParts(SandboxParts* parts);

// Of the first frame: OK where it is Ready.
absl::Status ReadyStatus(const GuestChannel::FrameOrError& frame);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_HOST_SPAWNED_PROCESS_H_
