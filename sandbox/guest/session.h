// The main interpreter of a live sandbox, from the guest's side: cells one after another in one
// module
// __main__.
//
// SIGINT is blocked but while a cell's own code runs, so that an interrupt that comes late hits
// nothing; what comes between cells is dropped when the next one starts. The host repeats its
// interrupts.

#ifndef CLOISTER_SANDBOX_GUEST_SESSION_H_
#define CLOISTER_SANDBOX_GUEST_SESSION_H_

#include <sys/types.h>

#include <string>

#include "absl/status/status.h"
#include "cloister/internal/v1/guest.pb.h"
#include "sandbox/guest/program_runner.h"

namespace cloister::sandbox {

// Thread-safety: the main thread, with the GIL. Ownership: borrows the runner and the channel.
class Session {
 public:
  Session(ProgramRunner* runner, int channel) : runner_(*runner), channel_(channel) {}
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Applies limits, environment and files; the current directory is the workspace. An error means
  // that no cell may run.
  absl::Status Open(internal::v1::OpenSession request);

  // The host's next frame. Threads of earlier cells go on meanwhile. Errors: as ReadFrame.
  absl::Status Receive(internal::v1::HostFrame* frame);

  // Runs a cell. Its state, threads and open files stay.
  internal::v1::Finished ExecuteCell(internal::v1::ExecuteCell request);

  // Errors: as WriteFrame.
  absl::Status Send(const internal::v1::GuestFrame& frame);

 private:
  // Gives the cell its inputs and runs it; nothing with a Python exception set where it raised.
  PyRef Run(const v1::Program& program);

  ProgramRunner& runner_;
  const int channel_;
  std::string workspace_;
  bool has_input_ = false;  // the cell before was given standard input
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_SESSION_H_
