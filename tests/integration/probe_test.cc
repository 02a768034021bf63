// Every hostile program against one real server with all layers: the exact outcome, no escape, and
// a service that is as healthy afterwards as before.

#include "tests/integration/probe.h"

#include <grpcpp/grpcpp.h>

#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "tests/integration/server_process.h"

namespace cloister::testing {
namespace {

class ProbeTest : public ::testing::TestWithParam<Probe> {
 protected:
  static void SetUpTestSuite() {
    server_ = new ServerProcess();
    ASSERT_TRUE(server_->WaitUntilReady().ok()) << server_->Log();
  }

  static void TearDownTestSuite() {
    delete server_;
    server_ = nullptr;
  }

  static grpc::Status Run(const std::string& code, const v1::Limits& limits,
                          v1::RunCodeResponse* response) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    v1::RunCodeRequest request;
    request.mutable_program()->set_code(code);
    *request.mutable_limits() = limits;
    return server_->executions().RunCode(&context, request, response);
  }

  static ServerProcess* server_;
};

ServerProcess* ProbeTest::server_ = nullptr;

TEST_P(ProbeTest, EndsAsItMustAndLeavesTheServiceHealthy) {
  const Probe& probe = GetParam();
  v1::RunCodeResponse response;
  const grpc::Status status = Run(probe.code, probe.limits, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(Describe(response.outcome()), Expected(probe))
      << response.outcome().detail() << "\nstdout: " << response.stdout().substr(0, 2000)
      << "\nstderr: " << response.stderr().substr(0, 2000);
  EXPECT_FALSE(absl::StrContains(response.stdout(), "ESCAPED")) << response.stdout();
  if (probe.stdout_text) EXPECT_EQ(response.stdout(), *probe.stdout_text);

  v1::RunCodeResponse next;
  const grpc::Status healthy = Run("print(6 * 7)", {}, &next);
  ASSERT_TRUE(healthy.ok()) << healthy.error_message();
  EXPECT_EQ(next.stdout(), "42\n");
}

INSTANTIATE_TEST_SUITE_P(AllLayers, ProbeTest, ::testing::ValuesIn(LoadProbes(CLOISTER_PROBES)),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace cloister::testing
