// Shows a followed execution: passes the program's output on as it arrives, or keeps it for JSON.

#ifndef CLOISTER_CLIENTS_CLI_COMMANDS_EXECUTION_VIEW_H_
#define CLOISTER_CLIENTS_CLI_COMMANDS_EXECUTION_VIEW_H_

#include <string>

#include "absl/strings/string_view.h"
#include "cloister/v1/execution.pb.h"

namespace cloister::cli {

// Where a command writes to. Not owned.
struct OutputFds {
  int out = 1;
  int err = 2;
};

// Writes all of `bytes`; false where the reader is gone or the disk full.
bool WriteAll(int fd, absl::string_view bytes);

// Writes "cloister: LINE\n" for each line of `text`.
void Complain(int fd, absl::string_view text);

// Thread-safety: none.
class ExecutionView {
 public:
  // With `collect` output is kept, else written at once, untouched, to the stream it belongs to.
  ExecutionView(OutputFds fds, bool collect) : fds_(fds), collect_(collect) {}

  // False where output could not be written: nobody reads on.
  bool Show(const v1::ExecutionEvent& event);

  const v1::Started& started() const { return started_; }
  const v1::Finished& finished() const { return finished_; }
  const std::string& collected_stdout() const { return stdout_; }
  const std::string& collected_stderr() const { return stderr_; }

 private:
  bool Take(int fd, const std::string& bytes, std::string* collected);

  const OutputFds fds_;
  const bool collect_;
  v1::Started started_;
  v1::Finished finished_;
  std::string stdout_;
  std::string stderr_;
};

}  // namespace cloister::cli

#endif  // CLOISTER_CLIENTS_CLI_COMMANDS_EXECUTION_VIEW_H_
