// A command of the user's shell that is given input and whose output is wanted.

#ifndef CLOISTER_CLIENTS_CLI_COMMANDS_LOCAL_COMMAND_H_
#define CLOISTER_CLIENTS_CLI_COMMANDS_LOCAL_COMMAND_H_

#include <sys/types.h>

#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"

namespace cloister::cli {

// Thread-safety: Run once, on one thread; Kill from any.
class LocalCommand {
 public:
  struct Result {
    int exit_code = 0;  // 128 + n after signal n
    std::string out;
    std::string err;
  };

  // Runs it to its end, in a process group of its own. Errors: INTERNAL (it could not be started),
  // RESOURCE_EXHAUSTED (it wrote more than 16 MiB, and was killed).
  absl::StatusOr<Result> Run(const std::string& command, const std::string& input);

  // Ends it, and what it has started, now or as soon as it starts.
  void Kill();

 private:
  absl::StatusOr<pid_t> Start(const std::string& command, int stdin_fd, int stdout_fd,
                              int stderr_fd);

  absl::Mutex mutex_;
  pid_t pid_ ABSL_GUARDED_BY(mutex_) = 0;  // 0: does not run
  bool is_killed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace cloister::cli

#endif  // CLOISTER_CLIENTS_CLI_COMMANDS_LOCAL_COMMAND_H_
