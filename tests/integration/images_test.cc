// Every runtime image of deploy/images, served side by side by one server.

#include <grpcpp/grpcpp.h>

#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "gtest/gtest.h"
#include "tests/integration/probe.h"
#include "tests/integration/server_process.h"

namespace cloister::testing {
namespace {

constexpr char kConfig[] = R"(
  templates { name: "python3.14" pool { minimum_ready: 1 } }
  templates { name: "python3.15" pool { minimum_ready: 1 } }
  templates { name: "python3.13" pool { minimum_ready: 1 } }
  templates {
    name: "data" image: "python3.14-data" warm_up_imports: "numpy" warm_up_imports: "numpy.random"
    warm_up_imports: "pandas" pool { minimum_ready: 1 }
  }
)";

class ImagesTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    server_ = new ServerProcess(kConfig);
    ASSERT_TRUE(server_->WaitUntilReady().ok()) << server_->Log();
  }

  static void TearDownTestSuite() {
    delete server_;
    server_ = nullptr;
  }

  static v1::RunCodeResponse Run(const std::string& template_name, const std::string& code) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    v1::RunCodeRequest request;
    request.set_template_(template_name);
    request.mutable_program()->set_code(code);
    v1::RunCodeResponse response;
    const grpc::Status status = server_->executions().RunCode(&context, request, &response);
    EXPECT_TRUE(status.ok()) << template_name << ": " << status.error_message();
    return response;
  }

  static ServerProcess* server_;
};

ServerProcess* ImagesTest::server_ = nullptr;

TEST_F(ImagesTest, EachTemplateRunsItsOwnVersion) {
  for (const std::string version : {"3.13", "3.14", "3.15"}) {
    const auto response =
        Run(absl::StrCat("python", version),
            "import sys, json, ssl, sqlite3, decimal, asyncio, ctypes, zoneinfo, lzma, bz2, zlib\n"
            "async def answer(): return 42\n"
            "print('%d.%d' % sys.version_info[:2], asyncio.run(answer()))");
    EXPECT_EQ(response.stdout(), absl::StrCat(version, " 42\n")) << response.stderr();
  }
}

TEST_F(ImagesTest, ExceptionsAreTheSameDataInEachVersion) {
  for (const std::string version : {"3.13", "3.14", "3.15"}) {
    const auto response = Run(absl::StrCat("python", version),
                              "try:\n  1 / 0\nexcept ZeroDivisionError:\n  {}['k']\n");
    ASSERT_EQ(Describe(response.outcome()), "RAISED KeyError") << version;
    EXPECT_EQ(response.outcome().exception().context().type(), "ZeroDivisionError") << version;
    EXPECT_EQ(response.outcome().exception().frames(0).source_line(), "{}['k']") << version;
  }
}

TEST_F(ImagesTest, TheDataImageComputesAndPlots) {
  const auto response = Run("data",
                            "import numpy, pandas, matplotlib\n"
                            "matplotlib.use('Agg')\n"
                            "import matplotlib.pyplot as plot\n"
                            "frame = pandas.DataFrame({'x': numpy.arange(4)})\n"
                            "plot.plot(frame.x)\n"
                            "plot.savefig('/workspace/plot.png')\n"
                            "print(frame.x.sum(), (numpy.eye(50) @ numpy.eye(50)).sum(),\n"
                            "      open('/workspace/plot.png', 'rb').read(4))");
  EXPECT_EQ(response.stdout(), "6 50.0 b'\\x89PNG'\n") << response.stderr();
}

TEST_F(ImagesTest, ClonesShareNoNumpyRandomness) {
  std::set<std::string> seen;
  constexpr int kClones = 100;
  for (int clone = 0; clone < kClones; ++clone) {
    const auto response = Run(
        "data", "import numpy\nprint(numpy.random.random(), numpy.random.default_rng().random())");
    const std::vector<std::string> parts =
        absl::StrSplit(absl::StripSuffix(response.stdout(), "\n"), ' ');
    ASSERT_EQ(parts.size(), 2u) << response.stderr();
    seen.insert(parts[0]);
    seen.insert(parts[1]);
  }
  EXPECT_EQ(seen.size(), 2 * kClones);
}

TEST_F(ImagesTest, NoImageHoldsAShellACompilerOrAPackageManager) {
  for (const std::string name : {"python3.13", "python3.14", "python3.15", "data"}) {
    const auto response = Run(
        name,
        "import os, shutil\n"
        "os.environ['PATH'] = '/bin:/sbin:/usr/bin:/usr/sbin:/usr/local/bin'\n"
        "print([tool for tool in ('sh', 'bash', 'dash', 'busybox', 'perl', 'gcc', 'cc', 'ld', "
        "'as',\n"
        "      'apt', 'apt-get', 'dpkg', 'pip', 'pip3', 'mount', 'su') if shutil.which(tool)])");
    EXPECT_EQ(response.stdout(), "[]\n") << name;
  }
}

}  // namespace
}  // namespace cloister::testing
