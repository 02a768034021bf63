// Shows a followed execution: passes the program's output on as it arrives, or keeps it for JSON.

#ifndef CLOISTER_CLIENTS_CLI_COMMANDS_EXECUTION_VIEW_H_
#define CLOISTER_CLIENTS_CLI_COMMANDS_EXECUTION_VIEW_H_

#include <atomic>
#include <string>

#include "absl/strings/string_view.h"
#include "clients/cli/commands/late_lines.h"
#include "clients/cli/commands/outcome_text.h"
#include "cloister/v1/execution.pb.h"

namespace cloister::cli {

// Where a command writes to. Not owned.
struct OutputFds {
  int out = 1;
  int err = 2;
};

// Writes all of `bytes`; false, and errno, where the reader is gone or the disk full.
bool WriteAll(int fd, absl::string_view bytes);

// Writes "cloister: LINE\n" for each line of `text`.
void Complain(int fd, absl::string_view text);

// Complains that standard output could not be written, for which errno has the reason; the exit code.
int OutputFailed(OutputFds fds);

// Thread-safety: none, but for Tell.
class ExecutionView {
 public:
  // With `collect` output is kept, else written at once, untouched, to the stream it belongs to.
  ExecutionView(OutputFds fds, bool collect);

  // False, and errno, where output could not be written: nobody reads on. Of a display its text is shown, and its
  // other forms are named; late output of earlier executions is told line by line.
  bool Show(const v1::ExecutionEvent& event);

  // The value of the last expression, if there is one, on a line of its own. As Show.
  bool ShowValue();

  // Complains, on a line of its own.
  void Tell(absl::string_view text);

  const v1::Started& started() const { return started_; }
  const v1::Finished& finished() const { return finished_; }
  const CollectedOutput& collected() const { return collected_; }

 private:
  bool Pass(int fd, absl::string_view bytes);
  bool ShowDisplay(const v1::DisplayData& display);
  void ShowLate(const v1::LateOutput& late);

  const OutputFds fds_;
  const bool collect_;
  const bool is_one_place_;  // stdout and stderr go to the same terminal or file
  v1::Started started_;
  v1::Finished finished_;
  CollectedOutput collected_;
  LateLines late_lines_;
  bool out_is_open_ = false;                // stdout is in the middle of a line
  std::atomic<bool> err_is_open_ = false;  // what stderr is seen with is
};

}  // namespace cloister::cli

#endif  // CLOISTER_CLIENTS_CLI_COMMANDS_EXECUTION_VIEW_H_
