#include "sandbox/host/thread_interpreter.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <utility>
#include <vector>

#include "sandbox/base/status_macros.h"
#include "sandbox/base/syscall_status.h"
#include "sandbox/host/spawned_process.h"

namespace cloister::sandbox {
namespace {

// One interpreter's channel and pipes, by end; in the order in which the guest takes them.
struct Ends {
  std::vector<UniqueFd> host;
  std::vector<UniqueFd> guest;
};

absl::StatusOr<Ends> MakeEnds() {
  Ends ends;
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
    return SyscallError("socketpair");
  }
  ends.host.emplace_back(pair[0]);
  ends.guest.emplace_back(pair[1]);
  for (int i = 0; i < 2; ++i) {
    if (::pipe2(pair, O_CLOEXEC) != 0) return SyscallError("pipe");
    ends.host.emplace_back(pair[0]);
    ends.guest.emplace_back(pair[1]);
  }
  return ends;
}

absl::StatusOr<UniqueFd> Duplicate(int fd) {
  UniqueFd duplicate(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (!duplicate) return SyscallError("duplicate a descriptor");
  return duplicate;
}

}  // namespace

ThreadInterpreter::ThreadInterpreter(std::shared_ptr<InterpretersProcess> process,
                                     SessionObserver* observer)
    : SessionInterpreter(observer), process_(std::move(process)) {}

ThreadInterpreter::~ThreadInterpreter() {
  DropSession();
  process_->Leave(number_);
}

absl::Status ThreadInterpreter::Open(InterpreterSpec spec, const Limits& limits,
                                     OpenedFunction opened) {
  const SandboxParts& shared = *process_->process().parts();
  CLOISTER_ASSIGN_OR_RETURN(Ends ends, MakeEnds());
  CLOISTER_ASSIGN_OR_RETURN(UniqueFd pidfd, Duplicate(shared.pidfd.get()));
  UniqueFd peak;
  if (!shared.meter.must_sample()) {
    CLOISTER_ASSIGN_OR_RETURN(peak, Duplicate(shared.meter.peak_file()));
  }
  SandboxControl* const control = this;
  parts_.reset(new SandboxParts{
      .id = shared.id,
      .host_pid = shared.host_pid,
      .shares_user = shared.shares_user,
      .loop = shared.loop,
      .control = control,
      .pidfd = std::move(pidfd),
      .channel = GuestChannel(shared.loop, std::move(ends.host[0])),
      .output = OutputReader(shared.loop, std::move(ends.host[1]), std::move(ends.host[2])),
      .meter = ResourceMeter(shared.host_pid, std::move(peak),
                             [this] { return process_->CpuTime(number_); })});
  CLOISTER_RETURN_IF_ERROR(OpenParts(parts_.get()));

  internal::v1::CreateInterpreter request;
  request.set_profile(spec.profile == InterpreterProfile::kIsolated
                          ? internal::v1::GIL_PROFILE_ISOLATED
                          : internal::v1::GIL_PROFILE_SHARED_GIL);
  request.set_memory_bytes(spec.memory_bytes);
  for (auto& [name, value] : spec.environment) {
    (*request.mutable_environment())[name] = std::move(value);
  }
  request.mutable_imports()->Assign(spec.imports.begin(), spec.imports.end());
  SessionSpec session;
  session.limits = limits;
  session.imports = std::move(spec.imports);
  MakeSession(parts_.get(), std::move(session), std::move(opened)).AwaitOpened();
  number_ = process_->Add(std::move(request), std::move(ends.guest), this);
  return absl::OkStatus();
}

void ThreadInterpreter::RunCell(CellSettings settings, GuestProgram program, const Limits& limits,
                                ExecutionObserver* observer) {
  process_->RenewDiscard();
  SessionInterpreter::RunCell(std::move(settings), std::move(program), limits, observer);
}

void ThreadInterpreter::OnFailed(const absl::Status& status) {
  if (is_opening()) FailOpening(status);
}

void ThreadInterpreter::SendSignal(int64_t, int signal) {
  if (signal == SIGINT) process_->Interrupt(number_);
}

void ThreadInterpreter::OnInterrupted(int count) {
  const std::weak_ptr<char> alive = this->alive();
  parts_->unanswered_signals -= count;
  for (int i = 0; i < count && !alive.expired(); ++i) session().OnSignaled();
}

void ThreadInterpreter::Kill(int64_t) { process_->Kill(number_); }

// ---- the end ------------------------------------------------------------------------------------

void ThreadInterpreter::BeginEnd() {
  session().Interrupt(kEndTimeout);
  process_->End(number_);
}

// To the session it is as if a process of its own had ended by an interrupt.
void ThreadInterpreter::OnEnded() {
  if (session().has_ended()) return SessionInterpreter::OnEnded();
  internal::v1::SandboxExited exit;
  exit.set_wait_code(CLD_KILLED);
  exit.set_wait_status(SIGINT);
  session().OnExited(exit);
}

void ThreadInterpreter::OnProcessExited(const internal::v1::SandboxExited& exit) {
  if (is_opening()) {
    return FailOpening(exit.oom_kill_count() > 0
                           ? absl::ResourceExhaustedError("memory ran out while it was opened")
                           : absl::InternalError("its process ended while it was opened"));
  }
  session().OnExited(exit);
}

void ThreadInterpreter::OnProcessLost(HostStop stop, const std::string& detail) {
  is_opening() ? FailOpening(absl::InternalError(detail)) : EndNow(stop, detail);
}

// Where only the session is over, the guest has still to say that the interpreter is.
void ThreadInterpreter::OnSessionEnded() {
  if (process_->HasEnded(number_)) SessionInterpreter::OnEnded();
}

}  // namespace cloister::sandbox
