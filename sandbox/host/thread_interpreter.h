// An interpreter on a thread of its own in the process that a live sandbox's interpreters share:
// profiles `isolated` and `shared_gil`.
//
// Its session is that of any interpreter; what the session asks of a spawner (a signal, a kill) is
// asked of the shared process here.
//
// Thread-safety: the loop's thread only. Ownership: of the host's ends of its channel and pipes; of
// the process, a share.

#ifndef CLOISTER_SANDBOX_HOST_THREAD_INTERPRETER_H_
#define CLOISTER_SANDBOX_HOST_THREAD_INTERPRETER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "sandbox/host/interpreters_process.h"
#include "sandbox/host/session_interpreter.h"

namespace cloister::sandbox {

class ThreadInterpreter final : public SessionInterpreter,
                                private InterpretersProcess::Resident,
                                private SandboxControl {
 public:
  ThreadInterpreter(std::shared_ptr<InterpretersProcess> process, SessionObserver* observer);
  ~ThreadInterpreter() override;

  // Once, as the first thing; after an error, which is the process's of the host, nothing follows.
  absl::Status Open(InterpreterSpec spec, const Limits& limits, OpenedFunction opened);

  // SessionInterpreter.
  void RunCell(CellSettings settings, GuestProgram program, const Limits& limits,
               ExecutionObserver* observer) override;

 private:
  void BeginEnd() override;
  void OnSessionEnded() override;

  // InterpretersProcess::Resident.
  bool IsRunning() const override { return is_running(); }
  void OnFailed(const absl::Status& status) override;
  void OnInterrupted(int count) override;
  void OnEnded() override;
  void OnProcessExited(const internal::v1::SandboxExited& exit) override;
  void OnProcessLost(HostStop stop, const std::string& detail) override;
  void OnSandboxEnded(HostStop stop, const std::string& detail) override { EndNow(stop, detail); }

  // SandboxControl, as far as a session asks.
  void SendSignal(int64_t sandbox_id, int signal) override;
  void Kill(int64_t sandbox_id) override;
  void SetLimits(const internal::v1::SetSandboxLimits&) override {}
  void Copy(CopyOrder, CopyCallback) override {}
  void AddProcess(int64_t, ProcessCallback) override {}
  void OnIdleLost(int64_t) override {}
  void OnDestroyed(int64_t) override {}

  const std::shared_ptr<InterpretersProcess> process_;
  int64_t number_ = 0;
  std::unique_ptr<SandboxParts> parts_;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_HOST_THREAD_INTERPRETER_H_
