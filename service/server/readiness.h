// Whether the server takes new work, and why not where it does not: what health, the metrics and
// GetInfo all say.

#ifndef CLOISTER_SERVICE_SERVER_READINESS_H_
#define CLOISTER_SERVICE_SERVER_READINESS_H_

#include <functional>
#include <string>

#include "service/core/observer.h"

namespace cloister::server {

// Ready when the default template's pool is healthy (it made a sandbox, and the last attempt to
// make one did not fail), the spawner lives, and no drain has begun.
//
// Thread-safety: loop thread only.
class Readiness final : public core::ServiceObserver {
 public:
  // `on_change` is called whenever ready() changes; it begins with false.
  Readiness(std::string default_template, std::function<void(bool)> on_change)
      : default_template_(std::move(default_template)), on_change_(std::move(on_change)) {}

  // From now on never ready again.
  void BeginDrain() { Never("the server is about to stop"); }

  bool ready() const { return ready_; }
  // Empty where ready.
  const std::string& reason() const { return reason_; }

  // core::ServiceObserver
  void OnPoolState(const std::string& pool, const core::PoolState& state) override;
  void OnSpawnerLost(const std::string& reason) override { Never("spawner lost: " + reason); }

 private:
  void Never(std::string reason);
  void Set(bool ready, std::string reason);

  const std::string default_template_;
  const std::function<void(bool)> on_change_;
  bool ready_ = false;
  bool never_ = false;
  std::string reason_ = "the first sandbox is being made";
};

}  // namespace cloister::server

#endif  // CLOISTER_SERVICE_SERVER_READINESS_H_
