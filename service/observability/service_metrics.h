// Counts what the core, the pool and the gRPC adapters report.

#ifndef CLOISTER_SERVICE_OBSERVABILITY_SERVICE_METRICS_H_
#define CLOISTER_SERVICE_OBSERVABILITY_SERVICE_METRICS_H_

#include <string>

#include "service/core/call_observer.h"
#include "service/core/observer.h"
#include "service/observability/metrics.h"

namespace cloister::observability {

// Ownership: `metrics` must outlive it. Thread-safety: as its two interfaces ask.
class ServiceMetrics final : public core::ServiceObserver, public core::CallObserver {
 public:
  explicit ServiceMetrics(Metrics* metrics) : metrics_(*metrics) {}

  // core::ServiceObserver
  void OnPoolState(const std::string& pool, const core::PoolState& state) override;
  void OnLivePoolState(const std::string& pool, const core::PoolState& state) override;
  void OnAdmission(const std::string& pool, core::Admission decision) override;
  void OnLeased(const std::string& pool, v1::StartKind start, absl::Duration waited) override;
  void OnLeaseFailed(const std::string& pool, core::LeaseFailure reason) override;
  void OnRecycled(const std::string& pool, core::RecycleReason reason) override;
  void OnSandboxStarted(const std::string& pool, absl::Duration took) override;
  void OnSandboxStartFailed(const std::string& pool, const absl::Status& why) override;
  void OnSandboxGone(const std::string& pool, const sandbox::SandboxExit& exit) override;
  void OnZygoteStarted(const std::string& pool, const sandbox::ZygoteInfo& info) override;
  void OnZygoteStartFailed(const std::string& pool, const absl::Status& why) override;
  void OnZygoteEnded(const std::string& pool, core::ZygoteEnd how,
                     const std::string& reason) override;
  void OnSpawnerLost(const std::string& reason) override;
  void OnLiveState(v1::Sandbox::State from, v1::Sandbox::State to) override;
  void OnLiveStarted(const std::string& sandbox, const std::string& pool, v1::StartKind start,
                     absl::Duration took) override;
  void OnLiveRestarted(const std::string& sandbox) override;
  void OnLiveLost(const std::string& sandbox, v1::Outcome::Kind cause,
                  const std::string& detail) override;
  void OnLiveEnded(const std::string& sandbox, core::LiveEnd how) override;
  void OnInterpreterState(v1::Interpreter::Profile profile, v1::Interpreter::State from,
                          v1::Interpreter::State to) override;
  void OnInterpreterStarted(const std::string& interpreter, v1::Interpreter::Profile profile,
                            absl::Duration took) override;
  void OnInterpreterLost(const std::string& interpreter, v1::Interpreter::Profile profile,
                         v1::Outcome::Kind cause, const std::string& detail) override;
  void OnInterpreterMemory(v1::Interpreter::Profile profile, int64_t change) override;
  void OnExecutionAccepted(core::ExecutionKind kind) override;
  void OnExecutionStarted(core::ExecutionKind kind, absl::Duration queued) override;
  void OnExecutionEnded(const core::ExecutionRecord& record) override;
  void OnInterrupted(core::InterruptResult result, absl::Duration took) override;
  void OnReplay(core::ReplayResult result) override;
  void OnReattach(core::ReattachResult result) override;
  void OnMessage(core::MessageDirection direction, size_t bytes) override;
  void OnHostCall(core::HostCallResult result, absl::Duration took) override;
  void OnClientConnected(int change) override;
  void OnStreamStalled() override;
  void OnBufferedBytes(int64_t change) override;

  // core::CallObserver
  void OnCallStarted(core::CallMethod method) override;
  void OnCallEnded(core::CallMethod method, const absl::Status& status,
                   absl::Duration took) override;
  void OnRequestBytes(int64_t change) override;

 private:
  void CountProgram(const core::ExecutionRecord& record);

  Metrics& metrics_;
};

}  // namespace cloister::observability

#endif  // CLOISTER_SERVICE_OBSERVABILITY_SERVICE_METRICS_H_
