#include "sandbox/zygote/guest_main.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "sandbox/linux/clone.h"
#include "sandbox/wire/packet_socket.h"
#include "sandbox/wire/zygote_control.h"
#include "sandbox/zygote/bench_fork.h"
#include "sandbox/zygote/nursery.h"
#include "sandbox/zygote/zygote.h"

namespace cloister::sandbox {
namespace {

// The first process of a sandbox has the pid after its init's, 2. The zygote must have another:
// OpenSSL and others tell a fork by its changed pid alone, and would go on with their parent's
// random state.
constexpr pid_t kZygotePid = 100;

constexpr std::string_view kBenchForkFlag = "--bench_fork=";

int Fail(std::string_view what, const absl::Status& status) {
  fprintf(stderr, "%.*s: %s\n", static_cast<int>(what.size()), what.data(),
          status.ToString().c_str());
  return 1;
}

int RunZygote(GuestRuntime& runtime, UniqueFd nursery) {
  prctl(PR_SET_NAME, "zygote", 0, 0, 0);
  return Zygote(runtime, UniqueFd(kZygoteControlDescriptor), std::move(nursery)).Run();
}

// Splits pid 1 into the nursery and the zygote.
int RunNurseryAndZygote(GuestRuntime& runtime) {
  // Away from whatever terminal the server was started at; all sandboxes inherit it.
  setsid();
  absl::StatusOr<PacketPair> sockets = MakePacketPair();
  if (!sockets.ok()) return Fail("nursery", sockets.status());
  absl::StatusOr<CloneResult> zygote = CloneProcess({.pid = kZygotePid, .exit_signal = 0});
  if (!zygote.ok()) return Fail("nursery", zygote.status());
  if (zygote->in_child) {
    sockets->first.reset();
    return RunZygote(runtime, std::move(sockets->second));
  }
  // The spawner sees the end of the control socket when the zygote's copy goes.
  close(kZygoteControlDescriptor);
  sockets->second.reset();
  return RunNursery(zygote->pidfd.get(), sockets->first.get());
}

}  // namespace

int GuestMain(int argc, char** argv, GuestRuntime& runtime) {
  if (fcntl(kZygoteControlDescriptor, F_SETFD, FD_CLOEXEC) != 0) {
    fprintf(stderr, "%s is started by cloister-spawner, with a socket as descriptor %d\n", argv[0],
            kZygoteControlDescriptor);
    return EXIT_FAILURE;
  }
  if (argc > 1 && std::string_view(argv[1]).starts_with(kBenchForkFlag)) {
    const int count = atoi(argv[1] + kBenchForkFlag.size());
    const absl::Status status = BenchFork(runtime, kZygoteControlDescriptor, count);
    return status.ok() ? EXIT_SUCCESS : Fail("bench_fork", status);
  }
  // Without a pid namespace of its own the process is not 1, and there is nothing to nurse.
  if (getpid() == 1) return RunNurseryAndZygote(runtime);
  setsid();
  return RunZygote(runtime, UniqueFd());
}

}  // namespace cloister::sandbox
