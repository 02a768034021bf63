// A program the benchmark starts for itself and ends by its pid.

#ifndef CLOISTER_CLIENTS_CLI_BENCH_CHILD_PROCESS_H_
#define CLOISTER_CLIENTS_CLI_BENCH_CHILD_PROCESS_H_

#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace cloister::cli::bench {

// What a program that was run to its end said.
struct ProgramOutput {
  int exit_code = 0;  // 128 + n after signal n
  std::string out;    // its stdout; empty unless asked for
};

// Runs a program to its end, without input, its stderr thrown away. Errors: it could not be
// started.
absl::StatusOr<ProgramOutput> RunToEnd(const std::vector<std::string>& argv, bool capture);

// A program with a pipe to its stdin and from its stdout. Ended with the object: its stdin is
// closed, SIGTERM sent, and SIGKILL if it is still there after a while.
class ChildProcess {
 public:
  static absl::StatusOr<ChildProcess> Start(const std::vector<std::string>& argv);
  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&&) = delete;
  ~ChildProcess();

  pid_t pid() const { return pid_; }

  // Waits for the first line of its output. Errors: it ended before.
  absl::StatusOr<std::string> ReadLine();

  // Whether it still runs.
  bool IsAlive() const;

 private:
  ChildProcess(pid_t pid, int stdin_fd, int stdout_fd)
      : pid_(pid), stdin_fd_(stdin_fd), stdout_fd_(stdout_fd) {}

  pid_t pid_;
  int stdin_fd_;
  int stdout_fd_;
};

}  // namespace cloister::cli::bench

#endif  // CLOISTER_CLIENTS_CLI_BENCH_CHILD_PROCESS_H_
