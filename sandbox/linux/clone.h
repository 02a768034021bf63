// clone3(2) as fork with namespaces and a pidfd.
//
// Unlike fork(3) it runs no pthread_atfork handlers: it is for single-threaded processes that know
// what they hold.

#ifndef CLOISTER_SANDBOX_LINUX_CLONE_H_
#define CLOISTER_SANDBOX_LINUX_CLONE_H_

#include <signal.h>
#include <sys/types.h>

#include <cstdint>

#include "absl/status/statusor.h"
#include "sandbox/base/unique_fd.h"

namespace cloister::sandbox {

struct CloneOptions {
  // CLONE_NEW* flags; the child starts in these new namespaces.
  uint64_t namespaces = 0;
  // The child's pid in its own pid namespace; 0 lets the kernel choose. Needs CAP_SYS_ADMIN in the
  // user namespace that owns the pid namespace.
  pid_t pid = 0;
  // Sent to the parent when the child ends. With 0 the parent is told nothing, waits with __WALL,
  // and may ignore SIGCHLD (so that the kernel reaps its other children) without losing this one's
  // status.
  int exit_signal = SIGCHLD;
};

// Which side of the clone the caller is on.
struct CloneResult {
  bool in_child = false;
  // In the parent: the child's pid as the parent sees it, and its pidfd (close-on-exec).
  pid_t pid = 0;
  UniqueFd pidfd;
};

// Returns twice. glibc's idea of the child's thread id
// is right afterwards (raise, abort and error-checking mutexes depend on it).
absl::StatusOr<CloneResult> CloneProcess(const CloneOptions& options = {});

// The pid of a pidfd's process in the reader's pid namespace. NOT_FOUND once it has been reaped.
absl::StatusOr<pid_t> PidOfPidfd(int pidfd);

// A pidfd of a child that has not been reaped.
absl::StatusOr<UniqueFd> OpenPidfd(pid_t pid);

// Sends a signal through a pidfd. A process that has ended already is no error.
absl::Status SignalPidfd(int pidfd, int signal);

// Waits for a child to end and reaps it. Returns its exit status, or 128 and the signal that ended
// it.
absl::StatusOr<int> ReapPidfd(int pidfd);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_LINUX_CLONE_H_
