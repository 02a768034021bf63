// The Python half of a session: loads the files of py/ that it is made of, each when it is first
// needed, and calls them.

#ifndef CLOISTER_SANDBOX_GUEST_NOTEBOOK_H_
#define CLOISTER_SANDBOX_GUEST_NOTEBOOK_H_

#include <string>

#include "absl/status/status.h"
#include "cloister/internal/v1/guest.pb.h"
#include "cloister/v1/notebook.pb.h"
#include "sandbox/guest/frame_sender.h"
#include "sandbox/guest/python_object.h"
#include "sandbox/guest/standard_streams.h"

namespace cloister::sandbox {

// Thread-safety: the interpreter's first thread, with the GIL. One per interpreter.
class Notebook {
 public:
  Notebook() = default;
  Notebook(const Notebook&) = delete;
  Notebook& operator=(const Notebook&) = delete;

  // Once, in the zygote for main. `program` and `report` are the namespaces of program.py and
  // report.py.
  absl::Status SetUp(const PyRef& program, const PyRef& report);

  // Before the first cell. `sender` outlives the interpreter.
  absl::Status Open(FrameSender* sender, const StandardStreams& streams);

  // Sets the cell's variables. False with a Python exception set.
  bool SetVariables(const internal::v1::ExecuteCell& cell);

  // Runs a cell in module __main__. Returns the value of its last expression, None, or nothing with
  // a Python exception set.
  PyRef RunCell(const internal::v1::ExecuteCell& cell);

  // Takes our own frames out of an exception that RunCell raised.
  void TrimTraceback(PyObject* exception);

  // All forms of a value. False with a Python exception set; those of the value's own methods are
  // shown on stderr instead.
  bool Describe(PyObject* value, v1::MimeBundle* bundle);

  // Whether IdleUntilReadable has anything to do.
  bool MayIdle() const;

  // Runs the event loop until the descriptor can be read, if it is in use. False with a Python
  // exception set where a task or a signal handler ended it before.
  bool IdleUntilReadable(int descriptor);

  // As Session says.
  void BeforeCopy();
  void AfterCopy();

  // False with a Python exception set.
  bool Complete(const v1::CompleteRequest& request, v1::CompleteResponse* response);
  bool Inspect(const v1::InspectRequest& request, v1::InspectResponse* response);
  bool CheckComplete(const v1::CheckCompleteRequest& request, v1::CheckCompleteResponse* response);

 private:
  PyRef run_;
  PyRef session_names_;
  PyRef trim_;
  PyRef open_session_;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_NOTEBOOK_H_
