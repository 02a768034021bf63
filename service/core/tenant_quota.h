// What one tenant may have of the server at once: beside the bounds that hold for all tenants
// together, which the managers of each keep as ever.

#ifndef CLOISTER_SERVICE_CORE_TENANT_QUOTA_H_
#define CLOISTER_SERVICE_CORE_TENANT_QUOTA_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace cloister::core {

// A count of something that several managers share; how many there are at once.
using SharedCount = std::shared_ptr<int>;

struct TenantLimits {
  // 0, of all: no bound of the tenant's own.
  int live_sandboxes = 0;
  int snapshots = 0;
  int executions = 0;
  int64_t memory_bytes = 0;
};

// Thread-safety: loop thread only. May be outlived by what it gave out.
class TenantQuota {
 public:
  // So much memory, until it is destroyed.
  class MemoryShare {
   public:
    MemoryShare() = default;
    MemoryShare(MemoryShare&& other) noexcept
        : total_(std::move(other.total_)), bytes_(std::exchange(other.bytes_, 0)) {}
    MemoryShare& operator=(MemoryShare&& other) noexcept {
      std::swap(total_, other.total_);
      std::swap(bytes_, other.bytes_);
      return *this;
    }
    ~MemoryShare() {
      if (total_ != nullptr) *total_ -= bytes_;
    }

   private:
    friend class TenantQuota;
    MemoryShare(std::shared_ptr<int64_t> total, int64_t bytes)
        : total_(std::move(total)), bytes_(bytes) {
      *total_ += bytes_;
    }

    std::shared_ptr<int64_t> total_;
    int64_t bytes_ = 0;
  };

  // Without bounds.
  TenantQuota() : TenantQuota("default", {}) {}
  TenantQuota(std::string tenant, const TenantLimits& limits)
      : tenant_(std::move(tenant)), limits_(limits) {}

  // Whether there may be `wanted` more beside `count`. Errors: SANDBOX_COUNT_EXCEEDED,
  // SNAPSHOT_COUNT_EXCEEDED, CONCURRENCY_EXCEEDED.
  absl::Status CheckSandboxes(int count, int wanted) const;
  absl::Status CheckSnapshots(int count) const;
  absl::Status CheckExecutions(int count) const;

  // Errors: TENANT_MEMORY_EXCEEDED.
  absl::StatusOr<MemoryShare> TakeMemory(int64_t bytes);
  // Of what is there already, whatever the bound.
  MemoryShare HoldMemory(int64_t bytes) { return MemoryShare(memory_, bytes); }

  int64_t memory_bytes() const { return *memory_; }
  const TenantLimits& limits() const { return limits_; }
  // From now on; what is there stays.
  void SetLimits(const TenantLimits& limits) { limits_ = limits; }

 private:
  // Without overflow: limits of requests have a bound, and so have sums of those that were
  // admitted.
  bool HasMemory(int64_t bytes) const {
    return limits_.memory_bytes == 0 || bytes <= limits_.memory_bytes - *memory_;
  }
  // "tenants/NAME/WHAT", for QuotaFailure.
  std::string Subject(const char* what) const;

  const std::string tenant_;
  TenantLimits limits_;
  const std::shared_ptr<int64_t> memory_ = std::make_shared<int64_t>(0);
};

}  // namespace cloister::core

#endif  // CLOISTER_SERVICE_CORE_TENANT_QUOTA_H_
