#include "sandbox/guest/python_runtime.h"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cloister/internal/v1/guest.pb.h"
#include "sandbox/base/status_macros.h"
#include "sandbox/files/serve_files.h"
#include "sandbox/guest/arena_memory.h"
#include "sandbox/guest/heap_holes.h"
#include "sandbox/guest/hot_pages.h"
#include "sandbox/guest/immortal_heap.h"
#include "sandbox/guest/interpreter.h"
#include "sandbox/guest/interpreters_process.h"
#include "sandbox/guest/memory_layout.h"
#include "sandbox/guest/notebook.h"
#include "sandbox/guest/program_runner.h"
#include "sandbox/guest/python_object.h"
#include "sandbox/guest/python_source.h"
#include "sandbox/guest/session.h"
#include "sandbox/guest/session_copy.h"
#include "sandbox/guest/standard_streams.h"
#include "sandbox/guest/trial_run.h"
#include "sandbox/wire/frame.h"

namespace cloister::sandbox {
namespace {

using internal::v1::GuestFrame;
using internal::v1::HostFrame;

absl::Status CallNoArguments(const PyRef& function, const char* what) {
  PyRef result = PyRef::Steal(function ? PyObject_CallNoArgs(function.get()) : nullptr);
  return result ? absl::OkStatus() : TakePythonError(what);
}

absl::Status Import(const std::string& name) {
  PyRef module = PyRef::Steal(PyImport_ImportModule(name.c_str()));
  if (module) return absl::OkStatus();
  // However often it is tried: the template asks for what the image cannot do.
  return absl::InvalidArgumentError(
      TakePythonError(absl::StrCat("import ", name, " (of the template's warm_up_imports)"))
          .message());
}

// Everything alive now stays for good: no collection in a clone looks at it, which would copy it.
absl::Status FreezeHeap() {
  PyRef gc = PyRef::Steal(PyImport_ImportModule("gc"));
  PyGC_Enable();
  PyGC_Collect();  // also empties free lists, whose objects are all over the heap
  CLOISTER_RETURN_IF_ERROR(MakeHeapImmortal());
  PyRef frozen = PyRef::Steal(gc ? PyObject_CallMethod(gc.get(), "freeze", nullptr) : nullptr);
  if (!frozen) return TakePythonError("gc.freeze");
  FillHeapHoles();
  return absl::OkStatus();
}

// The program closed the channel. An exit status would look like its own; the host sees the
// channel's end and kills.
[[noreturn]] void AwaitKill() {
  for (;;) pause();
}

internal::v1::SetupFailed LimitsFailed(const absl::Status& status) {
  internal::v1::SetupFailed failed;
  failed.set_stage("limits");
  failed.set_message(std::string(status.message()));
  return failed;
}

// Until the host closes its end, or kills.
void WaitForEnd(int channel) {
  char ignored[256];
  for (;;) {
    const ssize_t count = read(channel, ignored, sizeof(ignored));
    if (count == 0 || (count < 0 && errno != EINTR)) return;
  }
}

}  // namespace

struct PythonRuntime::State {
  StandardStreams streams;
  ProgramRunner runner;
  Notebook notebook;
  SignalGate gate;
  PyRef renew;
  PyRef renew_copy;
  std::vector<PageRange> hot_pages;
};

PythonRuntime::PythonRuntime() : state_(new State) {}

PythonRuntime::~PythonRuntime() = default;

absl::StatusOr<std::string> PythonRuntime::WarmUp(const internal::v1::ZygoteSpec& spec) {
  // Where the image is mounted as the root, everything has the name it always has.
  const bool is_root = spec.image_root().empty() || spec.image_root() == "/";
  CLOISTER_ASSIGN_OR_RETURN(
      std::string version,
      StartInterpreter(spec.environment(), is_root ? std::string() : spec.image_root()));
  CLOISTER_RETURN_IF_ERROR(state_->streams.SetUp());
  ProgramRunner& runner = state_->runner;
  CLOISTER_RETURN_IF_ERROR(runner.SetUp());
  CLOISTER_RETURN_IF_ERROR(state_->notebook.SetUp(runner.program_source(), runner.report_source()));
  for (const std::string& name : spec.warm_up_imports()) CLOISTER_RETURN_IF_ERROR(Import(name));

  PyRef hygiene = LoadSource(kHygieneSource, "hygiene");
  CLOISTER_RETURN_IF_ERROR(CallNoArguments(GetFunction(hygiene, "plan"), "plan renewals"));
  if (!is_root) {
    CLOISTER_RETURN_IF_ERROR(CallNoArguments(GetFunction(hygiene, "plan_moving"), "plan moving"));
  }
  state_->renew = GetFunction(hygiene, "renew");
  state_->renew_copy = GetFunction(hygiene, "renew_copy");
  CLOISTER_RETURN_IF_ERROR(state_->runner.Rehearse());
  CLOISTER_RETURN_IF_ERROR(FreezeHeap());
  // Where it cannot be learned, clones take the faults one by one, as ever.
  absl::StatusOr<std::vector<PageRange>> hot_pages = LearnHotPages(*this);
  if (hot_pages.ok()) {
    LayOutMemory(*hot_pages);
    UseHugePagesForArenas();
    hot_pages = LearnHotPages(*this);
  }
  if (hot_pages.ok()) state_->hot_pages = *std::move(hot_pages);
  return version;
}

namespace {

// What a shell would see of a program that ended so.
int ExitStatusOf(const internal::v1::Finished& finished) {
  switch (finished.kind()) {
    case internal::v1::Finished::KIND_SUCCEEDED:
      return EXIT_SUCCESS;
    case internal::v1::Finished::KIND_EXITED:
      return finished.exit_code();
    default:
      return EXIT_FAILURE;
  }
}

}  // namespace

void PythonRuntime::BeforeFork() { PyOS_BeforeFork(); }
void PythonRuntime::AfterForkInParent() { PyOS_AfterFork_Parent(); }
void PythonRuntime::AfterForkInChild() {
  // First, because all that follows would fault the pages in one by one.
  TouchPages(state_->hot_pages);
  PyOS_AfterFork_Child();
}

absl::Status PythonRuntime::Prepare() { return CallNoArguments(state_->renew, "renew randomness"); }

int PythonRuntime::Serve(int channel) {
  HostFrame request;
  absl::Status status = ReadFrame(channel, &request, kMaxHostFrameBytes);
  if (absl::IsOutOfRange(status)) return EXIT_SUCCESS;  // never needed
  if (!status.ok()) return EXIT_FAILURE;
  if (request.has_open_session()) {
    return ServeSession(channel, std::move(*request.mutable_open_session()));
  }
  if (request.has_serve_interpreters()) {
    return ServeInterpreters(channel, request.serve_interpreters());
  }
  if (request.has_serve_files()) return ServeFiles(channel, request.serve_files());
  if (!request.has_run_program()) return EXIT_FAILURE;
  const pid_t own_pid = getpid();
  GuestFrame reply;
  auto finished = state_->runner.Run(std::move(*request.mutable_run_program()));
  // Where subprocesses are allowed, a fork of the program that comes to its end arrives here as
  // well. It ends as a process does; the report to the host is the first process's.
  if (getpid() != own_pid) _exit(finished.ok() ? ExitStatusOf(*finished) : EXIT_FAILURE);
  if (finished.ok()) {
    *reply.mutable_finished() = *std::move(finished);
  } else {
    *reply.mutable_setup_failed() = LimitsFailed(finished.status());
  }
  status = WriteFrame(channel, reply, kMaxGuestFrameBytes);
  // From here on no thread of the program runs: the GIL stays here.
  if (status.ok()) WaitForEnd(channel);
  if (!status.ok()) AwaitKill();
  return EXIT_SUCCESS;
}

int PythonRuntime::ServeSession(int channel, internal::v1::OpenSession request) {
  // Never freed, as all of the state: threads may be in it to the end.
  auto& session =
      *new Session(&state_->runner, &state_->notebook, &state_->streams, &state_->gate, channel);
  GuestFrame reply;
  const auto imports = std::move(*request.mutable_imports());
  absl::Status status = session.Open(std::move(request));
  if (!status.ok()) {
    *reply.mutable_setup_failed() = LimitsFailed(status);
  } else if (session.Import(imports, reply.mutable_import_failed())) {
    reply.mutable_session_opened();
  }
  while (session.Send(reply).ok()) {
    HostFrame frame;
    status = session.Receive(&frame);
    while (status.ok() && frame.has_prepare_fork()) {
      status = StandStillForCopies(&session, channel, state_->renew_copy.get());
      if (status.ok()) status = session.Receive(&frame);
    }
    if (absl::IsOutOfRange(status)) return EXIT_SUCCESS;  // nobody needs it any more
    if (!status.ok()) return EXIT_FAILURE;
    reply = session.Answer(std::move(frame));
    if (reply.frame_case() == GuestFrame::FRAME_NOT_SET) return EXIT_FAILURE;
    // Where subprocesses are allowed, a fork of a cell's that comes to its end: as in Serve.
    if (!session.IsOwner()) _exit(ExitStatusOf(reply.finished()));
  }
  AwaitKill();
}

}  // namespace cloister::sandbox
