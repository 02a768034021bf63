#include "sandbox/guest/trial_run.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>

#include "cloister/internal/v1/guest.pb.h"
#include "sandbox/base/status_macros.h"
#include "sandbox/base/syscall_status.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/linux/clone.h"
#include "sandbox/wire/frame.h"

namespace cloister::sandbox {
namespace {

// Small on purpose: each page it touches is copied in every clone, idle ones included.
constexpr char kTrialProgram[] = "print(1)\n";

// The whole life of a clone but for confinement.
bool LiveOnce(GuestRuntime& runtime) {
  runtime.AfterForkInChild();
  int ends[2];
  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0 || dup2(null, STDOUT_FILENO) < 0 || dup2(null, STDERR_FILENO) < 0 ||
      socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    return false;
  }
  internal::v1::HostFrame request;
  request.mutable_run_program()->mutable_program()->set_code(kTrialProgram);
  return runtime.Prepare().ok() && WriteFrame(ends[0], request, kMaxHostFrameBytes).ok() &&
         shutdown(ends[0], SHUT_WR) == 0 && runtime.Serve(ends[1]) == EXIT_SUCCESS;
}

}  // namespace

absl::StatusOr<std::vector<PageRange>> LearnHotPages(GuestRuntime& runtime) {
  CLOISTER_ASSIGN_OR_RETURN(PageWatch watch, PageWatch::Prepare());
  runtime.BeforeFork();
  // Not told by a signal: the zygote counts its children by those.
  absl::StatusOr<CloneResult> clone = CloneProcess({.exit_signal = 0});
  if (clone.ok() && clone->in_child) {
    _exit(LiveOnce(runtime) && watch.Record() ? EXIT_SUCCESS : EXIT_FAILURE);
  }
  runtime.AfterForkInParent();
  CLOISTER_RETURN_IF_ERROR(clone.status());
  CLOISTER_ASSIGN_OR_RETURN(int status, ReapPidfd(clone->pidfd.get()));
  if (status != EXIT_SUCCESS) return absl::InternalError("the trial run failed");
  return watch.Touched();
}

}  // namespace cloister::sandbox
