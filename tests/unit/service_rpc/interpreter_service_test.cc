// InterpreterService's calls that make, find and end interpreters, through a real gRPC server.

#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "gtest/gtest.h"
#include "tests/unit/service_rpc/test_server.h"

namespace cloister::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;

// The fields that a FIELD_INVALID names.
std::vector<std::string> FieldsIn(const grpc::Status& status) {
  google::rpc::Status details;
  details.ParseFromString(status.error_details());
  std::vector<std::string> fields;
  google::rpc::BadRequest bad;
  for (const auto& any : details.details()) {
    if (!any.UnpackTo(&bad)) continue;
    for (const auto& violation : bad.field_violations()) fields.push_back(violation.field());
  }
  return fields;
}

class InterpreterServiceTest : public ::testing::Test {
 protected:
  InterpreterServiceTest() {
    sandbox_ = server_.MakeSandbox();
    request_.set_sandbox(sandbox_);
    request_.set_interpreter_id("two");
  }

  grpc::Status Create(v1::Interpreter* made = nullptr) {
    grpc::ClientContext context;
    v1::CreateInterpreterResponse response;
    const grpc::Status status =
        server_.interpreters().CreateInterpreter(&context, request_, &response);
    if (made != nullptr) *made = response.interpreter();
    return status;
  }

  std::vector<std::string> List() {
    grpc::ClientContext context;
    v1::ListInterpretersRequest request;
    request.set_sandbox(sandbox_);
    v1::ListInterpretersResponse response;
    const grpc::Status status =
        server_.interpreters().ListInterpreters(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    std::vector<std::string> names;
    for (const auto& interpreter : response.interpreters()) names.push_back(interpreter.name());
    return names;
  }

  FakeSandbox* guest() {
    for (const auto& [id, sandbox] : server_.factory().live()) {
      if (sandbox->session().has_value()) return sandbox;
    }
    return nullptr;
  }

  TestServer server_{[](FakeSandbox& sandbox) { sandbox.Finish(); }};
  std::string sandbox_;
  v1::CreateInterpreterRequest request_;
};

TEST_F(InterpreterServiceTest, MakesFindsRestartsAndEndsThem) {
  v1::Interpreter made;
  request_.set_profile(v1::Interpreter::PROFILE_PROCESS);
  const grpc::Status created = Create(&made);
  ASSERT_TRUE(created.ok()) << created.error_message();
  EXPECT_EQ(made.name(), sandbox_ + "/interpreters/two");
  EXPECT_THAT(List(), ElementsAre(sandbox_ + "/interpreters/main", made.name()));
  {
    grpc::ClientContext context;
    v1::GetInterpreterRequest request;
    request.set_name(made.name());
    v1::GetInterpreterResponse response;
    ASSERT_TRUE(server_.interpreters().GetInterpreter(&context, request, &response).ok());
    EXPECT_EQ(response.interpreter().profile(), v1::Interpreter::PROFILE_PROCESS);
  }
  std::thread ends([this] {
    // One end for the restart, one for the deletion.
    for (int i = 0; i < 2; ++i) {
      EXPECT_TRUE(server_.WaitOnLoop([this] {
        const auto& interpreters = guest()->interpreters();
        return !interpreters.empty() && interpreters.front()->ending != nullptr;
      }));
      server_.OnLoop([this] {
        std::exchange(guest()->interpreters().front()->ending, nullptr)(absl::OkStatus());
      });
    }
  });
  {
    grpc::ClientContext context;
    v1::RestartInterpreterRequest request;
    request.set_name(made.name());
    v1::RestartInterpreterResponse response;
    const grpc::Status status =
        server_.interpreters().RestartInterpreter(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(response.interpreter().restart_count(), 1);
  }
  {
    grpc::ClientContext context;
    v1::DeleteInterpreterRequest request;
    request.set_name(made.name());
    v1::DeleteInterpreterResponse response;
    EXPECT_TRUE(server_.interpreters().DeleteInterpreter(&context, request, &response).ok());
  }
  ends.join();
  EXPECT_EQ(List().size(), 1u);
}

TEST_F(InterpreterServiceTest, NamesEveryFieldThatIsWrong) {
  request_.set_sandbox("");
  request_.set_interpreter_id("Not This");
  request_.set_profile(v1::Interpreter::PROFILE_MAIN);
  request_.add_imports("");
  request_.add_imports(std::string(257, 'x'));
  request_.add_imports(std::string("a\0b", 3));
  request_.add_imports(".relative");
  request_.set_memory_limit_bytes(-1);
  (*request_.mutable_environment())["A=B"] = "";
  request_.set_request_id(std::string(1000, 'x'));
  const grpc::Status status = Create();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(ReasonIn(status), "FIELD_INVALID");
  EXPECT_THAT(FieldsIn(status),
              UnorderedElementsAre("sandbox", "interpreter_id", "profile", "imports[0]",
                                   "imports[1]", "imports[2]", "imports[3]", "memory_limit_bytes",
                                   "memory_limit_bytes", "environment[\"A=B\"]", "request_id"));
}

TEST_F(InterpreterServiceTest, KeepsToTheBoundsOfTheProto) {
  request_.set_interpreter_id(std::string(64, 'a'));
  EXPECT_THAT(FieldsIn(Create()), ElementsAre("interpreter_id"));
  request_.set_interpreter_id("main");
  EXPECT_THAT(FieldsIn(Create()), ElementsAre("interpreter_id"));
  request_.set_interpreter_id("two");
  request_.set_profile(static_cast<v1::Interpreter::Profile>(99));
  EXPECT_THAT(FieldsIn(Create()), ElementsAre("profile"));
  request_.set_profile(v1::Interpreter::PROFILE_ISOLATED);
  request_.set_memory_limit_bytes((8 << 20) - 1);
  EXPECT_THAT(FieldsIn(Create()), ElementsAre("memory_limit_bytes"));
  request_.set_memory_limit_bytes(int64_t{1} << 50);
  EXPECT_THAT(FieldsIn(Create()), ElementsAre("memory_limit_bytes"));
  request_.set_memory_limit_bytes(8 << 20);
  request_.set_profile(v1::Interpreter::PROFILE_UNSPECIFIED);
  EXPECT_THAT(FieldsIn(Create()), ElementsAre("memory_limit_bytes")) << "ISOLATED only";
  request_.set_memory_limit_bytes(0);
  for (int i = 0; i < 65; ++i) request_.add_imports("json");
  EXPECT_THAT(FieldsIn(Create()), ElementsAre("imports"));
  request_.mutable_imports()->RemoveLast();
  request_.set_interpreter_id(std::string(63, 'a'));
  EXPECT_TRUE(Create().ok());
}

TEST_F(InterpreterServiceTest, EmptyAndEndlessNamesAreRefusedByEveryCall) {
  for (const std::string& name : {std::string(), std::string(10'000, 'x')}) {
    v1::GetInterpreterRequest get;
    v1::ListInterpretersRequest list;
    v1::RestartInterpreterRequest restart;
    v1::DeleteInterpreterRequest remove;
    get.set_name(name);
    list.set_sandbox(name);
    restart.set_name(name);
    remove.set_name(name);
    v1::GetInterpreterResponse got;
    v1::ListInterpretersResponse listed;
    v1::RestartInterpreterResponse restarted;
    v1::DeleteInterpreterResponse removed;
    grpc::ClientContext contexts[4];
    auto& stub = server_.interpreters();
    EXPECT_THAT(FieldsIn(stub.GetInterpreter(&contexts[0], get, &got)), ElementsAre("name"));
    EXPECT_THAT(FieldsIn(stub.ListInterpreters(&contexts[1], list, &listed)),
                ElementsAre("sandbox"));
    EXPECT_THAT(FieldsIn(stub.RestartInterpreter(&contexts[2], restart, &restarted)),
                ElementsAre("name"));
    EXPECT_THAT(FieldsIn(stub.DeleteInterpreter(&contexts[3], remove, &removed)),
                ElementsAre("name"));
  }
}

TEST_F(InterpreterServiceTest, CancellingACreationEndsWhatComesOfIt) {
  server_.OnLoop([this] { server_.factory().answer_interpreters = false; });
  grpc::ClientContext context;
  std::thread cancels([this, &context] {
    EXPECT_TRUE(server_.WaitOnLoop([this] { return guest()->pending_interpreters() == 1; }));
    context.TryCancel();
  });
  v1::CreateInterpreterResponse response;
  const grpc::Status status =
      server_.interpreters().CreateInterpreter(&context, request_, &response);
  cancels.join();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_TRUE(server_.calls().WaitUntilQuiet()) << "the server knows as well";
  EXPECT_TRUE(server_.WaitOnLoop([this] {
    if (guest()->pending_interpreters() > 0) guest()->AnswerInterpreter();
    return guest()->interpreters().empty();
  }));
  EXPECT_EQ(List().size(), 1u);
}

TEST_F(InterpreterServiceTest, TwoWhoMakeTheSameAreNotBothRight) {
  std::vector<grpc::Status> statuses(2);
  std::vector<std::thread> threads;
  for (grpc::Status& status : statuses) threads.emplace_back([&] { status = Create(); });
  for (std::thread& thread : threads) thread.join();
  EXPECT_NE(statuses[0].ok(), statuses[1].ok());
  const grpc::Status& refused = statuses[0].ok() ? statuses[1] : statuses[0];
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::ALREADY_EXISTS);
  EXPECT_EQ(ReasonIn(refused), "INTERPRETER_EXISTS");
}

}  // namespace
}  // namespace cloister::testing
