#include "sandbox/guest/session.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <utility>

#include "absl/strings/str_cat.h"
#include "sandbox/base/status_macros.h"
#include "sandbox/base/syscall_status.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/guest/outcome_report.h"
#include "sandbox/guest/program_inputs.h"
#include "sandbox/guest/workspace_files.h"
#include "sandbox/linux/rlimits.h"
#include "sandbox/wire/frame.h"

namespace cloister::sandbox {
namespace {

using internal::v1::Finished;

void SetInterruptsBlocked(bool blocked) {
  sigset_t interrupt;
  sigemptyset(&interrupt);
  sigaddset(&interrupt, SIGINT);
  pthread_sigmask(blocked ? SIG_BLOCK : SIG_UNBLOCK, &interrupt, nullptr);
}

// Lets interrupts through, those that are already there excepted: they were meant for another cell.
class InterruptsAllowed {
 public:
  InterruptsAllowed() {
    SetInterruptsBlocked(false);
    if (PyErr_CheckSignals() != 0) PyErr_Clear();
  }
  InterruptsAllowed(const InterruptsAllowed&) = delete;
  InterruptsAllowed& operator=(const InterruptsAllowed&) = delete;
  ~InterruptsAllowed() { SetInterruptsBlocked(true); }
};

void FlushStreams() {
  for (const char* name : {"stdout", "stderr"}) {
    PyObject* stream = PySys_GetObject(name);
    if (stream == nullptr || stream == Py_None) continue;
    PyRef result = PyRef::Steal(PyObject_CallMethod(stream, "flush", nullptr));
    if (!result) PyErr_Clear();  // closed, or no stream at all
  }
  fflush(nullptr);
}

// Nothing more comes from the input of an earlier cell.
void CloseStandardInput() {
  const UniqueFd null(open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (null) dup2(null.get(), STDIN_FILENO);
}

absl::Status PythonErrorUnless(bool applied, const char* what) {
  return applied ? absl::OkStatus() : TakePythonError(what);
}

}  // namespace

absl::Status Session::Open(internal::v1::OpenSession request) {
  SetInterruptsBlocked(true);
  // By name: cells may close descriptors, and go elsewhere.
  char workspace[PATH_MAX];
  if (getcwd(workspace, sizeof(workspace)) == nullptr) return SyscallError("getcwd");
  workspace_ = workspace;
  v1::Program inputs;
  *inputs.mutable_environment() = std::move(*request.mutable_environment());
  *inputs.mutable_files() = std::move(*request.mutable_files());
  // Files first: the limit on the size of files is for the cells' own.
  CLOISTER_RETURN_IF_ERROR(PythonErrorUnless(ApplyFiles(inputs), "place files"));
  CLOISTER_RETURN_IF_ERROR(
      PythonErrorUnless(ApplyEnvironment(inputs, runner_.environ()), "set the environment"));
  CLOISTER_RETURN_IF_ERROR(
      PythonErrorUnless(ApplyArguments(inputs, workspace), "set the arguments"));
  return ApplyProgramRlimits(request.limits());
}

absl::Status Session::Receive(internal::v1::HostFrame* frame) {
  absl::Status status;
  Py_BEGIN_ALLOW_THREADS;
  status = ReadFrame(channel_, frame, kMaxHostFrameBytes);
  Py_END_ALLOW_THREADS;
  return status;
}

absl::Status Session::Send(const internal::v1::GuestFrame& frame) {
  return WriteFrame(channel_, frame, kMaxGuestFrameBytes);
}

Finished Session::ExecuteCell(internal::v1::ExecuteCell request) {
  v1::Program& program = *request.mutable_program();
  // Of its own, so that tracebacks through functions of earlier cells show their lines.
  if (program.file_name().empty()) {
    program.set_file_name(absl::StrCat("<cell ", request.number(), ">"));
  }
  Finished finished;
  finished.set_cell(request.number());
  PyRef exception;
  {
    InterruptsAllowed allowed;
    PyRef value = Run(program);
    if (value && value.get() != Py_None && !DescribeValue(value.get(), finished.mutable_value())) {
      finished.clear_value();
    }
    value.reset();
    exception = PyRef::Steal(PyErr_GetRaisedException());
  }
  runner_.Report(exception.get(), &finished);
  exception.reset();
  {
    // A slow reader may keep this waiting: an interrupt must end it.
    InterruptsAllowed allowed;
    FlushStreams();
  }
  if (!program.return_files().empty()) {
    const UniqueFd directory(open(workspace_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    CollectFiles(directory.get(), program.return_files(), finished.mutable_files());
  }
  return finished;
}

PyRef Session::Run(const v1::Program& program) {
  if (has_input_ && program.stdin().empty()) CloseStandardInput();
  has_input_ = !program.stdin().empty();
  if (!ApplyFiles(program) || !ApplyStandardInput(program) ||
      !ApplyEnvironment(program, runner_.environ())) {
    return PyRef();
  }
  return runner_.Execute(program);
}

}  // namespace cloister::sandbox
