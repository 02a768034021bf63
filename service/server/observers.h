// Tells several observers the same.

#ifndef CLOISTER_SERVICE_SERVER_OBSERVERS_H_
#define CLOISTER_SERVICE_SERVER_OBSERVERS_H_

#include <string>
#include <utility>
#include <vector>

#include "service/core/call_observer.h"
#include "service/core/observer.h"

namespace cloister::server {

// Ownership: the observers are not owned. Thread-safety: as the interface.
class ServiceObservers final : public core::ServiceObserver {
 public:
  explicit ServiceObservers(std::vector<core::ServiceObserver*> observers)
      : observers_(std::move(observers)) {}

  void OnPoolState(const std::string& pool, const core::PoolState& state) override {
    for (auto* o : observers_) o->OnPoolState(pool, state);
  }
  void OnLivePoolState(const std::string& pool, const core::PoolState& state) override {
    for (auto* o : observers_) o->OnLivePoolState(pool, state);
  }
  void OnAdmission(const std::string& pool, core::Admission decision) override {
    for (auto* o : observers_) o->OnAdmission(pool, decision);
  }
  void OnLeased(const std::string& pool, v1::StartKind start, absl::Duration waited) override {
    for (auto* o : observers_) o->OnLeased(pool, start, waited);
  }
  void OnLeaseFailed(const std::string& pool, core::LeaseFailure reason) override {
    for (auto* o : observers_) o->OnLeaseFailed(pool, reason);
  }
  void OnRecycled(const std::string& pool, core::RecycleReason reason) override {
    for (auto* o : observers_) o->OnRecycled(pool, reason);
  }
  void OnSandboxStarted(const std::string& pool, absl::Duration took) override {
    for (auto* o : observers_) o->OnSandboxStarted(pool, took);
  }
  void OnSandboxStartFailed(const std::string& pool, const absl::Status& why) override {
    for (auto* o : observers_) o->OnSandboxStartFailed(pool, why);
  }
  void OnSandboxGone(const std::string& pool, const sandbox::SandboxExit& exit) override {
    for (auto* o : observers_) o->OnSandboxGone(pool, exit);
  }
  void OnZygoteStarted(const std::string& pool, const sandbox::ZygoteInfo& info) override {
    for (auto* o : observers_) o->OnZygoteStarted(pool, info);
  }
  void OnZygoteStartFailed(const std::string& pool, const absl::Status& why) override {
    for (auto* o : observers_) o->OnZygoteStartFailed(pool, why);
  }
  void OnZygoteEnded(const std::string& pool, core::ZygoteEnd how,
                     const std::string& reason) override {
    for (auto* o : observers_) o->OnZygoteEnded(pool, how, reason);
  }
  void OnSpawnerLost(const std::string& reason) override {
    for (auto* o : observers_) o->OnSpawnerLost(reason);
  }
  void OnLiveState(v1::Sandbox::State from, v1::Sandbox::State to) override {
    for (auto* o : observers_) o->OnLiveState(from, to);
  }
  void OnLiveStarted(const std::string& sandbox, const std::string& pool, v1::StartKind start,
                     absl::Duration took) override {
    for (auto* o : observers_) o->OnLiveStarted(sandbox, pool, start, took);
  }
  void OnLiveSetupFailed(const std::string& sandbox, const absl::Status& why) override {
    for (auto* o : observers_) o->OnLiveSetupFailed(sandbox, why);
  }
  void OnLiveRestarted(const std::string& sandbox) override {
    for (auto* o : observers_) o->OnLiveRestarted(sandbox);
  }
  void OnLiveLost(const std::string& sandbox, v1::Outcome::Kind cause,
                  const std::string& detail) override {
    for (auto* o : observers_) o->OnLiveLost(sandbox, cause, detail);
  }
  void OnLiveEnded(const std::string& sandbox, core::LiveEnd how) override {
    for (auto* o : observers_) o->OnLiveEnded(sandbox, how);
  }
  void OnInterpreterState(v1::Interpreter::Profile profile, v1::Interpreter::State from,
                          v1::Interpreter::State to) override {
    for (auto* o : observers_) o->OnInterpreterState(profile, from, to);
  }
  void OnInterpreterStarted(const std::string& interpreter, v1::Interpreter::Profile profile,
                            absl::Duration took) override {
    for (auto* o : observers_) o->OnInterpreterStarted(interpreter, profile, took);
  }
  void OnInterpreterSetupFailed(const std::string& interpreter, const absl::Status& why) override {
    for (auto* o : observers_) o->OnInterpreterSetupFailed(interpreter, why);
  }
  void OnInterpreterLost(const std::string& interpreter, v1::Interpreter::Profile profile,
                         v1::Outcome::Kind cause, const std::string& detail) override {
    for (auto* o : observers_) o->OnInterpreterLost(interpreter, profile, cause, detail);
  }
  void OnInterpreterMemory(v1::Interpreter::Profile profile, int64_t change) override {
    for (auto* o : observers_) o->OnInterpreterMemory(profile, change);
  }
  void OnExecutionAccepted(core::ExecutionKind kind) override {
    for (auto* o : observers_) o->OnExecutionAccepted(kind);
  }
  void OnExecutionStarted(core::ExecutionKind kind, absl::Duration queued) override {
    for (auto* o : observers_) o->OnExecutionStarted(kind, queued);
  }
  void OnExecutionEnded(const core::ExecutionRecord& record) override {
    for (auto* o : observers_) o->OnExecutionEnded(record);
  }
  void OnInterrupted(core::InterruptResult result, absl::Duration took) override {
    for (auto* o : observers_) o->OnInterrupted(result, took);
  }
  void OnReplay(core::ReplayResult result) override {
    for (auto* o : observers_) o->OnReplay(result);
  }
  void OnReattach(core::ReattachResult result) override {
    for (auto* o : observers_) o->OnReattach(result);
  }
  void OnMessage(core::MessageDirection direction, size_t bytes) override {
    for (auto* o : observers_) o->OnMessage(direction, bytes);
  }
  void OnHostCall(core::HostCallResult result, absl::Duration took) override {
    for (auto* o : observers_) o->OnHostCall(result, took);
  }
  void OnClientConnected(int change) override {
    for (auto* o : observers_) o->OnClientConnected(change);
  }
  void OnStreamStalled() override {
    for (auto* o : observers_) o->OnStreamStalled();
  }
  void OnBufferedBytes(int64_t change) override {
    for (auto* o : observers_) o->OnBufferedBytes(change);
  }

 private:
  const std::vector<core::ServiceObserver*> observers_;
};

// As ServiceObservers.
class CallObservers final : public core::CallObserver {
 public:
  explicit CallObservers(std::vector<core::CallObserver*> observers)
      : observers_(std::move(observers)) {}

  void OnCallStarted(core::CallMethod method) override {
    for (auto* o : observers_) o->OnCallStarted(method);
  }
  void OnCallEnded(core::CallMethod method, const absl::Status& status,
                   absl::Duration took) override {
    for (auto* o : observers_) o->OnCallEnded(method, status, took);
  }
  void OnCallAudited(core::CallMethod method, const core::CallParties& parties,
                     const absl::Status& status, absl::Duration took) override {
    for (auto* o : observers_) o->OnCallAudited(method, parties, status, took);
  }
  void OnRequestBytes(int64_t change) override {
    for (auto* o : observers_) o->OnRequestBytes(change);
  }

 private:
  const std::vector<core::CallObserver*> observers_;
};

}  // namespace cloister::server

#endif  // CLOISTER_SERVICE_SERVER_OBSERVERS_H_
