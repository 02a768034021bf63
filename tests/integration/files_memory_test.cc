// A workspace lies in its sandbox's memory, and may be larger than that: files that do not fit are
// refused, and the sandbox lives on.

#include "gmock/gmock.h"
#include "tests/integration/files_test.h"

namespace cloister::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr size_t kMiB = size_t{1} << 20;

class FilesMemoryTest : public FilesTest {
 protected:
  static v1::Limits LimitsOf(int64_t memory_mebibytes) {
    v1::Limits limits;
    limits.set_memory_bytes(memory_mebibytes << 20);
    limits.set_workspace_bytes(200 << 20);
    limits.set_file_bytes(200 << 20);
    return limits;
  }
  std::string CreateWith(int64_t memory_mebibytes) {
    v1::CreateSandboxRequest create;
    *create.mutable_limits() = LimitsOf(memory_mebibytes);
    return Create(create).name();
  }
  // Writes files of `bytes` until one is refused; how many were not.
  int Fill(const std::string& sandbox, const std::string& prefix, size_t bytes) {
    for (int count = 0;; ++count) {
      const grpc::Status status =
          Put(sandbox, prefix + std::to_string(count), std::string(bytes, 'x'));
      if (status.ok() && count < 5000) continue;
      EXPECT_EQ(Reason(status), "WORKSPACE_FULL") << status.error_message();
      EXPECT_THAT(status.error_message(), HasSubstr("memory_bytes"));
      return count;
    }
  }
};

TEST_F(FilesMemoryTest, UploadThatDoesNotFitIsRefused) {
  const std::string sandbox = CreateWith(48);
  EXPECT_EQ(Value(sandbox, "x = 5; x"), "5");
  const grpc::Status status = Put(sandbox, "large", std::string(100 * kMiB, 'x'));
  EXPECT_EQ(Reason(status), "WORKSPACE_FULL") << status.error_message();
  EXPECT_THAT(status.error_message(), HasSubstr("memory_bytes"));
  EXPECT_EQ(Value(sandbox, "x"), "5");
  EXPECT_THAT(List(sandbox, ""), IsEmpty());
  // What was written of it is free again.
  EXPECT_TRUE(Put(sandbox, "small", std::string(32 * kMiB, 'x')).ok());
}

TEST_F(FilesMemoryTest, ManyFilesLeaveTheSandboxRoomToGoOn) {
  for (const int memory : {8, 16, 48}) {
    const std::string sandbox = CreateWith(memory);
    EXPECT_EQ(Value(sandbox, "x = 5; x"), "5");
    const int large = Fill(sandbox, "f", kMiB);
    EXPECT_GT(large, memory == 8 ? 0 : memory / 2) << memory;
    EXPECT_EQ(Value(sandbox, "x"), "5");
    const int small = Fill(sandbox, "g", 1000);
    EXPECT_EQ(List(sandbox, "", true, 1000).size(), static_cast<size_t>(large + small));
    EXPECT_EQ(Read(sandbox, "f0").size(), kMiB);
    EXPECT_EQ(Value(sandbox, "y = list(range(1000)); x"), "5");
    EXPECT_TRUE(Remove(sandbox, "f1").ok());
  }
}

TEST_F(FilesMemoryTest, StreamsBesideOneAnotherShareTheRoom) {
  const std::string sandbox = CreateWith(32);
  EXPECT_EQ(Value(sandbox, "x = 5; x"), "5");
  std::vector<std::unique_ptr<Writing>> writings;
  for (int i = 0; i < 8; ++i) writings.push_back(Begin(sandbox, "f" + std::to_string(i), "begin"));
  v1::WriteFileRequest part;
  part.set_data(std::string(kMiB, 'x'));
  for (int i = 0; i < 10; ++i) {
    for (auto& writing : writings) (void)writing->writer->Write(part);
  }
  int refused = 0;
  for (auto& writing : writings) {
    const grpc::Status status = Complete(*writing);
    if (status.ok()) continue;
    EXPECT_EQ(Reason(status), "WORKSPACE_FULL") << status.error_message();
    ++refused;
  }
  EXPECT_GT(refused, 4);
  EXPECT_EQ(Value(sandbox, "x"), "5");
}

// With a request come so many at once: what cannot fit is refused before anything is spent on it,
// and what is not refused does fit.
TEST_F(FilesMemoryTest, FilesOfARequestFitOrAreRefused) {
  constexpr int64_t kBesideFiles = (4 << 20) + (16 << 10);
  for (const int64_t memory : {8, 32, 96}) {
    const auto most = static_cast<size_t>(((memory << 20) - kBesideFiles) / 2) / 3;
    std::string roomy;
    for (const bool fits : {true, false}) {
      v1::CreateSandboxRequest create;
      v1::RunCodeRequest run;
      *create.mutable_limits() = *run.mutable_limits() = LimitsOf(memory);
      run.mutable_program()->set_code("import os; print(len(os.listdir()))");
      for (int i = 0; i < 3; ++i) {
        v1::File& file = *create.add_files();
        file.set_path("f" + std::to_string(i));
        file.set_content(std::string(most + (fits ? 0 : 8192), 'x'));
        *run.mutable_program()->add_files() = file;
      }
      v1::Sandbox sandbox;
      const grpc::Status created = TryCreate(create, &sandbox);
      if (fits) {
        ASSERT_TRUE(created.ok()) << memory << ": " << created.error_message();
        EXPECT_EQ(Value(sandbox.name(), "sum(map(len, map(open('f0').read, [100])))"), "100");
        EXPECT_EQ(Run(run).stdout(), "3\n") << memory;
        roomy = sandbox.name();
        continue;
      }
      v1::RunCodeResponse response;
      const grpc::Status ran = server_->executions().RunCode(Context().get(), run, &response);
      run.clear_limits();
      run.set_interpreter(roomy);
      const grpc::Status cell = server_->executions().RunCode(Context().get(), run, &response);
      for (const grpc::Status& status : {created, ran, cell}) {
        EXPECT_EQ(Reason(status), "FIELD_INVALID") << memory;
        EXPECT_THAT(status.error_message(), HasSubstr("limits.memory_bytes"));
      }
      EXPECT_EQ(Value(roomy, "7"), "7");
    }
  }
}

}  // namespace
}  // namespace cloister::testing
