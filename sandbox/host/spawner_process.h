// Starts cloister-spawner, the privileged helper, and ends it.
//
// Thread-safety: none. Start before the process has threads or gives up privileges.

#ifndef CLOISTER_SANDBOX_HOST_SPAWNER_PROCESS_H_
#define CLOISTER_SANDBOX_HOST_SPAWNER_PROCESS_H_

#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "sandbox/base/unique_fd.h"

namespace cloister::sandbox {

// Ownership: of the process. Destroying the object closes the socket, which tells the spawner to
// end everything, waits, and kills where that takes more than kEndTimeout.
class SpawnerProcess {
 public:
  static constexpr absl::Duration kEndTimeout = absl::Seconds(10);

  // Runs `binary` with `arguments` (without argv[0]), its end of the socket at
  // kSpawnerSocketDescriptor, in a process group of its own so that a terminal's Ctrl-C reaches
  // only the server, which then drains. Errors: as posix_spawn(3), naming the binary.
  static absl::StatusOr<SpawnerProcess> Start(const std::string& binary,
                                              const std::vector<std::string>& arguments);

  SpawnerProcess(SpawnerProcess&&) noexcept = default;
  SpawnerProcess& operator=(SpawnerProcess&&) = delete;
  ~SpawnerProcess();

  pid_t pid() const { return pid_; }

  // The packet socket, for SpawnerClient. Once.
  UniqueFd TakeSocket() { return std::move(socket_); }

  // Waits until it has exited and reaps it; at once where that was done. How it ended, in words.
  // DEADLINE_EXCEEDED where it still runs.
  absl::StatusOr<std::string> WaitForEnd(absl::Duration timeout);

 private:
  SpawnerProcess(pid_t pid, UniqueFd pidfd, UniqueFd socket);

  pid_t pid_;
  UniqueFd pidfd_;  // none once it is reaped, or moved from
  UniqueFd socket_;
  std::string end_;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_HOST_SPAWNER_PROCESS_H_
