// Files of live sandboxes against a real server.

#include "tests/integration/files_test.h"

#include <signal.h>

#include <fstream>
#include <thread>

#include "gmock/gmock.h"

namespace cloister::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr size_t kMiB = size_t{1} << 20;

TEST_F(FilesTest, WrittenFilesAreThePrograms) {
  const std::string sandbox = Create().name();
  const std::string data = std::string(3 * kMiB, 'x') + "end";
  v1::WriteFileRequest first;
  first.set_executable(true);
  first.set_make_parents(true);
  ASSERT_TRUE(Put(sandbox, "in/data", data, first).ok());
  EXPECT_EQ(Value(sandbox, "d = open('in/data').read(); (len(d), d[-3:])"), "(3145731, 'end')");
  (void)Cell(sandbox, "open('out', 'w').write('result')");
  EXPECT_EQ(Read(sandbox, "out"), "result");
  EXPECT_EQ(Read(sandbox, "in/data"), data);
  v1::FileInfo info;
  ASSERT_TRUE(Stat(sandbox, "in/data", &info).ok());
  EXPECT_EQ(info.kind(), v1::FileInfo::KIND_FILE);
  EXPECT_EQ(info.size_bytes(), static_cast<int64_t>(data.size()));
  EXPECT_TRUE(info.executable());
  EXPECT_GT(info.modify_time().seconds(), 1'000'000'000);
  std::string part;
  ASSERT_TRUE(TryGet(sandbox, "in/data", &part, static_cast<int64_t>(3 * kMiB), 2).ok());
  EXPECT_EQ(part, "en");
  ASSERT_TRUE(TryGet(sandbox, "in/data", &part, INT64_MAX).ok());
  EXPECT_EQ(part, "");
  EXPECT_THAT(List(sandbox, "", true), ElementsAre("in", "in/data", "out"));
}

TEST_F(FilesTest, WorksWhileCodeRuns) {
  const std::string sandbox = Create().name();
  RunningCell cell(server_->executions(), sandbox,
                   "import os, time\nprint('begun', flush=True)\n"
                   "while not os.path.exists('go'): pass\nprint(open('go').read(), flush=True)");
  cell.AwaitOutput("begun");
  ASSERT_TRUE(Put(sandbox, "go", "whole").ok());
  cell.AwaitOutput("whole");
}

TEST_F(FilesTest, ProgramsSeeOldOrNewNeverHalf) {
  const std::string sandbox = Create().name();
  ASSERT_TRUE(Put(sandbox, "f", std::string(kMiB, '0')).ok());
  RunningCell cell(server_->executions(), sandbox,
                   "import os\nprint('begun', flush=True)\nseen = set()\n"
                   "while not os.path.exists('stop'):\n"
                   "  d = open('f').read()\n"
                   "  seen.add((len(d), len(set(d))))\n"
                   "print(sorted(seen), sorted(os.listdir()), flush=True)");
  cell.AwaitOutput("begun");
  for (int i = 0; i < 40; ++i) {
    auto writing = Begin(sandbox, "f", std::string(kMiB / 2, static_cast<char>('1' + i % 9)));
    v1::WriteFileRequest rest;
    rest.set_data(std::string(kMiB / 2, static_cast<char>('1' + i % 9)));
    writing->writer->Write(rest);
    ASSERT_TRUE(Complete(*writing).ok());
  }
  ASSERT_TRUE(Put(sandbox, "stop", "").ok());
  cell.AwaitOutput("[(1048576, 1)] ['f', 'stop']");
}

TEST_F(FilesTest, StreamsThatBreakLeaveNothing) {
  const std::string sandbox = Create().name();
  auto cancelled = Begin(sandbox, "a/cancelled", std::string(kMiB, 'x'));
  cancelled->context.TryCancel();
  EXPECT_EQ(cancelled->writer->Finish().error_code(), grpc::StatusCode::CANCELLED);
  auto incomplete = Begin(sandbox, "incomplete", std::string(kMiB, 'x'));
  incomplete->writer->WritesDone();
  EXPECT_EQ(Reason(incomplete->writer->Finish()), "FIELD_INVALID");
  Writing late;
  late.context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(300));
  late.writer = files_->WriteFile(&late.context, &late.response);
  v1::WriteFileRequest request;
  request.set_sandbox(sandbox);
  request.set_path("late");
  request.set_data("x");
  late.writer->Write(request);
  EXPECT_EQ(late.writer->Finish().error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  {
    // A connection that goes away.
    auto channel =
        grpc::CreateCustomChannel(server_->address(), grpc::InsecureChannelCredentials(), [] {
          grpc::ChannelArguments arguments;
          arguments.SetInt("grpc.use_local_subchannel_pool", 1);
          return arguments;
        }());
    const auto stub = v1::FileService::NewStub(channel);
    grpc::ClientContext context;
    v1::WriteFileResponse response;
    const auto writer = stub->WriteFile(&context, &response);
    request.set_path("gone");
    writer->Write(request);
    context.TryCancel();
    (void)writer->Finish();
  }
  const std::vector<std::string> left = List(sandbox, "", true);
  EXPECT_TRUE(left.empty() || left == std::vector<std::string>{"a"});  // a parent may stay
  // All streams of the sandbox are free again, each with its file.
  std::vector<std::unique_ptr<Writing>> writings;
  for (int i = 0; i < 8; ++i) writings.push_back(Begin(sandbox, "f" + std::to_string(i), "1"));
  for (auto& writing : writings) EXPECT_TRUE(Complete(*writing).ok());
}

TEST_F(FilesTest, LimitsOfTheSandboxHold) {
  v1::CreateSandboxRequest create;
  create.mutable_limits()->set_workspace_bytes(8 << 20);
  create.mutable_limits()->set_file_bytes(6 << 20);
  const std::string sandbox = Create(create).name();
  grpc::Status status = Put(sandbox, "large", std::string(200 * kMiB, 'x'));
  EXPECT_EQ(Reason(status), "WORKSPACE_FULL") << status.error_message();
  EXPECT_THAT(status.error_message(), HasSubstr("file_bytes"));
  EXPECT_THAT(List(sandbox, ""), IsEmpty());
  ASSERT_TRUE(Put(sandbox, "one", std::string(5 * kMiB, 'x')).ok());
  status = Put(sandbox, "two", std::string(5 * kMiB, 'x'));
  EXPECT_EQ(Reason(status), "WORKSPACE_FULL");
  EXPECT_THAT(status.error_message(), HasSubstr("workspace_bytes"));
  ASSERT_TRUE(Remove(sandbox, "one").ok());
  EXPECT_TRUE(Put(sandbox, "two", std::string(5 * kMiB, 'x')).ok());
  // The program's files count as well.
  EXPECT_EQ(Value(sandbox, "open('three', 'w').write('y' * (2 << 20))"), "2097152");
  EXPECT_EQ(Reason(Put(sandbox, "four", std::string(2 * kMiB, 'x'))), "WORKSPACE_FULL");
}

TEST_F(FilesTest, LargeFilesFitWhereTheLimitsSaySo) {
  v1::CreateSandboxRequest create;
  create.mutable_limits()->set_workspace_bytes(220 << 20);
  create.mutable_limits()->set_file_bytes(220 << 20);
  create.mutable_limits()->set_memory_bytes(512 << 20);
  const std::string sandbox = Create(create).name();
  std::string data(200 * kMiB, '\0');
  for (size_t i = 0; i < data.size(); i += 4096) data[i] = static_cast<char>(i >> 12);
  ASSERT_TRUE(Put(sandbox, "large", data).ok());
  EXPECT_TRUE(Read(sandbox, "large") == data);
}

TEST_F(FilesTest, SandboxesThatAreNotThere) {
  EXPECT_EQ(StatReason("sandboxes/nobody", "x"), "SANDBOX_NOT_FOUND");
  EXPECT_EQ(Reason(Put("sandboxes/nobody", "x", "x")), "SANDBOX_NOT_FOUND");
  const std::string lost = Create().name();
  (void)Cell(lost, "import os; os._exit(3)");
  EXPECT_EQ(StatReason(lost, "x"), "SANDBOX_LOST");
  EXPECT_EQ(Reason(Put(lost, "x", "x")), "SANDBOX_LOST");
  (void)Restart(lost);
  EXPECT_TRUE(Put(lost, "x", "x").ok());
  EXPECT_EQ(Read(lost, "x"), "x");

  v1::CreateSandboxRequest create;
  *create.mutable_ttl() = Milliseconds(300);
  const std::string expired = Create(create).name();
  auto writing = Begin(expired, "x", "x");
  v1::Sandbox last;
  while (Get(expired, &last).ok()) std::this_thread::yield();
  EXPECT_EQ(Reason(Complete(*writing)), "SANDBOX_EXPIRED");
  EXPECT_EQ(StatReason(expired, "x"), "SANDBOX_EXPIRED");

  const std::string deleted = Create().name();
  writing = Begin(deleted, "x", "x");
  EXPECT_TRUE(Delete(deleted).ok());
  EXPECT_EQ(Reason(Complete(*writing)), "SANDBOX_NOT_FOUND");
}

TEST_F(FilesTest, KilledProcessCostsItsStreamsAndNothingElse) {
  const std::string sandbox = Create().name();
  (void)Cell(sandbox, "x = 5");
  ASSERT_TRUE(Put(sandbox, "f", "kept").ok());
  auto writing = Begin(sandbox, "f", "half");
  v1::FileInfo info;
  ASSERT_TRUE(Stat(sandbox, "f", &info).ok());
  const std::vector<pid_t> processes = FileProcesses();
  ASSERT_EQ(processes.size(), 1u);
  ASSERT_EQ(kill(processes[0], SIGKILL), 0);
  EXPECT_THAT(WaitUntilGone(processes), IsEmpty());
  EXPECT_EQ(Reason(Complete(*writing)), "FILES_INTERRUPTED");
  EXPECT_EQ(Read(sandbox, "f"), "kept");
  EXPECT_THAT(List(sandbox, ""), ElementsAre("f"));
  EXPECT_EQ(Value(sandbox, "x"), "5");
}

TEST_F(FilesTest, StoppedProcessIsReplaced) {
  const std::string sandbox = Create().name();
  ASSERT_TRUE(Put(sandbox, "f", "1").ok());
  const std::vector<pid_t> processes = FileProcesses();
  ASSERT_EQ(processes.size(), 1u);
  ASSERT_EQ(kill(processes[0], SIGSTOP), 0);
  EXPECT_EQ(StatReason(sandbox, "f"), "FILES_INTERRUPTED");
  EXPECT_THAT(WaitUntilGone(processes), IsEmpty());
  EXPECT_EQ(Read(sandbox, "f"), "1");
}

TEST_F(FilesTest, NothingIsLeftOfTheProcess) {
  const std::string sandbox = Create().name();
  ASSERT_TRUE(Put(sandbox, "f", "1").ok());
  const std::vector<pid_t> processes = FileProcesses();
  ASSERT_EQ(processes.size(), 1u);
  ASSERT_TRUE(Delete(sandbox).ok());
  EXPECT_THAT(WaitUntilGone(processes), IsEmpty());
}

int64_t ResidentKilobytes(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string word; status >> word;) {
    int64_t kilobytes = 0;
    if (word == "VmRSS:" && status >> kilobytes) return kilobytes;
  }
  return 0;
}

TEST_F(FilesTest, SlowReadersHoldNoMemoryOfTheServer) {
  v1::CreateSandboxRequest create;
  create.mutable_limits()->set_workspace_bytes(64 << 20);
  const std::string sandbox = Create(create).name();
  ASSERT_TRUE(Put(sandbox, "f", std::string(60 * kMiB, 'x')).ok());
  const int64_t before = ResidentKilobytes(server_->pid());
  struct Reading {
    grpc::ClientContext context;
    std::unique_ptr<grpc::ClientReaderInterface<v1::ReadFileResponse>> reader;
  };
  std::vector<std::unique_ptr<Reading>> readings;
  v1::ReadFileRequest request;
  request.set_sandbox(sandbox);
  request.set_path("f");
  v1::ReadFileResponse response;
  for (int i = 0; i < 8; ++i) {
    readings.push_back(std::make_unique<Reading>());
    readings.back()->reader = files_->ReadFile(&readings.back()->context, request);
    ASSERT_TRUE(readings.back()->reader->Read(&response));
    ASSERT_TRUE(readings.back()->reader->Read(&response));
  }
  // Others are served meanwhile, one stream too many is not.
  v1::FileInfo info;
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(Stat(sandbox, "f", &info).ok());
  std::string data;
  EXPECT_EQ(Reason(TryGet(sandbox, "f", &data)), "OVERLOADED");
  EXPECT_LT(ResidentKilobytes(server_->pid()) - before, 32 << 10);
  // A reader that goes on gets all of it.
  size_t bytes = response.data().size();
  while (readings[7]->reader->Read(&response)) bytes += response.data().size();
  EXPECT_TRUE(readings[7]->reader->Finish().ok());
  EXPECT_EQ(bytes, 60 * kMiB);
  for (auto& reading : readings) reading->context.TryCancel();
  for (int i = 0; i < 7; ++i) (void)readings[static_cast<size_t>(i)]->reader->Finish();
}

TEST_F(FilesTest, ForksHaveTheFilesAndAServerOfTheirOwn) {
  const std::string parent = Create().name();
  ASSERT_TRUE(Put(parent, "f", "before").ok());
  auto writing = Begin(parent, "g", "half");
  v1::FileInfo info;
  ASSERT_TRUE(Stat(parent, "f", &info).ok());
  v1::ForkSandboxRequest request;
  request.set_name(parent);
  v1::ForkSandboxResponse response;
  const grpc::Status status = server_->sandboxes().ForkSandbox(Context().get(), request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  const std::string fork = response.sandboxes(0).name();
  made_.push_back(fork);
  EXPECT_THAT(List(fork, ""), ElementsAre("f"));
  // The parent's stream goes on.
  EXPECT_TRUE(Complete(*writing).ok());
  EXPECT_EQ(Read(parent, "g"), "half");
  ASSERT_TRUE(Put(fork, "f", "after").ok());
  EXPECT_EQ(Read(parent, "f"), "before");
  EXPECT_EQ(Value(fork, "open('f').read()"), "'after'");
}

}  // namespace
}  // namespace cloister::testing
