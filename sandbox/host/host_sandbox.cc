#include "sandbox/host/host_sandbox.h"

#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"
#include "sandbox/base/status_macros.h"
#include "sandbox/host/guest_limits.h"
#include "sandbox/host/member_process.h"
#include "sandbox/host/sandbox_fork.h"

namespace cloister::sandbox {
namespace {

// A further process as HostFiles uses one: it learns of the end by the channel.
class MemberFileProcess final : public FileProcess, private MemberProcess::User {
 public:
  MemberFileProcess(std::unique_ptr<MemberProcess> process, const Limits& limits)
      : process_(std::move(process)),
        limits_(GuestLimitsOf(limits, *process_->parts())),
        memory_bytes_(limits.memory_bytes) {
    process_->SetUser(this);
  }

  GuestChannel& channel() override { return process_->parts()->channel; }
  internal::v1::GuestLimits limits() const override { return limits_; }
  bool HasMemoryFor(int64_t bytes) const override {
    return process_->parts()->memory.Has(bytes, memory_bytes_);
  }

 private:
  void OnExited(const internal::v1::SandboxExited& /*exit*/) override {}
  void OnSandboxEnded(HostStop /*stop*/, const std::string& /*detail*/) override {}

  const std::unique_ptr<MemberProcess> process_;
  const internal::v1::GuestLimits limits_;
  const int64_t memory_bytes_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<HostSandbox>> HostSandbox::Create(
    AsioLoop* loop, SandboxControl* control, const internal::v1::SandboxCreated& created,
    std::vector<UniqueFd> descriptors, const internal::v1::ZygoteSpec& spec) {
  CLOISTER_RETURN_IF_ERROR(CheckDescriptors(descriptors));
  internal::v1::SetSandboxLimits initial;
  initial.set_sandbox_id(created.sandbox_id());
  *initial.mutable_limits() = spec.default_limits();
  initial.set_workspace_bytes(spec.default_workspace_bytes());
  std::unique_ptr<HostSandbox> sandbox(
      new HostSandbox(loop, control, created, std::move(descriptors), std::move(initial)));
  CLOISTER_RETURN_IF_ERROR(OpenParts(&sandbox->parts_));
  return sandbox;
}

HostSandbox::HostSandbox(AsioLoop* loop, SandboxControl* control,
                         const internal::v1::SandboxCreated& created,
                         std::vector<UniqueFd> descriptors,
                         internal::v1::SetSandboxLimits initial_limits)
    : parts_(MakeSandboxParts(loop, control, created, std::move(descriptors))),
      initial_limits_(std::move(initial_limits)),
      copied_bytes_(created.memory_bytes()) {}

HostSandbox::~HostSandbox() {
  execution_.reset();
  session_.reset();
  parts_.control->OnDestroyed(parts_.id);
}

void HostSandbox::AwaitReady(std::function<void(absl::Status)> ready) {
  ready_ = std::move(ready);
  parts_.channel.AwaitFrame(
      [this](const GuestChannel::FrameOrError& frame) { OnFirstFrame(frame); });
}

void HostSandbox::OnFirstFrame(const GuestChannel::FrameOrError& frame) {
  auto ready = std::exchange(ready_, nullptr);
  if (absl::Status status = ReadyStatus(frame); !status.ok()) return ready(std::move(status));
  // From here until Run, anything that comes (an end, or words out of turn) means it is lost.
  parts_.channel.AwaitFrame([this](const GuestChannel::FrameOrError&) { ReportIdleLost(); });
  ready(absl::OkStatus());
}

void HostSandbox::ReportIdleLost() {
  if (!std::exchange(idle_lost_, true)) parts_.control->OnIdleLost(parts_.id);
}

void HostSandbox::Run(GuestProgram program, const Limits& limits, ExecutionObserver* observer) {
  internal::v1::HostFrame frame;
  internal::v1::RunProgram& request = *frame.mutable_run_program();
  if (program.HasClones()) *request.mutable_clones() = std::move(program.clones);
  *request.mutable_program() = std::move(program.program);
  request.set_compile_only(program.compile_only);
  if (program.compiled != nullptr) request.set_compiled(*program.compiled);
  execution_ = std::make_unique<Execution>(&parts_, std::move(frame), limits, observer);
  if (idle_lost_) {
    return execution_->StopLater(HostStop::kNeverStarted,
                                 "the sandbox died before it was given its program");
  }
  execution_->Start(ChangedLimits(limits));
}

std::optional<internal::v1::SetSandboxLimits> HostSandbox::ChangedLimits(
    const Limits& limits) const {
  internal::v1::SetSandboxLimits wanted = initial_limits_;
  wanted.mutable_limits()->set_memory_bytes(limits.memory_bytes);
  wanted.mutable_limits()->set_process_count(limits.process_count);
  wanted.set_workspace_bytes(limits.workspace_bytes);
  const internal::v1::CgroupLimits& initial = initial_limits_.limits();
  const bool same = wanted.limits().memory_bytes() == initial.memory_bytes() &&
                    wanted.limits().process_count() == initial.process_count() &&
                    wanted.workspace_bytes() == initial_limits_.workspace_bytes();
  return same ? std::nullopt : std::make_optional(std::move(wanted));
}

void HostSandbox::OpenSession(SessionSpec spec, SessionObserver* observer) {
  const std::optional<internal::v1::SetSandboxLimits> changed = ChangedLimits(spec.limits);
  session_ = std::make_unique<HostSession>(&parts_, std::move(spec), observer);
  session_->SetOnEnded([this](const std::string& how) { OnSessionEnded(how); });
  if (idle_lost_) return session_->Stop(HostStop::kLost, "the sandbox died before it was opened");
  session_->Open(changed);
}

void HostSandbox::RunCell(CellSettings settings, GuestProgram program, const Limits& limits,
                          ExecutionObserver* observer) {
  session_->RunCell(std::move(settings), std::move(program), limits, observer);
}

bool HostSandbox::SendInput(int64_t request, std::optional<std::string> text) {
  return session_ != nullptr && session_->SendInput(request, std::move(text));
}

void HostSandbox::Ask(NotebookQuestion question, NotebookCallback done) {
  session_->Ask(std::move(question), std::move(done));
}

void HostSandbox::Fork(const ForkSpec& spec, ForkCallback done) {
  if (is_snapshot()) return MakeCopies(spec, done);
  // Without an init of its own, that is without namespaces.
  if (parts_.shares_user) {
    return parts_.loop->Post([done = std::move(done)] {
      done(absl::UnimplementedError("without namespaces, sandboxes cannot be copied"));
    });
  }
  if (std::string living = interpreters_.Living(); !living.empty()) {
    // A copy has the memory of the first process alone.
    return parts_.loop->Post([done = std::move(done), living = std::move(living)] {
      done(absl::FailedPreconditionError(living));
    });
  }
  // Nobody changes files while they are copied. Who serves them is not copied.
  files().Hold([this, spec, done = std::move(done)] {
    session_->StandStill([this, spec, done](const absl::Status& status) {
      if (!status.ok()) {
        files().Release();
        return done(status);
      }
      MakeCopies(spec, [this, done](auto copies) {
        session_->ResumeGuest();
        files().Release();
        done(std::move(copies));
      });
    });
  });
}

void HostSandbox::MakeCopies(const ForkSpec& spec, const ForkCallback& done) {
  SandboxControl::CopyOrder order;
  order.limits = spec.limits;
  order.last_cell = is_snapshot() ? copy_->last_cell : session_->last_cell();
  order.request.set_parent_id(parts_.id);
  order.request.mutable_limits()->set_memory_bytes(spec.limits.memory_bytes);
  order.request.mutable_limits()->set_process_count(spec.limits.process_count);
  order.request.set_workspace_bytes(spec.limits.workspace_bytes);
  *order.request.mutable_guest_limits() = GuestLimitsOf(spec.limits, parts_);
  order.request.set_snapshot(spec.snapshot);
  SandboxFork::Run(parts_.control, std::move(order), spec.count,
                   [done, alive = std::weak_ptr<char>(alive_)](auto copies) {
                     if (!alive.expired()) done(std::move(copies));
                   });
}

void HostSandbox::ResumeSession(SessionObserver* observer) {
  session_ = std::make_unique<HostSession>(&parts_, copy_->limits, copy_->last_cell, observer);
  session_->SetOnEnded([this](const std::string& how) { OnSessionEnded(how); });
  if (idle_lost_) session_->Stop(HostStop::kLost, "the copy died before it was used");
}

// ---- further processes --------------------------------------------------------------------------

void HostSandbox::AddProcess(SandboxControl::ProcessCallback done) {
  parts_.control->AddProcess(
      parts_.id, [this, done = std::move(done), alive = std::weak_ptr<char>(alive_)](auto process) {
        if (alive.expired()) return;
        if (has_ended_ || (!process.ok() && parts_.ProcessHasEnded())) {
          process = absl::UnavailableError("the sandbox has ended");
        }
        if (process.ok()) members_.Add(process->get());
        done(std::move(process));
      });
}

int64_t HostSandbox::CreateInterpreter(InterpreterSpec spec, SessionObserver* observer,
                                       InterpreterCallback done) {
  return interpreters_.Create(std::move(spec), session_->limits(), observer, std::move(done));
}

HostFiles& HostSandbox::files() {
  if (files_ == nullptr) {
    files_ = std::make_unique<HostFiles>(
        parts_.loop, [this](HostFiles::ProcessCallback done) { MakeFileProcess(std::move(done)); });
  }
  return *files_;
}

void HostSandbox::AccessFiles(internal::v1::FileRequest request, FileCallback done) {
  files().Ask(std::move(request), std::move(done));
}

void HostSandbox::MakeFileProcess(HostFiles::ProcessCallback done) {
  AddProcess([limits = session_->limits(),
              done = std::move(done)](absl::StatusOr<std::unique_ptr<MemberProcess>> process) {
    if (!process.ok()) return done(process.status());
    done(std::make_unique<MemberFileProcess>(*std::move(process), limits));
  });
}

void HostSandbox::OnSessionEnded(const std::string& how) {
  has_ended_ = true;
  if (stop_ != HostStop::kNone) return members_.TellEnded(stop_, "");
  members_.TellEnded(HostStop::kLost, absl::StrCat("its sandbox was lost: ", how));
}

// ---- from outside -------------------------------------------------------------------------------

void HostSandbox::Interrupt(absl::Duration grace) {
  if (execution_ != nullptr) execution_->Interrupt(grace);
  if (session_ != nullptr) session_->Interrupt(grace);
}

void HostSandbox::Stop(StopReason reason) {
  // One that ended by itself is let go of with a reason as well, which is not why its members end.
  const bool has_ended = session_ != nullptr && session_->has_ended();
  if (stop_ == HostStop::kNone && !has_ended) stop_ = HostStopOf(reason);
  if (session_ != nullptr) return session_->Stop(HostStopOf(reason), "");
  if (execution_ == nullptr) return parts_.control->Kill(parts_.id);
  // The execution asks for the kill itself, once it has seen whether there is anything left to end.
  execution_->StopLater(HostStopOf(reason), "");
}

void HostSandbox::ResumeOutput() {
  parts_.output.Resume();
  if (session_ != nullptr) session_->ResumeFrames();
}

void HostSandbox::OnLimitsSet(const std::string& error) {
  if (execution_ != nullptr) execution_->OnLimitsSet(error);
  if (session_ != nullptr) session_->OnLimitsSet(error);
}

void HostSandbox::OnSignaled() {
  --parts_.unanswered_signals;
  if (session_ != nullptr) session_->OnSignaled();
}

void HostSandbox::OnExited(const internal::v1::SandboxExited& exit) {
  if (execution_ != nullptr) return execution_->OnProcessExited(exit);
  if (session_ != nullptr) return session_->OnExited(exit);
  ReportIdleLost();
}

void HostSandbox::OnSpawnerLost() {
  constexpr char kDetail[] = "the spawner was lost, and all sandboxes with it";
  if (execution_ != nullptr) return execution_->StopLater(HostStop::kLost, kDetail);
  if (session_ != nullptr) return session_->Stop(HostStop::kLost, kDetail);
  ReportIdleLost();
}

}  // namespace cloister::sandbox
