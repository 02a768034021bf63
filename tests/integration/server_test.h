// One real server for all tests of a program, and the calls they share.

#ifndef CLOISTER_TESTS_INTEGRATION_SERVER_TEST_H_
#define CLOISTER_TESTS_INTEGRATION_SERVER_TEST_H_

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "gtest/gtest.h"
#include "tests/integration/probe.h"
#include "tests/integration/server_process.h"

namespace cloister::testing {

// The reason in the status' ErrorInfo; empty where there is none.
inline std::string Reason(const grpc::Status& status) {
  google::rpc::Status details;
  if (!details.ParseFromString(status.error_details())) return "";
  for (const auto& detail : details.details()) {
    google::rpc::ErrorInfo info;
    if (detail.UnpackTo(&info)) return info.reason();
  }
  return "";
}

class ServerTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    server_ = new ServerProcess();
    ASSERT_TRUE(server_->WaitUntilReady().ok()) << server_->Log();
  }

  static void TearDownTestSuite() {
    delete server_;
    server_ = nullptr;
  }

  static std::unique_ptr<grpc::ClientContext> Context() {
    auto context = std::make_unique<grpc::ClientContext>();
    context->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    return context;
  }

  grpc::Status TryRun(const v1::RunCodeRequest& request, v1::RunCodeResponse* response) {
    return server_->executions().RunCode(Context().get(), request, response);
  }

  v1::RunCodeResponse Run(const v1::RunCodeRequest& request) {
    v1::RunCodeResponse response;
    const grpc::Status status = TryRun(request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }

  v1::RunCodeResponse RunText(const std::string& code) {
    v1::RunCodeRequest request;
    request.mutable_program()->set_code(code);
    return Run(request);
  }

  static inline ServerProcess* server_ = nullptr;
};

}  // namespace cloister::testing

#endif  // CLOISTER_TESTS_INTEGRATION_SERVER_TEST_H_
