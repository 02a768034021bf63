#include "sandbox/guest/further_interpreter.h"

#include <sys/socket.h>
#include <unistd.h>

#include <ctime>
#include <utility>

#include "absl/strings/str_cat.h"
#include "sandbox/base/status_macros.h"
#include "sandbox/base/syscall_status.h"
#include "sandbox/guest/interpreter_local.h"
#include "sandbox/guest/interruptible_waits.h"
#include "sandbox/guest/module_imports.h"
#include "sandbox/guest/notebook_source.h"
#include "sandbox/guest/program_runner.h"
#include "sandbox/guest/python_source.h"

namespace cloister::sandbox {
namespace {

using internal::v1::GuestFrame;
using internal::v1::HostFrame;

// CPython bounds recursion in C by the stack it finds.
constexpr size_t kStackBytes = size_t{16} << 20;
constexpr size_t kMaxMessageBytes = size_t{4} << 10;

PyRef BytesList(const std::vector<std::string>& texts) {
  PyRef list = PyRef::Steal(PyList_New(0));
  for (const std::string& text : texts) {
    PyRef bytes =
        PyRef::Steal(PyBytes_FromStringAndSize(text.data(), static_cast<Py_ssize_t>(text.size())));
    if (!list || !bytes || PyList_Append(list.get(), bytes.get()) != 0) return PyRef();
  }
  return list;
}

// What differs from main, before there is a session.
absl::Status Prepare(bool is_isolated, const std::vector<std::string>& environment) {
  if (!InstallInterruptibleWaits() || !ExplainRefusedImports(is_isolated)) {
    return TakePythonError("prepare the interpreter");
  }
  PyRef variables = BytesList(environment);
  PyRef prepare = variables ? GetFunction(LoadNotebookSource("further"), "prepare") : PyRef();
  PyRef prepared =
      PyRef::Steal(prepare ? PyObject_CallOneArg(prepare.get(), variables.get()) : nullptr);
  return prepared ? absl::OkStatus() : TakePythonError("prepare the interpreter");
}

void Pause() {
  const timespec pause = {0, 5'000'000};
  Py_BEGIN_ALLOW_THREADS;
  nanosleep(&pause, nullptr);
  Py_END_ALLOW_THREADS;
}

}  // namespace

FurtherInterpreter::FurtherInterpreter(InterpreterConfig config,
                                       internal::v1::CreateInterpreter request,
                                       InterpreterEnds ends,
                                       const std::vector<std::string>* environment, Answer answer)
    : config_(config),
      request_(std::move(request)),
      ends_(std::move(ends)),
      environment_(*environment),
      answer_(std::move(answer)),
      account_(*new MemoryAccount) {}

FurtherInterpreter::~FurtherInterpreter() {
  if (is_started_) pthread_join(thread_, nullptr);
}

absl::Status FurtherInterpreter::Start() {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, kStackBytes);
  const int error = pthread_create(&thread_, &attributes, ThreadMain, this);
  pthread_attr_destroy(&attributes);
  is_started_ = error == 0;
  return is_started_ ? absl::OkStatus()
                     : absl::ErrnoToStatus(error, "start the thread of an interpreter");
}

// ---- the first thread ---------------------------------------------------------------------------

void FurtherInterpreter::Interrupt() {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (gate_ != nullptr) gate_->Interrupt();
}

void FurtherInterpreter::End() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    is_end_asked_ = true;
    // The session reads no further frame; what it says of the cell that runs still goes out.
    if (!has_ended_) shutdown(ends_.channel.get(), SHUT_RD);
    if (gate_ != nullptr) gate_->Interrupt();
  }
  AnswerEnded();
}

bool FurtherInterpreter::IsEnding() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return is_end_asked_ && !is_end_answered_;
}

bool FurtherInterpreter::IsOver() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return is_end_answered_;
}

// ---- its own thread -----------------------------------------------------------------------------

void* FurtherInterpreter::ThreadMain(void* self) {
  static_cast<FurtherInterpreter*>(self)->Run();
  return nullptr;
}

void FurtherInterpreter::Run() {
  // CPython makes interpreters in threads that are in one already: in main, which is idle.
  PyThreadState* in_main = PyThreadState_New(PyInterpreterState_Main());
  if (in_main == nullptr) return AnswerFailed("no memory for a thread");
  PyEval_RestoreThread(in_main);
  EnterAccount(&account_);
  absl::StatusOr<PyThreadState*> state = config_.Create();
  if (state.ok()) {
    Live();
    Py_EndInterpreter(*state);
    EnterAccount(nullptr);
    PyEval_RestoreThread(in_main);
  } else {
    EnterAccount(nullptr);
    AnswerFailed(state.status().message());
  }
  PyThreadState_Clear(in_main);
  PyThreadState_DeleteCurrent();
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    has_ended_ = true;
    ends_ = {};  // tells the host
  }
  AnswerEnded();
}

void FurtherInterpreter::Live() {
  ThreadGate gate;
  {
    StandardStreams streams(std::move(ends_.output), std::move(ends_.error));
    ProgramRunner runner;
    Notebook notebook;
    Session session(&runner, &notebook, &streams, &gate, ends_.channel.get());
    SetGate(&gate);
    if (Open(&session, &streams, &runner, &notebook)) Serve(&session);
    SetGate(nullptr);
    EndUserCode(&runner);
    streams.Flush();
    DropInterpreterLocals();
  }
  PyGC_Collect();
}

bool FurtherInterpreter::Open(Session* session, StandardStreams* streams, ProgramRunner* runner,
                              Notebook* notebook) {
  absl::Status status = streams->SetUp();
  if (status.ok()) status = runner->SetUp();
  if (status.ok()) status = notebook->SetUp(runner->program_source(), runner->report_source());
  if (status.ok()) status = Prepare(config_.is_isolated(), environment_);
  if (!status.ok()) {
    AnswerFailed(status.message());
    return false;
  }
  // Only now: CPython does not survive that there is no memory for an interpreter.
  account_.SetLimit(request_.memory_bytes());
  account_.BeginCell();
  GuestFrame frame;
  frame.mutable_interpreter_created()->set_interpreter(request_.interpreter());
  frame.mutable_interpreter_created()->set_thread_id(static_cast<int32_t>(gettid()));
  answer_(frame);

  internal::v1::OpenSession request;
  *request.mutable_environment() = std::move(*request_.mutable_environment());
  status = session->Open(std::move(request));
  GuestFrame reply;
  if (!status.ok()) {
    reply.mutable_setup_failed()->set_stage("session");
    reply.mutable_setup_failed()->set_message(std::string(status.message()));
  } else if (session->Import(request_.imports(), reply.mutable_import_failed())) {
    reply.mutable_session_opened();
  }
  return session->Send(reply).ok() && reply.has_session_opened();
}

void FurtherInterpreter::Serve(Session* session) {
  HostFrame frame;
  while (!MustEnd() && session->Receive(&frame).ok()) {
    account_.BeginCell();
    GuestFrame reply = session->Answer(std::move(frame));
    if (reply.frame_case() == GuestFrame::FRAME_NOT_SET) return;
    if (reply.has_finished()) FillMemory(reply.mutable_finished()->mutable_memory());
    if (!session->Send(reply).ok()) return;
  }
}

void FurtherInterpreter::EndUserCode(ProgramRunner* runner) {
  // Those that do not end keep the interpreter from ending, and this thread here, until the host
  // kills the process: CPython would abort it.
  while (EndOtherThreads() > 0) Pause();
  runner->RunExitFunctions();
  while (EndOtherThreads() > 0) Pause();
  ProgramRunner::ClearMain();
  while (EndOtherThreads() > 0) Pause();
}

void FurtherInterpreter::SetGate(ThreadGate* gate) {
  const std::lock_guard<std::mutex> lock(mutex_);
  gate_ = gate;
}

bool FurtherInterpreter::MustEnd() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return is_end_asked_;
}

// ---- answers ------------------------------------------------------------------------------------

void FurtherInterpreter::FillMemory(internal::v1::InterpreterMemory* memory) const {
  memory->set_current_bytes(account_.current_bytes());
  memory->set_peak_bytes(account_.peak_bytes());
}

void FurtherInterpreter::AnswerFailed(absl::string_view message) {
  GuestFrame frame;
  frame.mutable_interpreter_failed()->set_interpreter(request_.interpreter());
  frame.mutable_interpreter_failed()->set_message(std::string(message.substr(0, kMaxMessageBytes)));
  answer_(frame);
  // Nobody asks for the end of what there never was.
  const std::lock_guard<std::mutex> lock(mutex_);
  is_end_answered_ = true;
}

void FurtherInterpreter::AnswerEnded() {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!has_ended_ || !is_end_asked_ || is_end_answered_) return;
  GuestFrame frame;
  frame.mutable_interpreter_ended()->set_interpreter(request_.interpreter());
  FillMemory(frame.mutable_interpreter_ended()->mutable_memory());
  answer_(frame);
  is_end_answered_ = true;
}

}  // namespace cloister::sandbox
