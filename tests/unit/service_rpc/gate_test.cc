// No call of any service gets past the gate: every method there is, by its descriptor.

#include <grpcpp/generic/generic_stub.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "google/protobuf/descriptor.h"
#include "gtest/gtest.h"
#include "service/core/error.h"
#include "tests/unit/service_rpc/test_server.h"

namespace cloister::testing {
namespace {

std::vector<std::string> AllMethods() {
  std::vector<std::string> methods;
  const google::protobuf::FileDescriptor* files[] = {
      v1::RunCodeRequest::descriptor()->file(),
      v1::CreateSandboxRequest::descriptor()->file(),
      v1::ListInterpretersRequest::descriptor()->file(),
      v1::StatFileRequest::descriptor()->file(),
      v1::PostMessageRequest::descriptor()->file(),
      v1::GetInfoRequest::descriptor()->file()};
  for (const auto* file : files) {
    for (int i = 0; i < file->service_count(); ++i) {
      for (int j = 0; j < file->service(i)->method_count(); ++j) {
        methods.push_back(absl::StrCat("/", file->service(i)->full_name(), "/",
                                       file->service(i)->method(j)->name()));
      }
    }
  }
  return methods;
}

// Of a call with one empty message, whatever kind of call it is.
grpc::Status Call(const std::shared_ptr<grpc::Channel>& channel, const std::string& method) {
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
  grpc::CompletionQueue queue;
  const auto call = stub.PrepareCall(&context, method, &queue);
  void* tag = nullptr;
  bool ok = false;
  call->StartCall(nullptr);
  queue.Next(&tag, &ok);
  // A ByteBuffer without a slice is no message at all.
  const grpc::Slice empty;
  call->WriteLast(grpc::ByteBuffer(&empty, 1), grpc::WriteOptions(), nullptr);
  queue.Next(&tag, &ok);
  grpc::Status status;
  call->Finish(&status, nullptr);
  queue.Next(&tag, &ok);
  return status;
}

TEST(GateTest, StandsBeforeEveryMethod) {
  TestServer server([](FakeSandbox& sandbox) { sandbox.Finish(); });
  server.gate().Refuse(core::MakeError(v1::ERROR_REASON_CREDENTIALS_MISSING, "who are you?"));
  const std::vector<std::string> methods = AllMethods();
  EXPECT_EQ(methods.size(), core::kCallMethodNames.size());
  for (const std::string& method : methods) {
    const grpc::Status status = Call(server.NewChannel(), method);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAUTHENTICATED)
        << method << ": " << status.error_message();
    EXPECT_EQ(ReasonIn(status), "CREDENTIALS_MISSING") << method;
  }
  ASSERT_TRUE(server.calls().WaitUntilQuiet());
  EXPECT_THAT(server.calls().statuses(), ::testing::Each(absl::StatusCode::kUnauthenticated));
  EXPECT_EQ(server.calls().statuses().size(), methods.size());
}

TEST(GateTest, LetsInWhoIsAdmittedAgain) {
  TestServer server([](FakeSandbox& sandbox) { sandbox.Finish(); });
  server.gate().Refuse(core::MakeError(v1::ERROR_REASON_CREDENTIALS_MISSING, "who are you?"));
  grpc::ClientContext first, second;
  v1::GetInfoResponse response;
  EXPECT_FALSE(server.info().GetInfo(&first, {}, &response).ok());
  server.gate().Refuse(absl::OkStatus());
  EXPECT_TRUE(server.info().GetInfo(&second, {}, &response).ok());
}

}  // namespace
}  // namespace cloister::testing
