// The Sandbox of the server: waits until a clone is ready, keeps it while it is idle, and gives it
// its one program, or a session.
//
// Thread-safety: the loop's thread only.
// Ownership: owns the sandbox's descriptors. Destroying it, at any time and from inside any
// callback, ends everything inside.

#ifndef CLOISTER_SANDBOX_HOST_HOST_SANDBOX_H_
#define CLOISTER_SANDBOX_HOST_HOST_SANDBOX_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cloister/internal/v1/spawner.pb.h"
#include "sandbox/base/limits.h"
#include "sandbox/host/execution.h"
#include "sandbox/host/host_files.h"
#include "sandbox/host/host_session.h"
#include "sandbox/host/named_channels.h"
#include "sandbox/host/sandbox_interpreters.h"
#include "sandbox/host/sandbox_members.h"
#include "sandbox/host/sandbox_parts.h"
#include "sandbox/host/spawned_process.h"
#include "sandbox/sandbox.h"

namespace cloister::sandbox {

class HostSandbox final : public Sandbox, public SpawnedProcess {
 public:
  // From what the spawner said and sent. `spec` is the zygote's: the limits the sandbox began with.
  // INTERNAL where the descriptors are not those of SandboxCreated or cannot be watched.
  static absl::StatusOr<std::unique_ptr<HostSandbox>> Create(
      AsioLoop* loop, SandboxControl* control, const internal::v1::SandboxCreated& created,
      std::vector<UniqueFd> descriptors, const internal::v1::ZygoteSpec& spec);

  ~HostSandbox() override;

  int64_t id() const override { return parts_.id; }
  void Run(GuestProgram program, const Limits& limits, ExecutionObserver* observer) override;
  void OpenSession(SessionSpec spec, SessionObserver* observer) override;
  void RunCell(CellSettings settings, GuestProgram program, const Limits& limits,
               ExecutionObserver* observer) override;
  bool SendInput(int64_t request, std::optional<std::string> text) override;
  void Ask(NotebookQuestion question, NotebookCallback done) override;
  Mailbox& mailbox() override { return session_->mailbox(); }
  void Fork(const ForkSpec& spec, ForkCallback done) override;
  int64_t CreateInterpreter(InterpreterSpec spec, SessionObserver* observer,
                            InterpreterCallback done) override;
  void AbandonInterpreter(int64_t number) override { interpreters_.Abandon(number); }
  void ResumeSession(SessionObserver* observer) override;
  void AccessFiles(internal::v1::FileRequest request, FileCallback done) override;
  absl::StatusOr<NamedChannel> OpenChannel(const std::string& name,
                                           std::optional<uint32_t> capacity) override {
    return channels_.Open(name, capacity);
  }
  absl::Status RemoveChannel(const std::string& name) override { return channels_.Remove(name); }
  void Interrupt(absl::Duration grace) override;
  void Stop(StopReason reason) override;
  int64_t copied_bytes() const override { return copied_bytes_; }
  void PauseOutput() override { parts_.output.Pause(); }
  void ResumeOutput() override;

  // It was made as a copy; AwaitReady is not for snapshots.
  void BecomeCopy(SandboxControl::CopyOrder order) { copy_ = std::move(order); }

  // As SandboxControl says. What comes is told when this sandbox ends.
  void AddProcess(SandboxControl::ProcessCallback done);

  // SpawnedProcess.
  void AwaitReady(std::function<void(absl::Status)> ready) override;
  void OnLimitsSet(const std::string& error) override;
  void OnSignaled() override;
  void OnExited(const internal::v1::SandboxExited& exit) override;
  void OnSpawnerLost() override;

 private:
  HostSandbox(AsioLoop* loop, SandboxControl* control, const internal::v1::SandboxCreated& created,
              std::vector<UniqueFd> descriptors, internal::v1::SetSandboxLimits initial_limits);

  void OnFirstFrame(const GuestChannel::FrameOrError& frame);
  void ReportIdleLost();
  // After its observer was told.
  void OnSessionEnded(const std::string& how);
  HostFiles& files();
  void MakeFileProcess(HostFiles::ProcessCallback done);
  bool is_snapshot() const { return copy_.has_value() && copy_->request.snapshot(); }
  void MakeCopies(const ForkSpec& spec, const ForkCallback& done);
  // What the kernel has to be told for `limits`, if anything.
  std::optional<internal::v1::SetSandboxLimits> ChangedLimits(const Limits& limits) const;

  SandboxParts parts_;
  const internal::v1::SetSandboxLimits initial_limits_;
  std::function<void(absl::Status)> ready_;
  bool idle_lost_ = false;
  const int64_t copied_bytes_;
  std::optional<SandboxControl::CopyOrder> copy_;
  std::shared_ptr<char> alive_ = std::make_shared<char>();  // expires with the object
  // One of the two, from Run or OpenSession on.
  std::unique_ptr<Execution> execution_;
  std::unique_ptr<HostSession> session_;
  SandboxMembers members_;
  SandboxInterpreters interpreters_{
      parts_.loop, [this](SandboxControl::ProcessCallback done) { AddProcess(std::move(done)); }};
  NamedChannels channels_;
  std::unique_ptr<HostFiles> files_;  // from the first access on
  HostStop stop_ = HostStop::kNone;   // why it was asked to end, if it was
  bool has_ended_ = false;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_HOST_HOST_SANDBOX_H_
