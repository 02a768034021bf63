#include "sandbox/zygote/sandbox_process.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "absl/status/status.h"
#include "cloister/internal/v1/guest.pb.h"
#include "sandbox/wire/frame.h"

namespace cloister::sandbox {
namespace {

using internal::v1::GuestFrame;

static_assert(kChannelDescriptor == ConfinePlan::kLastKeptDescriptor);

constexpr int kSetupFailedStatus = 70;  // EX_SOFTWARE; the frame has the reason

// Puts the pipes and the channel where programs, and the rest of this file, expect them; the
// control socket, which was there, is gone with that. The zygote keeps 0 to 3 occupied, so none of
// the sources is in the way of a target.
bool PlaceDescriptors(const SandboxDescriptors& descriptors) {
  return dup2(descriptors.standard_output, STDOUT_FILENO) >= 0 &&
         dup2(descriptors.standard_error, STDERR_FILENO) >= 0 &&
         dup3(descriptors.channel, kChannelDescriptor, O_CLOEXEC) >= 0;
}

[[noreturn]] void Fail(const StageClock& clock, const absl::Status& status) {
  const int error_number = errno;  // of the step that failed, where a system call did
  GuestFrame frame;
  frame.mutable_setup_failed()->set_stage(clock.current());
  frame.mutable_setup_failed()->set_error_number(error_number);
  frame.mutable_setup_failed()->set_message(std::string(status.message()));
  // Where the channel is gone as well, the exit status is all that is left to tell.
  (void)WriteFrame(kChannelDescriptor, frame, kMaxGuestFrameBytes);
  _exit(kSetupFailedStatus);
}

}  // namespace

void RunSandboxProcess(const ConfinePlan& plan, const SandboxPlace& place,
                       const SandboxDescriptors& descriptors, GuestRuntime& runtime,
                       StageClock& clock) {
  clock.Begin("after_fork");
  prctl(PR_SET_NAME, "sandbox", 0, 0, 0);
  runtime.AfterForkInChild();
  if (!PlaceDescriptors(descriptors)) _exit(kSetupFailedStatus);

  errno = 0;
  absl::Status status = plan.ConfineSandbox(place, clock);
  if (!status.ok()) Fail(clock, status);

  clock.Begin("prepare");
  errno = 0;
  if (status = runtime.Prepare(); !status.ok()) Fail(clock, status);

  GuestFrame ready;
  clock.Report(ready.mutable_ready()->mutable_stage_times());
  if (!WriteFrame(kChannelDescriptor, ready, kMaxGuestFrameBytes).ok()) _exit(kSetupFailedStatus);
  _exit(runtime.Serve(kChannelDescriptor));
}

}  // namespace cloister::sandbox
