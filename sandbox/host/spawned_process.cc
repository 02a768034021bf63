#include "sandbox/host/spawned_process.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "sandbox/base/status_macros.h"

namespace cloister::sandbox {
namespace {

// The order of SandboxCreated's descriptors; the last come with a memory cgroup only, the very last
// only where there may be subprocesses.
enum Descriptor { kPidfd, kChannel, kStdout, kStderr, kPeak, kCpu };
constexpr size_t kFewestDescriptors = kStderr + 1;
constexpr size_t kMostDescriptors = kCpu + 1;

}  // namespace

absl::Status CheckDescriptors(const std::vector<UniqueFd>& descriptors) {
  if (descriptors.size() >= kFewestDescriptors && descriptors.size() <= kMostDescriptors) {
    return absl::OkStatus();
  }
  return absl::InternalError(
      absl::StrCat("the spawner sent ", descriptors.size(), " descriptors with a sandbox"));
}

SandboxParts MakeSandboxParts(AsioLoop* loop, SandboxControl* control,
                              const internal::v1::SandboxCreated& created,
                              std::vector<UniqueFd> descriptors) {
  descriptors.resize(kMostDescriptors);
  return {.id = created.sandbox_id(),
          .host_pid = static_cast<pid_t>(created.host_pid()),
          .shares_user = created.shares_user(),
          .loop = loop,
          .control = control,
          .pidfd = std::move(descriptors[kPidfd]),
          .channel = GuestChannel(loop, std::move(descriptors[kChannel])),
          .output =
              OutputReader(loop, std::move(descriptors[kStdout]), std::move(descriptors[kStderr])),
          .meter = ResourceMeter(static_cast<pid_t>(created.host_pid()),
                                 std::move(descriptors[kPeak]), std::move(descriptors[kCpu]))};
}

absl::Status OpenParts(SandboxParts* parts) {
  CLOISTER_RETURN_IF_ERROR(parts->channel.Open());
  return parts->output.Open();
}

absl::Status ReadyStatus(const GuestChannel::FrameOrError& frame) {
  if (!frame.ok()) return absl::InternalError(frame.status().message());
  if (frame->has_ready()) return absl::OkStatus();
  if (!frame->has_setup_failed()) return absl::InternalError("the guest spoke out of turn");
  const internal::v1::SetupFailed& failed = frame->setup_failed();
  return absl::InternalError(absl::StrCat("the sandbox could not be set up at ", failed.stage(),
                                          ": ", failed.message(), " (errno ", failed.error_number(),
                                          ")"));
}

}  // namespace cloister::sandbox
