// The commands of `cloister interp`, against a service that answers as the test says.

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "clients/cli/commands/commands.h"
#include "cloister/client/channel.h"
#include "gmock/gmock.h"
#include "grpcpp/security/server_credentials.h"
#include "grpcpp/server_builder.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/unit/clients_cli/fake_execution_service.h"

namespace cloister::cli {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

constexpr char kName[] = "sandboxes/s/interpreters/worker";

v1::Interpreter Worker() {
  v1::Interpreter interpreter;
  interpreter.set_name(kName);
  interpreter.set_profile(v1::Interpreter::PROFILE_SHARED_GIL);
  interpreter.set_profile_reason("because the test says so");
  interpreter.set_state(v1::Interpreter::STATE_READY);
  interpreter.set_execution_count(3);
  interpreter.set_memory_bytes(3 << 20);
  interpreter.set_peak_memory_bytes(5 << 20);
  interpreter.set_memory_limit_bytes(64 << 20);
  return interpreter;
}

// Thread-safety: safe; what it answers is set before it is asked.
class FakeInterpreterService final : public v1::InterpreterService::Service {
 public:
  grpc::Status answer;
  std::map<std::string, grpc::Status> delete_answers;  // by name; others are OK
  std::vector<std::string> lost;                       // with each that is deleted

  v1::CreateInterpreterRequest created() const {
    absl::MutexLock lock(&mutex_);
    return created_;
  }
  std::vector<std::string> named() const {
    absl::MutexLock lock(&mutex_);
    return named_;
  }

 private:
  grpc::Status CreateInterpreter(grpc::ServerContext*, const v1::CreateInterpreterRequest* request,
                                 v1::CreateInterpreterResponse* response) override {
    absl::MutexLock lock(&mutex_);
    created_ = *request;
    *response->mutable_interpreter() = Worker();
    return answer;
  }
  grpc::Status GetInterpreter(grpc::ServerContext*, const v1::GetInterpreterRequest* request,
                              v1::GetInterpreterResponse* response) override {
    *response->mutable_interpreter() = Worker();
    return Note(request->name());
  }
  grpc::Status ListInterpreters(grpc::ServerContext*, const v1::ListInterpretersRequest* request,
                                v1::ListInterpretersResponse* response) override {
    v1::Interpreter& main = *response->add_interpreters();
    main.set_name("sandboxes/s/interpreters/main");
    main.set_profile(v1::Interpreter::PROFILE_MAIN);
    main.set_state(v1::Interpreter::STATE_BUSY);
    v1::Interpreter& worker = *response->add_interpreters();
    worker = Worker();
    worker.set_state(v1::Interpreter::STATE_LOST);
    worker.mutable_loss()->set_cause(v1::Outcome::KIND_SIGNALED);
    worker.mutable_loss()->set_detail("the process was ended by SIGABRT");
    return Note(request->sandbox());
  }
  grpc::Status RestartInterpreter(grpc::ServerContext*,
                                  const v1::RestartInterpreterRequest* request,
                                  v1::RestartInterpreterResponse*) override {
    return Note(request->name());
  }
  grpc::Status DeleteInterpreter(grpc::ServerContext*, const v1::DeleteInterpreterRequest* request,
                                 v1::DeleteInterpreterResponse* response) override {
    response->mutable_lost_interpreters()->Add(lost.begin(), lost.end());
    (void)Note(request->name());
    const auto found = delete_answers.find(request->name());
    return found == delete_answers.end() ? grpc::Status::OK : found->second;
  }
  grpc::Status Note(const std::string& name) {
    absl::MutexLock lock(&mutex_);
    named_.push_back(name);
    return answer;
  }

  mutable absl::Mutex mutex_;
  v1::CreateInterpreterRequest created_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> named_ ABSL_GUARDED_BY(mutex_);
};

class InterpreterCommandsTest : public testing::Test {
 protected:
  InterpreterCommandsTest() {
    directory_ = std::filesystem::temp_directory_path() / "cloister-test-XXXXXX";
    if (::mkdtemp(directory_.data()) == nullptr) ::abort();
    const std::string address = "unix:" + directory_ + "/sock";
    grpc::ServerBuilder builder;
    builder.AddListeningPort(address, grpc::InsecureServerCredentials());
    builder.RegisterService(&service_);
    grpc_server_ = builder.BuildAndStart();
    stub_ = v1::InterpreterService::NewStub(client::CreateChannel(address));
    server_.address = address;
    server_.interpreters = stub_.get();
    options_.sandbox = "sandboxes/s";
  }
  ~InterpreterCommandsTest() override {
    grpc_server_->Shutdown(std::chrono::system_clock::now());
    grpc_server_->Wait();
    std::filesystem::remove_all(directory_);
    ::close(out_);
    ::close(err_);
  }

  int Create() { return CreateInterpreter(server_, options_, fds()); }
  OutputFds fds() const { return {out_, err_}; }
  std::string Out() const { return TextOf(out_); }
  std::string Err() const { return TextOf(err_); }

  static std::string TextOf(int fd) {
    std::string text(static_cast<size_t>(::lseek(fd, 0, SEEK_END)), '\0');
    EXPECT_EQ(::pread(fd, text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
    return text;
  }

  FakeInterpreterService service_;
  Server server_;
  CreateInterpreterOptions options_;

 private:
  std::string directory_;
  std::unique_ptr<grpc::Server> grpc_server_;
  std::unique_ptr<v1::InterpreterService::Stub> stub_;
  const int out_ = ::memfd_create("out", MFD_CLOEXEC);
  const int err_ = ::memfd_create("err", MFD_CLOEXEC);
};

TEST_F(InterpreterCommandsTest, CreatePrintsTheName) {
  EXPECT_EQ(Create(), 0);
  EXPECT_EQ(Out(), std::string(kName) + "\n");
  EXPECT_EQ(Err(), "");
  EXPECT_EQ(service_.created().sandbox(), "sandboxes/s");
  EXPECT_EQ(service_.created().profile(), v1::Interpreter::PROFILE_UNSPECIFIED);
  EXPECT_EQ(service_.created().memory_limit_bytes(), 0);
  EXPECT_EQ(service_.created().imports_size(), 0);
}

TEST_F(InterpreterCommandsTest, CreateSendsWhatWasAskedFor) {
  options_.id = "worker";
  options_.profile = "shared_gil";
  options_.imports = {"json", "re"};
  options_.memory = "64M";
  options_.program.environment = {"A=b=c"};
  options_.program.request_id = "once";
  options_.json = true;
  EXPECT_EQ(Create(), 0);
  const v1::CreateInterpreterRequest request = service_.created();
  EXPECT_EQ(request.interpreter_id(), "worker");
  EXPECT_EQ(request.profile(), v1::Interpreter::PROFILE_SHARED_GIL);
  EXPECT_THAT(request.imports(), ElementsAre("json", "re"));
  EXPECT_EQ(request.memory_limit_bytes(), 64 << 20);
  EXPECT_EQ(request.environment().at("A"), "b=c");
  EXPECT_EQ(request.request_id(), "once");
  EXPECT_EQ(nlohmann::json::parse(Out())["name"], kName);
}

TEST_F(InterpreterCommandsTest, CreateRefusesWhatMeansNothing) {
  options_.memory = "lots";
  EXPECT_EQ(Create(), 2);
  EXPECT_THAT(Err(), HasSubstr("--memory"));
  options_.memory.clear();
  options_.profile = "main_street";
  EXPECT_EQ(Create(), 2);
  EXPECT_THAT(Err(), HasSubstr("there is no main_street"));
  EXPECT_EQ(service_.created().sandbox(), "") << "nothing was asked of the server";
}

// A user's error: another profile, another module.
TEST_F(InterpreterCommandsTest, CreateTellsWhatTheServerCannotMake) {
  for (const char* reason : {"PROFILE_UNSUPPORTED", "IMPORT_FAILED"}) {
    service_.answer = StatusWithDetails(grpc::StatusCode::FAILED_PRECONDITION,
                                        std::string("why: ") + reason, reason);
    EXPECT_EQ(Create(), 2);
    EXPECT_THAT(Err(), AllOf(HasSubstr("why: "), HasSubstr(reason)));
  }
  service_.answer = grpc::Status(grpc::StatusCode::UNAVAILABLE, "gone");
  EXPECT_EQ(Create(), 69);
  EXPECT_EQ(Out(), "");
}

TEST_F(InterpreterCommandsTest, ListHasALineForEach) {
  EXPECT_EQ(ListInterpreters(server_, "sandboxes/s", /*json=*/false, fds()), 0);
  const std::string text = Out();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2);
  EXPECT_THAT(text, AllOf(HasSubstr("interpreters/main    main        busy"), HasSubstr(kName),
                          HasSubstr("shared_gil"), HasSubstr("lost"), HasSubstr("SIGABRT"),
                          HasSubstr("3 executions"), HasSubstr("3 MiB")));
  EXPECT_THAT(service_.named(), ElementsAre("sandboxes/s"));
}

TEST_F(InterpreterCommandsTest, ListIsTheResponseAsJson) {
  EXPECT_EQ(ListInterpreters(server_, "sandboxes/s", /*json=*/true, fds()), 0);
  EXPECT_EQ(nlohmann::json::parse(Out())["interpreters"].size(), 2u);
}

TEST_F(InterpreterCommandsTest, ShowTellsAll) {
  EXPECT_EQ(ShowInterpreter(server_, kName, /*json=*/false, fds()), 0);
  EXPECT_THAT(
      Out(), AllOf(HasSubstr("shared_gil"), HasSubstr("because the test says so"),
                   HasSubstr("64 MiB"), HasSubstr("3 MiB, at most 5 MiB"), Not(HasSubstr("lost"))));
  service_.answer = StatusWithDetails(grpc::StatusCode::NOT_FOUND, "no such interpreter",
                                      "INTERPRETER_NOT_FOUND");
  EXPECT_EQ(ShowInterpreter(server_, kName, /*json=*/false, fds()), 2);
  EXPECT_THAT(Err(), HasSubstr("INTERPRETER_NOT_FOUND"));
}

TEST_F(InterpreterCommandsTest, RestartNamesIt) {
  EXPECT_EQ(RestartInterpreter(server_, kName, fds()), 0);
  EXPECT_THAT(service_.named(), ElementsAre(kName));
  EXPECT_EQ(Out() + Err(), "");
}

TEST_F(InterpreterCommandsTest, RemoveGoesOnAfterOneThatFailed) {
  service_.delete_answers["a"] =
      StatusWithDetails(grpc::StatusCode::NOT_FOUND, "no a", "INTERPRETER_NOT_FOUND");
  EXPECT_EQ(RemoveInterpreters(server_, {"a", "b"}, fds()), 2);
  EXPECT_THAT(service_.named(), ElementsAre("a", "b"));
  EXPECT_THAT(Err(), HasSubstr("no a"));
}

TEST_F(InterpreterCommandsTest, RemoveTellsWhatWasLostWithIt) {
  service_.lost = {"sandboxes/s/interpreters/other"};
  EXPECT_EQ(RemoveInterpreters(server_, {kName}, fds()), 0);
  EXPECT_THAT(Err(), AllOf(HasSubstr("was killed"), HasSubstr("interpreters/other")));
}

}  // namespace
}  // namespace cloister::cli
