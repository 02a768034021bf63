#include "service/core/tenant_quota.h"

#include <string>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "service/core/error.h"

namespace cloister::core {
namespace {

TEST(TenantQuotaTest, WithoutBoundsThereAreNone) {
  TenantQuota quota;
  EXPECT_TRUE(quota.CheckSandboxes(1'000'000, 1).ok());
  EXPECT_TRUE(quota.CheckSnapshots(1'000'000).ok());
  EXPECT_TRUE(quota.CheckExecutions(1'000'000).ok());
  EXPECT_TRUE(quota.TakeMemory(int64_t{1} << 50).ok());
}

TEST(TenantQuotaTest, EachBoundHasItsReason) {
  const TenantQuota quota("one", {.live_sandboxes = 2, .snapshots = 1, .executions = 3});
  EXPECT_TRUE(quota.CheckSandboxes(1, 1).ok());
  EXPECT_EQ(ReasonOf(quota.CheckSandboxes(1, 2)), v1::ERROR_REASON_SANDBOX_COUNT_EXCEEDED);
  EXPECT_TRUE(quota.CheckSnapshots(0).ok());
  EXPECT_EQ(ReasonOf(quota.CheckSnapshots(1)), v1::ERROR_REASON_SNAPSHOT_COUNT_EXCEEDED);
  EXPECT_TRUE(quota.CheckExecutions(2).ok());
  const absl::Status error = quota.CheckExecutions(3);
  EXPECT_EQ(ReasonOf(error), v1::ERROR_REASON_CONCURRENCY_EXCEEDED);
  EXPECT_TRUE(RetryDelayOf(error).has_value());
  EXPECT_EQ(MetadataOf(error, "maximum"), "3");
}

TEST(TenantQuotaTest, MemoryIsGivenBackOnce) {
  TenantQuota quota("one", {.memory_bytes = 100});
  auto first = quota.TakeMemory(60);
  ASSERT_TRUE(first.ok());
  const auto refused = quota.TakeMemory(41);
  EXPECT_EQ(ReasonOf(refused.status()), v1::ERROR_REASON_TENANT_MEMORY_EXCEEDED);
  EXPECT_EQ(MetadataOf(refused.status(), "maximum"), "100");
  EXPECT_EQ(quota.memory_bytes(), 60);
  {
    const TenantQuota::MemoryShare moved = *std::move(first);
    EXPECT_TRUE(quota.TakeMemory(40).ok());
    EXPECT_EQ(quota.memory_bytes(), 60);
  }
  EXPECT_EQ(quota.memory_bytes(), 0);
  // What is there already counts, whatever the bound.
  TenantQuota::MemoryShare held = quota.HoldMemory(200);
  EXPECT_FALSE(quota.TakeMemory(1).ok());
  held = {};
  EXPECT_EQ(quota.memory_bytes(), 0);
}

}  // namespace
}  // namespace cloister::core
