// What a server says of a configuration that cannot work: before its start, and after it.

#include <grpcpp/grpcpp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/server_process.h"

namespace cloister::testing {
namespace {

using ::testing::HasSubstr;

struct Checked {
  int exit_code = -1;
  std::string output;
};

Checked CheckConfig(const std::string& text) {
  const std::string path =
      absl::StrCat(::testing::TempDir(), "/startup_test.", ::getpid(), ".textproto");
  std::ofstream(path) << absl::StrCat("image_directory: '", CLOISTER_IMAGES, "'\n", text);
  FILE* const pipe = ::popen(
      absl::StrCat(CLOISTERD_BINARY, " --config ", path, " --check_config 2>&1").c_str(), "r");
  Checked checked;
  char buffer[4096];
  while (const size_t size = ::fread(buffer, 1, sizeof(buffer), pipe)) {
    checked.output.append(buffer, size);
  }
  const int status = ::pclose(pipe);
  if (WIFEXITED(status)) checked.exit_code = WEXITSTATUS(status);
  std::filesystem::remove(path);
  return checked;
}

TEST(CheckConfigTest, ACompleteConfigurationIsValid) {
  const Checked checked = CheckConfig("templates { name: 'python3.14' }");
  EXPECT_EQ(checked.exit_code, 0) << checked.output;
}

TEST(CheckConfigTest, AnImageThatIsNotThereIsNamed) {
  const Checked checked = CheckConfig("templates { name: 'a' image: 'python2.7' }");
  EXPECT_EQ(checked.exit_code, 2);
  EXPECT_THAT(checked.output, HasSubstr("template a: image python2.7 is not in"));
  EXPECT_THAT(checked.output, HasSubstr("build.sh python2.7"));
}

TEST(CheckConfigTest, AnUnknownLayerIsNamed) {
  const Checked checked = CheckConfig("isolation_floor { required_layers: 'landlok' }");
  EXPECT_EQ(checked.exit_code, 2);
  EXPECT_THAT(checked.output,
              HasSubstr("\"landlok\", which is no layer; there are user_namespace"));
}

TEST(StartupTest, AMistypedWarmUpImportIsNamedByReadinessAndRefusesAtOnce) {
  ServerProcess server("templates { name: 'python3.14' warm_up_imports: 'jsonn' }");
  std::string reason;
  const absl::Time deadline = absl::Now() + absl::Seconds(30);
  while (reason.find("jsonn") == std::string::npos && absl::Now() < deadline) {
    grpc::ClientContext context;
    v1::GetInfoResponse info;
    if (server.info().GetInfo(&context, {}, &info).ok()) reason = info.not_ready_reason();
  }
  EXPECT_THAT(reason, HasSubstr("import jsonn (of the template's warm_up_imports)"));
  EXPECT_THAT(reason, HasSubstr("corrected"));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(5));
  v1::RunCodeResponse response;
  const grpc::Status status = server.executions().RunCode(&context, {}, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INTERNAL) << status.error_message();
}

}  // namespace
}  // namespace cloister::testing
