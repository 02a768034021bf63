#include "sandbox/zygote/nursery.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>

#include <cerrno>

#include "cloister/internal/v1/spawner.pb.h"
#include "sandbox/linux/capabilities.h"
#include "sandbox/linux/clone.h"
#include "sandbox/wire/packet_socket.h"
#include "sandbox/zygote/sandbox_init.h"

namespace cloister::sandbox {
namespace {

using internal::v1::InitOffer;
using internal::v1::InitRequest;

// Makes one init and offers it, or offers the reason why there is none.
absl::Status OfferInit(int socket, const SandboxMounts& mounts) {
  absl::StatusOr<SandboxInit> init = MakeSandboxInit(mounts);
  InitOffer offer;
  if (!init.ok()) {
    offer.set_error(std::string(init.status().message()));
    return SendPacket(socket, offer);
  }
  offer.set_pid(init->pid);
  return SendPacket(socket, offer, {init->pidfd.get()});
}

absl::Status AnswerRequest(int socket) {
  InitRequest request;
  if (absl::Status status = ReceivePacket(socket, &request, nullptr); !status.ok()) return status;
  const SandboxMounts mounts = {.workspace_bytes = request.workspace_bytes(),
                                .owner = static_cast<uid_t>(request.sandbox_uid()),
                                .group = static_cast<gid_t>(request.sandbox_gid())};
  return OfferInit(socket, mounts);
}

int ExitStatusOf(int zygote_pidfd) { return ReapPidfd(zygote_pidfd).value_or(1); }

}  // namespace

int RunNursery(int zygote_pidfd, int socket) {
  prctl(PR_SET_NAME, "nursery", 0, 0, 0);
  // Inits, and what is orphaned, are reaped by the kernel. The zygote, which was cloned to send no
  // signal, is not: its status is wanted.
  signal(SIGCHLD, SIG_IGN);
  // For the inits as well, which share its memory.
  if (!SetNotDumpable().ok()) return 1;
  for (;;) {
    pollfd polled[] = {{zygote_pidfd, POLLIN, 0}, {socket, POLLIN, 0}};
    if (poll(polled, 2, -1) < 0 && errno != EINTR) return 1;
    if (polled[0].revents != 0) return ExitStatusOf(zygote_pidfd);
    if (polled[1].revents == 0) continue;
    // A closed socket means that the zygote is on its way out: its pidfd says how it ended.
    if (absl::Status status = AnswerRequest(socket); !status.ok())
      return ExitStatusOf(zygote_pidfd);
  }
}

}  // namespace cloister::sandbox
