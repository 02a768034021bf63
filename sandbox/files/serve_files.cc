#include "sandbox/files/serve_files.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>

#include <cstdlib>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "sandbox/base/status_macros.h"
#include "sandbox/base/syscall_status.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/files/file_server.h"
#include "sandbox/linux/rlimits.h"
#include "sandbox/wire/frame.h"

namespace cloister::sandbox {
namespace {

using internal::v1::GuestFrame;
using internal::v1::HostFrame;

absl::Status SetUp(const internal::v1::ServeFiles& request, UniqueFd* root) {
  prctl(PR_SET_NAME, "files", 0, 0, 0);
  // Past RLIMIT_FSIZE a write is to fail with EFBIG, and not to end the process.
  if (signal(SIGXFSZ, SIG_IGN) == SIG_ERR) return SyscallError("ignore SIGXFSZ");
  root->reset(open(".", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!*root) return SyscallError("open the workspace");
  return ApplyProgramRlimits(request.limits());
}

}  // namespace

int ServeFiles(int channel, const internal::v1::ServeFiles& request) {
  UniqueFd root;
  GuestFrame reply;
  if (absl::Status status = SetUp(request, &root); status.ok()) {
    reply.mutable_session_opened();
  } else {
    reply.mutable_setup_failed()->set_stage("files");
    reply.mutable_setup_failed()->set_message(std::string(status.message()));
  }
  FileServer server(std::move(root));
  while (WriteFrame(channel, reply, kMaxGuestFrameBytes).ok()) {
    HostFrame frame;
    const absl::Status status = ReadFrame(channel, &frame, kMaxHostFrameBytes);
    if (absl::IsOutOfRange(status)) return EXIT_SUCCESS;  // nobody needs it any more
    if (!status.ok() || !frame.has_file_request()) return EXIT_FAILURE;
    reply.Clear();
    *reply.mutable_file_reply() = server.Answer(frame.file_request());
  }
  return EXIT_FAILURE;
}

}  // namespace cloister::sandbox
