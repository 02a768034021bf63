// Finds executions by name and by request_id, and keeps ended ones for a while.

#ifndef CLOISTER_SERVICE_CORE_EXECUTION_REGISTRY_H_
#define CLOISTER_SERVICE_CORE_EXECUTION_REGISTRY_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <unordered_map>

#include "absl/time/time.h"
#include "sandbox/base/loop.h"
#include "service/core/execution.h"

namespace cloister::core {

// Bounds on ended executions; whichever is reached first, the oldest goes.
struct RetentionOptions {
  absl::Duration time = absl::Seconds(60);
  size_t count = 4096;
  int64_t bytes = int64_t{64} << 20;
};

// Thread-safety: loop thread only. Ownership: shares the executions it knows.
class ExecutionRegistry {
 public:
  ExecutionRegistry(sandbox::Loop* loop, RetentionOptions options);
  ~ExecutionRegistry();
  ExecutionRegistry(const ExecutionRegistry&) = delete;
  ExecutionRegistry& operator=(const ExecutionRegistry&) = delete;

  void Add(std::shared_ptr<Execution> execution);
  // Forgets it now.
  void Remove(const Execution& execution);
  // It has ended: forget it once the bounds say so.
  void Retire(const Execution& execution);

  // Null where there is none.
  std::shared_ptr<Execution> FindByName(const std::string& name) const;
  std::shared_ptr<Execution> FindByRequestId(const std::string& request_id) const;

  size_t size() const { return by_name_.size(); }

 private:
  struct Retired {
    std::shared_ptr<Execution> execution;
    absl::Time expiry;
    int64_t bytes;
  };

  void DropOldest();
  void Expire();
  void ScheduleExpiry();

  sandbox::Loop* const loop_;
  const RetentionOptions options_;
  std::unordered_map<std::string, std::shared_ptr<Execution>> by_name_;
  std::unordered_map<std::string, std::shared_ptr<Execution>> by_request_id_;
  std::deque<Retired> retired_;  // oldest first
  int64_t retired_bytes_ = 0;
  sandbox::Loop::TimerId expiry_timer_ = 0;
};

}  // namespace cloister::core

#endif  // CLOISTER_SERVICE_CORE_EXECUTION_REGISTRY_H_
