// Runs one program as `python main.py` would, and says how it ended.

#ifndef CLOISTER_SANDBOX_GUEST_PROGRAM_RUNNER_H_
#define CLOISTER_SANDBOX_GUEST_PROGRAM_RUNNER_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cloister/internal/v1/guest.pb.h"
#include "sandbox/guest/python_object.h"

namespace cloister::sandbox {

// Holds, from before hostile code starts, what is needed after it.
//
// Thread-safety: the main thread, with the GIL.
class ProgramRunner {
 public:
  // Once, in the zygote for main. Loads the Python half: program.py and report.py.
  absl::Status SetUp();

  // In the zygote, after the warm-up imports: does once what is done on first use (rehearsal.py).
  absl::Status Rehearse();

  // Runs the program; the current directory is its workspace. Everything it left behind has ended
  // and is flushed when this returns, but for daemon threads, which run no more while the caller
  // keeps the GIL. An error means that the program could not be bounded and was not run. Once per
  // process.
  absl::StatusOr<internal::v1::Finished> Run(internal::v1::RunProgram request);

  // The parts of Run that a session uses again and again.

  // Fills `finished` for `exception`, or for its absence, and shows it on the program's stderr.
  void Report(PyObject* exception, internal::v1::Finished* finished);

  // Calls what atexit knows; what it raises is shown on stderr.
  void RunExitFunctions();

  // Lets go of what module __main__ holds, private names first, as Python does when it ends: files
  // that were left open are written, __del__ methods run.
  static void ClearMain();

  // os.environ, borrowed.
  PyObject* environ() const { return environ_.get(); }

  // The namespaces of program.py and report.py.
  const PyRef& program_source() const { return program_source_; }
  const PyRef& report_source() const { return report_source_; }

 private:
  // Runs the code in module __main__, then its call. Returns the value of that or of the code's
  // last expression, None, or nothing with a Python exception set. Or fills `compiled` only.
  PyRef Execute(const internal::v1::RunProgram& request, internal::v1::Finished* finished);

  // A tuple (code, expression or None) of the program, with `names` as those of __main__.
  PyRef Compile(const internal::v1::RunProgram& request, PyObject* names);

  // The end of a Python process as the program sees it: threads joined, exit functions run, streams
  // flushed, objects of __main__ finalised.
  void EndProgram();

  PyRef program_source_;
  PyRef report_source_;
  PyRef compile_program_;
  PyRef remember_;
  PyRef find_function_;
  PyRef report_;
  PyRef environ_;
  PyRef run_exit_functions_;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_PROGRAM_RUNNER_H_
