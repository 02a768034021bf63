// Files lie in a sandbox's memory, and in the request as well until they are placed.

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "service/rpc/request_validator.h"
#include "service/rpc/sandbox_request_validator.h"

namespace cloister::rpc {
namespace {

using ::testing::HasSubstr;

class PlacedFilesTest : public ::testing::Test {
 protected:
  static v1::RunCodeRequest Request(int64_t memory_bytes, int count, size_t size) {
    v1::RunCodeRequest request;
    request.mutable_limits()->set_memory_bytes(memory_bytes);
    for (int i = 0; i < count; ++i) {
      v1::File& file = *request.mutable_program()->add_files();
      file.set_path(std::to_string(i));
      file.set_content(std::string(size, 'x'));
    }
    return request;
  }
  absl::Status Check(const v1::RunCodeRequest& request) const {
    return validator_.Check(request).status();
  }

  static LimitsPolicy Policy() {
    LimitsPolicy policy;
    policy.defaults.memory_bytes = 16 << 20;
    policy.maximum = BuiltInMaximumLimits();
    return policy;
  }

  const RequestValidator validator_{RequestBounds(), Policy()};
};

TEST_F(PlacedFilesTest, TwiceTheirSizeAndSomeHasToFit) {
  EXPECT_TRUE(Check(Request(16 << 20, 1, (6 << 20) - 4096)).ok());
  const absl::Status refused = Check(Request(16 << 20, 1, 6 << 20));
  EXPECT_THAT(std::string(refused.message()), HasSubstr("program.files: takes 16779264 bytes"));
  EXPECT_THAT(std::string(refused.message()), HasSubstr("limits.memory_bytes is 16777216"));
}

TEST_F(PlacedFilesTest, SmallFilesTakePages) {
  EXPECT_TRUE(Check(Request(16 << 20, 1000, 1)).ok());
  EXPECT_FALSE(Check(Request(9 << 20, 1000, 1)).ok());
  EXPECT_TRUE(Check(Request(8 << 20, 0, 0)).ok());
}

TEST_F(PlacedFilesTest, NewSandboxesOfSnapshotsHaveItsLimits) {
  const SandboxRequestValidator sandboxes(&validator_, LifetimePolicy());
  v1::CreateSandboxRequest request;
  v1::File& file = *request.add_files();
  file.set_path("a");
  file.set_content(std::string(6 << 20, 'x'));
  EXPECT_THAT(std::string(sandboxes.Check(request).status().message()), HasSubstr("files: takes"));
  request.set_snapshot("snapshots/a");
  EXPECT_TRUE(sandboxes.Check(request).ok());
  request.mutable_limits()->set_memory_bytes(16 << 20);
  EXPECT_FALSE(sandboxes.Check(request).ok());
}

// It has limits of its own, which are not known here.
TEST_F(PlacedFilesTest, LiveSandboxesFindOutThemselves) {
  v1::RunCodeRequest request = Request(0, 10, 1 << 20);
  request.clear_limits();
  EXPECT_FALSE(Check(request).ok());
  request.set_interpreter("sandboxes/a/interpreters/main");
  EXPECT_TRUE(Check(request).ok());
}

}  // namespace
}  // namespace cloister::rpc
