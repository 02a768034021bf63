// What each tenant may have at once, and how often it may call.

#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/tenant_test.h"

namespace cloister::testing {
namespace {

using ::testing::HasSubstr;

// The details of a refusal.
struct Refusal {
  std::string reason;
  std::string subject;
  bool has_retry_delay = false;
};
Refusal RefusalOf(const grpc::Status& status) {
  Refusal refusal{.reason = Reason(status)};
  google::rpc::Status details;
  details.ParseFromString(status.error_details());
  for (const auto& detail : details.details()) {
    google::rpc::QuotaFailure quota;
    google::rpc::RetryInfo retry;
    if (detail.UnpackTo(&quota)) refusal.subject = quota.violations(0).subject();
    refusal.has_retry_delay |= detail.UnpackTo(&retry);
  }
  return refusal;
}

class QuotaTest : public TenantTest {
 protected:
  static void SetUpTestSuite() {
    tokens_ = new TokensOnDisk();
    std::string text,
        config = absl::StrCat("authentication { token_file: '", tokens_->path(),
                              "' } templates { name: 'python3.14' } templates { "
                              "name: 'other' image: 'python3.14' pool { minimum_ready: 0 } } "
                              "queue { maximum_waiting: 8 } ");
    const std::pair<const char*, const char*> tenants[] = {
        {"live", "maximum_live_sandboxes: 2 maximum_snapshots: 1"},
        {"executions", "maximum_concurrent_executions: 1"},
        {"memory", "maximum_memory_bytes: 600000000"},
        {"rate", "requests_per_second: 0.01 burst: 3"},
        {"templates", "templates: 'other'"},
        {"free", ""}};
    for (const auto& [name, limits] : tenants) {
      absl::StrAppend(&config, "tenants { name: '", name, "' limits { ", limits, " } } ");
      absl::StrAppend(&text, TokensOnDisk::Entry(absl::StrCat(name, "-token"), name));
    }
    tokens_->Replace(text);
    server_ = new ServerProcess(config);
    ASSERT_TRUE(server_->WaitUntilReady().ok()) << server_->Log();
  }

  static grpc::Status Create(const std::string& tenant, std::string* name,
                             int64_t memory_bytes = 0) {
    v1::CreateSandboxRequest request;
    if (memory_bytes > 0) request.mutable_limits()->set_memory_bytes(memory_bytes);
    v1::CreateSandboxResponse response;
    const grpc::Status status =
        server_->sandboxes().CreateSandbox(As(tenant).get(), request, &response);
    *name = response.sandbox().name();
    return status;
  }
  static void Delete(const std::string& tenant, const std::string& name) {
    v1::DeleteSandboxRequest request;
    request.set_name(name);
    v1::DeleteSandboxResponse response;
    EXPECT_TRUE(server_->sandboxes().DeleteSandbox(As(tenant).get(), request, &response).ok());
  }
  static grpc::Status Run(const std::string& tenant, const v1::RunCodeRequest& request = {}) {
    v1::RunCodeResponse response;
    return server_->executions().RunCode(As(tenant).get(), request, &response);
  }
};

TEST_F(QuotaTest, LiveSandboxesAreBoundedForEachTenant) {
  std::string first, second, third;
  ASSERT_TRUE(Create("live", &first).ok());
  ASSERT_TRUE(Create("live", &second).ok());
  const Refusal refusal = RefusalOf(Create("live", &third));
  EXPECT_EQ(refusal.reason, "SANDBOX_COUNT_EXCEEDED");
  EXPECT_EQ(refusal.subject, "tenants/live/live_sandboxes");
  v1::ForkSandboxRequest fork;
  fork.set_name(first);
  v1::ForkSandboxResponse forked;
  EXPECT_EQ(Reason(server_->sandboxes().ForkSandbox(As("live").get(), fork, &forked)),
            "SANDBOX_COUNT_EXCEEDED");
  v1::GetInfoResponse info;
  ASSERT_TRUE(GetInfo({"Bearer live-token"}, &info).ok());
  EXPECT_EQ(info.live_sandboxes().maximum_count(), 2);
  EXPECT_EQ(info.live_sandboxes().count(), 2);
  // Others are not held up.
  std::string other;
  ASSERT_TRUE(Create("free", &other).ok());
  Delete("free", other);
  Delete("live", first);
  ASSERT_TRUE(Create("live", &third).ok());
  Delete("live", second);
  Delete("live", third);
}

TEST_F(QuotaTest, SnapshotsAreBoundedForEachTenant) {
  std::string sandbox;
  ASSERT_TRUE(Create("live", &sandbox).ok());
  v1::CreateSnapshotRequest request;
  request.set_sandbox(sandbox);
  v1::CreateSnapshotResponse response;
  ASSERT_TRUE(server_->sandboxes().CreateSnapshot(As("live").get(), request, &response).ok());
  v1::CreateSnapshotResponse second;
  const Refusal refusal =
      RefusalOf(server_->sandboxes().CreateSnapshot(As("live").get(), request, &second));
  EXPECT_EQ(refusal.reason, "SNAPSHOT_COUNT_EXCEEDED");
  EXPECT_EQ(refusal.subject, "tenants/live/snapshots");
  v1::DeleteSnapshotRequest end;
  end.set_name(response.snapshot().name());
  v1::DeleteSnapshotResponse ended;
  EXPECT_TRUE(server_->sandboxes().DeleteSnapshot(As("live").get(), end, &ended).ok());
  EXPECT_TRUE(server_->sandboxes().CreateSnapshot(As("live").get(), request, &second).ok());
  end.set_name(second.snapshot().name());
  EXPECT_TRUE(server_->sandboxes().DeleteSnapshot(As("live").get(), end, &ended).ok());
  Delete("live", sandbox);
}

TEST_F(QuotaTest, ExecutionsAtOnceAreBoundedForEachTenant) {
  v1::ExecuteRequest request;
  request.mutable_program()->set_code("import time\nprint(1, flush=True)\ntime.sleep(60)");
  request.mutable_limits()->mutable_wall_time()->set_seconds(100);
  const auto context = As("executions");
  const auto stream = server_->executions().Execute(context.get(), request);
  v1::ExecuteResponse event;
  std::string execution;
  while (stream->Read(&event) && !event.event().has_stdout()) {
    if (event.event().has_started()) execution = event.event().started().execution();
  }
  const Refusal refusal = RefusalOf(Run("executions"));
  EXPECT_EQ(refusal.reason, "CONCURRENCY_EXCEEDED");
  EXPECT_EQ(refusal.subject, "tenants/executions/executions");
  EXPECT_TRUE(refusal.has_retry_delay);
  EXPECT_TRUE(Run("free").ok());
  v1::InterruptExecutionRequest interrupt;
  interrupt.set_execution(execution);
  interrupt.mutable_grace();
  v1::InterruptExecutionResponse interrupted;
  EXPECT_TRUE(server_->executions()
                  .InterruptExecution(As("executions").get(), interrupt, &interrupted)
                  .ok());
  while (stream->Read(&event)) {
  }
  (void)stream->Finish();
  EXPECT_TRUE(Run("executions").ok());
  // A map has one after the other.
  v1::MapCodeRequest map;
  map.mutable_program()->set_code("1");
  map.set_concurrency(4);
  for (int i = 0; i < 6; ++i) map.add_inputs();
  const auto map_context = As("executions");
  const auto verdicts = server_->executions().MapCode(map_context.get(), map);
  int succeeded = 0;
  for (v1::MapCodeResponse verdict; verdicts->Read(&verdict);) {
    if (verdict.has_summary()) succeeded = verdict.summary().succeeded_count();
  }
  EXPECT_TRUE(verdicts->Finish().ok());
  EXPECT_EQ(succeeded, 6);
}

TEST_F(QuotaTest, MemoryIsBoundedByTheSumOfLimits) {
  std::string first, second;
  ASSERT_TRUE(Create("memory", &first, 400'000'000).ok());
  const Refusal refusal = RefusalOf(Create("memory", &second, 300'000'000));
  EXPECT_EQ(refusal.reason, "TENANT_MEMORY_EXCEEDED");
  EXPECT_EQ(refusal.subject, "tenants/memory/memory_bytes");
  v1::RunCodeRequest run;
  run.mutable_limits()->set_memory_bytes(300'000'000);
  EXPECT_EQ(Reason(Run("memory", run)), "TENANT_MEMORY_EXCEEDED");
  run.mutable_limits()->set_memory_bytes(100'000'000);
  EXPECT_TRUE(Run("memory", run).ok());
  v1::ForkSandboxRequest fork;
  fork.set_name(first);
  v1::ForkSandboxResponse forked;
  EXPECT_EQ(Reason(server_->sandboxes().ForkSandbox(As("memory").get(), fork, &forked)),
            "TENANT_MEMORY_EXCEEDED");
  Delete("memory", first);
  ASSERT_TRUE(Create("memory", &second, 500'000'000).ok());
  Delete("memory", second);
}

TEST_F(QuotaTest, CallsAreBoundedInTheirRate) {
  Refusal refusal;
  int admitted = 0;
  for (int i = 0; i < 5; ++i) {
    const grpc::Status status = GetInfo({"Bearer rate-token"});
    if (status.ok()) {
      ++admitted;
    } else {
      refusal = RefusalOf(status);
    }
  }
  EXPECT_EQ(admitted, 3);
  EXPECT_EQ(refusal.reason, "RATE_EXCEEDED");
  EXPECT_EQ(refusal.subject, "tenants/rate/requests_per_second");
  EXPECT_TRUE(refusal.has_retry_delay);
  EXPECT_TRUE(GetInfo({"Bearer free-token"}).ok());
}

TEST_F(QuotaTest, TemplatesThatATenantMayNotUseAreNotThere) {
  v1::GetInfoResponse info;
  ASSERT_TRUE(GetInfo({"Bearer templates-token"}, &info).ok());
  ASSERT_EQ(info.templates_size(), 1);
  EXPECT_EQ(info.templates(0).name(), "other");
  v1::RunCodeRequest request;
  request.set_template_("python3.14");
  const grpc::Status status = Run("templates", request);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(Reason(status), "TEMPLATE_UNKNOWN");
  EXPECT_THAT(status.error_message(), HasSubstr("this server has: other"));
  v1::CreateSandboxRequest create;
  create.set_template_("python3.14");
  v1::CreateSandboxResponse created;
  EXPECT_EQ(Reason(server_->sandboxes().CreateSandbox(As("templates").get(), create, &created)),
            "TEMPLATE_UNKNOWN");
  // Its default is the first it has.
  EXPECT_TRUE(Run("templates").ok());
  EXPECT_TRUE(Run("free", request).ok());
}

// One that fills the queue does not keep another out of it.
TEST_F(QuotaTest, ATenantThatFloodsTheQueueHoldsNobodyUp) {
  std::atomic<bool> stop = false;
  std::atomic<int> overloaded = 0;
  std::vector<std::thread> flood;
  v1::RunCodeRequest long_run;
  long_run.set_template_("other");
  long_run.mutable_program()->set_code("import time; time.sleep(0.05)");
  for (int i = 0; i < 48; ++i) {
    flood.emplace_back([&] {
      while (!stop) {
        if (Reason(Run("live", long_run)) == "OVERLOADED") ++overloaded;
      }
    });
  }
  while (overloaded == 0 && !::testing::Test::HasFailure()) std::this_thread::yield();
  for (int i = 0; i < 10; ++i) {
    const grpc::Status status = Run("free", long_run);
    EXPECT_TRUE(status.ok()) << status.error_message();
  }
  stop = true;
  for (std::thread& thread : flood) thread.join();
}

}  // namespace
}  // namespace cloister::testing
