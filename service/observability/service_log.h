// Log lines about what happens: one for each execution that ended and for each call that was
// refused, and one for whatever an operator would want to know of pools, zygotes and the spawner.

#ifndef CLOISTER_SERVICE_OBSERVABILITY_SERVICE_LOG_H_
#define CLOISTER_SERVICE_OBSERVABILITY_SERVICE_LOG_H_

#include <string>

#include "service/core/call_observer.h"
#include "service/core/observer.h"
#include "service/observability/logging.h"

namespace cloister::observability {

// Ownership: `log` must outlive it. Thread-safety: as its two interfaces ask.
class ServiceLog final : public core::ServiceObserver, public core::CallObserver {
 public:
  explicit ServiceLog(Log* log) : log_(*log) {}

  // core::ServiceObserver
  void OnSandboxStartFailed(const std::string& pool, const absl::Status& why) override;
  void OnZygoteStarted(const std::string& pool, const sandbox::ZygoteInfo& info) override;
  void OnZygoteStartFailed(const std::string& pool, const absl::Status& why) override;
  void OnZygoteEnded(const std::string& pool, core::ZygoteEnd how,
                     const std::string& reason) override;
  void OnSpawnerLost(const std::string& reason) override;
  void OnLiveStarted(const std::string& sandbox, const std::string& pool, v1::StartKind start,
                     absl::Duration took) override;
  void OnLiveSetupFailed(const std::string& sandbox, const absl::Status& why) override;
  void OnLiveRestarted(const std::string& sandbox) override;
  void OnLiveLost(const std::string& sandbox, v1::Outcome::Kind cause,
                  const std::string& detail) override;
  void OnLiveEnded(const std::string& sandbox, core::LiveEnd how) override;
  void OnInterpreterStarted(const std::string& interpreter, v1::Interpreter::Profile profile,
                            absl::Duration took) override;
  void OnInterpreterSetupFailed(const std::string& interpreter, const absl::Status& why) override;
  void OnInterpreterLost(const std::string& interpreter, v1::Interpreter::Profile profile,
                         v1::Outcome::Kind cause, const std::string& detail) override;
  void OnExecutionEnded(const core::ExecutionRecord& record) override;

  // core::CallObserver
  void OnCallEnded(core::CallMethod method, const absl::Status& status,
                   absl::Duration took) override;

 private:
  Log& log_;
};

}  // namespace cloister::observability

#endif  // CLOISTER_SERVICE_OBSERVABILITY_SERVICE_LOG_H_
