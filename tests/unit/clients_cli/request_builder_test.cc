#include "clients/cli/commands/request_builder.h"

#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace cloister::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

class RequestBuilderTest : public testing::Test {
 protected:
  RequestBuilderTest() {
    directory_ = std::filesystem::temp_directory_path() / "cloister-test-XXXXXX";
    if (::mkdtemp(directory_.data()) == nullptr) ::abort();
  }
  ~RequestBuilderTest() override { std::filesystem::remove_all(directory_); }

  std::string FileWith(const std::string& name, const std::string& content) {
    const std::string path = directory_ + "/" + name;
    EXPECT_TRUE(WriteFile(path, content).ok());
    return path;
  }

  static std::string ErrorOf(const RunOptions& options) {
    const auto request = BuildExecuteRequest(options);
    return request.ok() ? "" : std::string(request.status().message());
  }

  std::string directory_;
};

TEST_F(RequestBuilderTest, TakesCodeFromTheCommandLine) {
  RunOptions options;
  options.code = "";
  options.args = {"-v", "[1,2]"};
  const auto request = BuildExecuteRequest(options);
  ASSERT_TRUE(request.ok());
  EXPECT_EQ(request->program().code(), "");
  EXPECT_EQ(request->program().file_name(), "<string>");
  EXPECT_THAT(request->program().args(), ElementsAre("-v", "[1,2]"));
  EXPECT_EQ(request->on_disconnect(), v1::ExecuteRequest::ON_DISCONNECT_INTERRUPT);
  EXPECT_FALSE(request->limits().has_wall_time());
}

TEST_F(RequestBuilderTest, TakesBytesOfAFileAsTheyAre) {
  RunOptions options;
  options.source = FileWith("a.py", std::string("print('\xff')\0", 12));
  const auto request = BuildExecuteRequest(options);
  ASSERT_TRUE(request.ok());
  EXPECT_EQ(request->program().code(), std::string("print('\xff')\0", 12));
  EXPECT_EQ(request->program().file_name(), "a.py");
}

TEST_F(RequestBuilderTest, EveryRunHasARequestIdOfItsOwn) {
  RunOptions options;
  options.code = "1";
  const auto first = BuildExecuteRequest(options);
  const auto second = BuildExecuteRequest(options);
  EXPECT_THAT(first->request_id(), StartsWith("cli-"));
  EXPECT_NE(first->request_id(), second->request_id());
  options.request_id = "mine";
  EXPECT_EQ(BuildExecuteRequest(options)->request_id(), "mine");
}

TEST_F(RequestBuilderTest, SetsTheLimitsGivenAndNoOthers) {
  RunOptions options;
  options.code = "1";
  options.wall = "1.5s";
  options.cpu = "2";
  options.memory = "64M";
  options.output = "1K";
  options.processes = "3";
  options.open_files = "4";
  options.file_size = "5k";
  const auto request = BuildExecuteRequest(options);
  ASSERT_TRUE(request.ok()) << request.status().message();
  const v1::Limits& limits = request->limits();
  EXPECT_EQ(limits.wall_time().nanos(), 500'000'000);
  EXPECT_EQ(limits.cpu_time().seconds(), 2);
  EXPECT_EQ(limits.memory_bytes(), 64 << 20);
  EXPECT_EQ(limits.output_bytes(), 1024);
  EXPECT_EQ(limits.process_count(), 3);
  EXPECT_EQ(limits.open_file_count(), 4);
  EXPECT_EQ(limits.file_bytes(), 5120);
  EXPECT_EQ(limits.workspace_bytes(), 0);
}

TEST_F(RequestBuilderTest, HandsFilesEnvironmentAndInputOver) {
  RunOptions options;
  options.code = "1";
  const std::string data = FileWith("data.csv", "1,2");
  const std::string tool = FileWith("tool", "#!");
  ::chmod(tool.c_str(), 0755);
  options.files = {data, tool + ":bin/tool"};
  options.stdin_from = data;
  ::setenv("CLOISTER_TEST_OWN", "own", 1);
  options.environment = {"A=b=c", "EMPTY=", "CLOISTER_TEST_OWN"};
  const auto request = BuildExecuteRequest(options);
  ::unsetenv("CLOISTER_TEST_OWN");
  ASSERT_TRUE(request.ok()) << request.status().message();
  const v1::Program& program = request->program();
  ASSERT_EQ(program.files_size(), 2);
  EXPECT_EQ(program.files(0).path(), "data.csv");
  EXPECT_EQ(program.files(0).content(), "1,2");
  EXPECT_FALSE(program.files(0).executable());
  EXPECT_EQ(program.files(1).path(), "bin/tool");
  EXPECT_TRUE(program.files(1).executable());
  EXPECT_EQ(program.stdin(), "1,2");
  EXPECT_EQ(program.environment().at("A"), "b=c");
  EXPECT_EQ(program.environment().at("EMPTY"), "");
  EXPECT_EQ(program.environment().at("CLOISTER_TEST_OWN"), "own");
}

TEST_F(RequestBuilderTest, WrongOptionsAreNamed) {
  RunOptions options;
  EXPECT_THAT(ErrorOf(options), HasSubstr("no program"));
  options.source = directory_ + "/absent.py";
  EXPECT_THAT(ErrorOf(options), HasSubstr("cannot open " + options.source));
  options.source = directory_;
  EXPECT_THAT(ErrorOf(options), HasSubstr("cannot read " + options.source));
  options.source = "a.py";
  options.code = "1";
  EXPECT_THAT(ErrorOf(options), HasSubstr("after --"));
  options.source = "";
  options.memory = "12Q";
  EXPECT_THAT(ErrorOf(options), StartsWith("--memory: \"12Q\""));
  options.memory = "";
  options.wall = "fast";
  EXPECT_THAT(ErrorOf(options), StartsWith("--wall: \"fast\""));
  options.wall = "";
  options.environment = {"=x"};
  EXPECT_THAT(ErrorOf(options), HasSubstr("NAME=VALUE"));
  options.environment = {};
  options.files = {directory_ + "/absent"};
  EXPECT_THAT(ErrorOf(options), StartsWith("--file: cannot open"));
  options.files = {};
  options.fetches = {":x"};
  EXPECT_THAT(ErrorOf(options), StartsWith("--fetch"));
  options.fetches = {"x"};
  options.detach = true;
  EXPECT_THAT(ErrorOf(options), StartsWith("--detach"));
}

TEST_F(RequestBuilderTest, StandardInputIsReadOnce) {
  RunOptions options;
  options.source = "-";
  options.stdin_from = "-";
  EXPECT_THAT(ErrorOf(options), HasSubstr("both"));
}

TEST_F(RequestBuilderTest, FetchesGoToTheirBaseNameUnlessTold) {
  const auto fetches = ParseFetches({"out/a.png", "b:c/d", "/workspace/e"});
  ASSERT_TRUE(fetches.ok());
  EXPECT_EQ((*fetches)[0].path, "out/a.png");
  EXPECT_EQ((*fetches)[0].local, "a.png");
  EXPECT_EQ((*fetches)[1].local, "c/d");
  EXPECT_EQ((*fetches)[2].path, "e");
}

}  // namespace
}  // namespace cloister::cli
