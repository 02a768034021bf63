#include "sandbox/guest/session.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "sandbox/base/status_macros.h"
#include "sandbox/base/syscall_status.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/guest/cell_context.h"
#include "sandbox/guest/late_output.h"
#include "sandbox/guest/memory_account.h"
#include "sandbox/guest/module_imports.h"
#include "sandbox/guest/outcome_report.h"
#include "sandbox/guest/program_inputs.h"
#include "sandbox/guest/program_values.h"
#include "sandbox/guest/question.h"
#include "sandbox/guest/standard_streams.h"
#include "sandbox/guest/workspace_files.h"
#include "sandbox/linux/rlimits.h"
#include "sandbox/wire/frame.h"

namespace cloister::sandbox {
namespace {

using internal::v1::Finished;
using internal::v1::GuestFrame;
using internal::v1::HostFrame;

constexpr size_t kMaxFailureBytes = size_t{4} << 10;

absl::Status PythonErrorUnless(bool applied, const char* what) {
  return applied ? absl::OkStatus() : TakePythonError(what);
}

bool IsReadable(int descriptor) {
  pollfd polled = {descriptor, POLLIN, 0};
  return poll(&polled, 1, 0) > 0;
}

InputSource SourceOf(const internal::v1::ExecuteCell& request) {
  if (request.allow_input()) return InputSource::kClient;
  return request.program().stdin().empty() ? InputSource::kNobody : InputSource::kStandardInput;
}

// Fills `reply` with what `answer` says, or with why it could not.
template <typename Answer>
void AnswerOrFail(InterruptGate* gate, GuestFrame* reply, const Answer& answer) {
  InterruptsAllowed allowed(gate);
  if (answer()) return;
  PyRef exception = PyRef::Steal(PyErr_GetRaisedException());
  v1::Exception description;
  DescribeBriefly(exception.get(), &description);
  PyRef text = PyRef::Steal(PyObject_Str(exception.get()));
  if (!text) PyErr_Clear();
  const std::string message = ToUtf8(text.get(), kMaxFailureBytes / 2, Cut::kEnd);
  reply->mutable_request_failed()->set_message(absl::StrCat(
      description.type().substr(0, kMaxFailureBytes / 4), message.empty() ? "" : ": ", message));
}

}  // namespace

absl::Status Session::Open(internal::v1::OpenSession request) {
  gate_.Close();
  // By name: cells may close descriptors, and go elsewhere.
  char workspace[PATH_MAX];
  if (getcwd(workspace, sizeof(workspace)) == nullptr) return SyscallError("getcwd");
  workspace_ = workspace;
  v1::Program inputs;
  *inputs.mutable_environment() = std::move(*request.mutable_environment());
  *inputs.mutable_files() = std::move(*request.mutable_files());
  // Files first: the limit on the size of files is for the cells' own.
  CLOISTER_RETURN_IF_ERROR(PythonErrorUnless(ApplyFiles(inputs, workspace), "place files"));
  CLOISTER_RETURN_IF_ERROR(
      PythonErrorUnless(ApplyEnvironment(inputs, runner_.environ()), "set the environment"));
  CLOISTER_RETURN_IF_ERROR(
      PythonErrorUnless(ApplyArguments(inputs, workspace), "set the arguments"));
  streams_.Keep();
  CLOISTER_RETURN_IF_ERROR(notebook_.Open(&sender_, streams_));
  if (request.has_limits()) CLOISTER_RETURN_IF_ERROR(ApplyProgramRlimits(request.limits()));
  return absl::OkStatus();
}

bool Session::Import(const google::protobuf::RepeatedPtrField<std::string>& modules,
                     internal::v1::ImportFailed* failed) {
  InterruptsAllowed allowed(&gate_);
  return ImportModules(modules, failed);
}

// ---- frames -------------------------------------------------------------------------------------

void Session::AwaitFrame() {
  while (notebook_.MayIdle() && !IsReadable(sender_.socket())) {
    InterruptsAllowed allowed(&gate_);
    if (notebook_.IdleUntilReadable(sender_.socket())) return;
    // An interrupt, or the exit of a task: the others go on.
    const bool is_over = PyErr_ExceptionMatches(PyExc_Exception) != 0;
    PyErr_Clear();
    if (is_over) return;  // the loop itself is of no use, which is no reason to be lost
  }
}

absl::Status Session::Flush() { return sender_.FlushPending(); }

absl::Status Session::Receive(HostFrame* frame) {
  do {
    AwaitFrame();
    absl::Status status;
    Py_BEGIN_ALLOW_THREADS;
    status = ReadFrame(sender_.socket(), frame, kMaxHostFrameBytes);
    Py_END_ALLOW_THREADS;
    CLOISTER_RETURN_IF_ERROR(status);
  } while (frame->has_send_input());
  return absl::OkStatus();
}

absl::Status Session::Send(const GuestFrame& frame) {
  return sender_.Send(frame, FrameSender::OnSignal::kGoOn);
}

GuestFrame Session::Answer(HostFrame frame) {
  GuestFrame reply;
  switch (frame.frame_case()) {
    case HostFrame::kExecuteCell:
      *reply.mutable_finished() = ExecuteCell(std::move(*frame.mutable_execute_cell()));
      break;
    case HostFrame::kComplete:
      AnswerOrFail(&gate_, &reply,
                   [&] { return notebook_.Complete(frame.complete(), reply.mutable_completed()); });
      break;
    case HostFrame::kInspect:
      AnswerOrFail(&gate_, &reply,
                   [&] { return notebook_.Inspect(frame.inspect(), reply.mutable_inspected()); });
      break;
    case HostFrame::kCheckComplete:
      AnswerOrFail(&gate_, &reply, [&] {
        return notebook_.CheckComplete(frame.check_complete(), reply.mutable_checked());
      });
      break;
    default:
      break;
  }
  return reply;
}

void Session::BeforeCopy() {
  streams_.Forget();
  notebook_.BeforeCopy();
}

void Session::AfterCopy() {
  streams_.Keep();
  notebook_.AfterCopy();
}

// ---- cells --------------------------------------------------------------------------------------

Finished Session::ExecuteCell(internal::v1::ExecuteCell request) {
  v1::Program& program = *request.mutable_program();
  // Of its own, so that tracebacks through functions of earlier cells show their lines.
  if (program.file_name().empty()) {
    program.set_file_name(request.execution_count() > 0
                              ? absl::StrCat("<cell ", request.execution_count(), ">")
                              : absl::StrCat("<hidden cell ", request.number(), ">"));
  }
  Finished finished;
  finished.set_cell(request.number());
  SetForegroundCell(request.number());
  SetInputSource(SourceOf(request));
  RenewLateOutputAllowance();
  PyRef exception;
  {
    InterruptsAllowed allowed(&gate_);
    PyRef value = Run(request);
    if (value && (value.get() != Py_None || program.has_call()) &&
        !DescribeResult(request, value.get(), &finished)) {
      finished.clear_value();
    }
    value.reset();
    exception = PyRef::Steal(PyErr_GetRaisedException());
    // A slow reader may keep this waiting: an interrupt must end it.
    streams_.Flush();
  }
  // They would trace us, and the cells that follow.
  PyEval_SetTrace(nullptr, nullptr);
  PyEval_SetProfile(nullptr, nullptr);
  finished.set_kind(Finished::KIND_SUCCEEDED);
  if (exception) ReportException(std::move(exception), &finished);
  SetForegroundCell(0);
  if (!program.return_files().empty()) {
    const UniqueFd directory(open(workspace_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    CollectFiles(directory.get(), program.return_files(), finished.mutable_files());
  }
  return finished;
}

void Session::ReportException(PyRef exception, Finished* finished) {
  const ReportReserve reserve;
  notebook_.TrimTraceback(exception.get());
  runner_.Report(exception.get(), finished);
  exception.reset();
  InterruptsAllowed allowed(&gate_);
  streams_.Flush();
}

PyRef Session::Run(const internal::v1::ExecuteCell& request) {
  const v1::Program& program = request.program();
  if (!streams_.Renew(program.stdin()) || !ApplyFiles(program, workspace_.c_str()) ||
      !ApplyEnvironment(program, runner_.environ()) ||
      (!program.args().empty() && !SetArguments(program)) || !notebook_.SetVariables(request)) {
    return PyRef();
  }
  return notebook_.RunCell(request);
}

bool Session::DescribeResult(const internal::v1::ExecuteCell& request, PyObject* value,
                             Finished* finished) {
  if (request.options().silent()) return true;
  if (!request.options().return_bundle()) {
    if (!WantsValue(request.program())) return true;
    return WantsTypedValue(request.program()) ? DescribeTyped(value, finished)
                                              : DescribeValue(value, finished->mutable_value());
  }
  v1::Value* described = finished->mutable_value();
  DescribeType(value, described);
  return notebook_.Describe(value, described->mutable_bundle());
}

}  // namespace cloister::sandbox
