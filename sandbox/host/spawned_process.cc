#include "sandbox/host/spawned_process.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "sandbox/base/status_macros.h"

namespace cloister::sandbox {
namespace {

// The order of SandboxCreated's descriptors. With a memory cgroup its files follow.
enum Descriptor { kPidfd, kChannel, kStdout, kStderr, kPeak };
constexpr size_t kFewestDescriptors = kStderr + 1;

struct CgroupFiles {
  UniqueFd peak;
  UniqueFd cpu;    // where there may be subprocesses
  UniqueFd usage;  // these two of a further process
  UniqueFd memory_stat;
};
constexpr size_t kMostDescriptors = kFewestDescriptors + 4;

// Their number tells which they are.
CgroupFiles TakeCgroupFiles(std::vector<UniqueFd>* descriptors) {
  CgroupFiles files;
  size_t left = descriptors->size();
  if (left >= kFewestDescriptors + 3) {
    files.memory_stat = std::move((*descriptors)[--left]);
    files.usage = std::move((*descriptors)[--left]);
  }
  if (left > kPeak + 1) files.cpu = std::move((*descriptors)[kPeak + 1]);
  if (left > kPeak) files.peak = std::move((*descriptors)[kPeak]);
  return files;
}

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
  CgroupFiles files = TakeCgroupFiles(&descriptors);
  return {.id = created.sandbox_id(),
          .host_pid = static_cast<pid_t>(created.host_pid()),
          .shares_user = created.shares_user(),
          .loop = loop,
          .control = control,
          .pidfd = std::move(descriptors[kPidfd]),
          .channel = GuestChannel(loop, std::move(descriptors[kChannel])),
          .output =
              OutputReader(loop, std::move(descriptors[kStdout]), std::move(descriptors[kStderr])),
          .meter = ResourceMeter(static_cast<pid_t>(created.host_pid()), std::move(files.peak),
                                 std::move(files.cpu)),
          .memory = MemoryRoom(std::move(files.usage), std::move(files.memory_stat))};
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
