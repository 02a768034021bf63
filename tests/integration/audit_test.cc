// A line for each call, and no more in it than who did what.

#include <signal.h>
#include <sys/stat.h>

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/tenant_test.h"

namespace cloister::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class AuditTest : public TenantTest {
 protected:
  static void SetUpTestSuite() {
    tokens_ = new TokensOnDisk();
    tokens_->Replace(Tokens());
    std::filesystem::permissions(std::filesystem::path(tokens_->path()).parent_path(),
                                 std::filesystem::perms(0777));
    server_ = new ServerProcess(Config(*tokens_, absl::StrCat("audit { file: '", Path(), "' }")));
    ASSERT_TRUE(server_->WaitUntilReady().ok()) << server_->Log();
  }

  static std::string Path() {
    return (std::filesystem::path(tokens_->path()).parent_path() / "audit.log").string();
  }
  static std::vector<std::string> Lines() {
    std::ifstream file(Path());
    std::ostringstream text;
    text << file.rdbuf();
    return absl::StrSplit(text.str(), '\n', absl::SkipEmpty());
  }
  // The last one of a method; the line is written when the reply is on its way.
  static std::string LineOf(const std::string& method, size_t after) {
    const absl::Time deadline = absl::Now() + absl::Seconds(10);
    while (absl::Now() < deadline) {
      const std::vector<std::string> lines = Lines();
      for (size_t i = after; i < lines.size(); ++i) {
        if (absl::StrContains(lines[i], absl::StrCat("/", method, " "))) return lines[i];
      }
    }
    return "";
  }
};

TEST_F(AuditTest, TellsWhoDidWhatAndHowItEnded) {
  size_t before = Lines().size();
  v1::CreateSandboxRequest create;
  v1::CreateSandboxResponse created;
  ASSERT_TRUE(server_->sandboxes().CreateSandbox(As("one").get(), create, &created).ok());
  const std::string name = created.sandbox().name();
  EXPECT_THAT(LineOf("CreateSandbox", before),
              AllOf(HasSubstr("tenant=one credential=token:"), HasSubstr("peer="),
                    HasSubstr(absl::StrCat("made=", name)), HasSubstr("status=OK reason=\"\"")));
  before = Lines().size();
  v1::DeleteSandboxRequest end;
  end.set_name(name);
  v1::DeleteSandboxResponse ended;
  EXPECT_FALSE(server_->sandboxes().DeleteSandbox(As("two").get(), end, &ended).ok());
  EXPECT_THAT(LineOf("DeleteSandbox", before),
              AllOf(HasSubstr("tenant=two"), HasSubstr(absl::StrCat("subject=", name)),
                    HasSubstr("status=NOT_FOUND reason=SANDBOX_NOT_FOUND")));
  before = Lines().size();
  EXPECT_FALSE(GetInfo({"Bearer nobody"}).ok());
  EXPECT_THAT(LineOf("GetInfo", before),
              AllOf(HasSubstr("tenant=\"\" credential=none"),
                    HasSubstr("status=UNAUTHENTICATED reason=CREDENTIALS_INVALID")));
  EXPECT_TRUE(server_->sandboxes().DeleteSandbox(As("one").get(), end, &ended).ok());
}

TEST_F(AuditTest, HoldsNoCodeNoDataAndNoToken) {
  const size_t before = Lines().size();
  v1::RunCodeRequest request;
  request.mutable_program()->set_code("print('S3cret' * 2)");
  request.mutable_program()->set_stdin("S3cret");
  (*request.mutable_program()->mutable_environment())["KEY"] = "S3cret";
  v1::RunCodeResponse response;
  ASSERT_TRUE(server_->executions().RunCode(As("one").get(), request, &response).ok());
  EXPECT_THAT(LineOf("RunCode", before), HasSubstr(absl::StrCat("made=", response.execution())));
  EXPECT_FALSE(GetInfo({"Bearer S3cret"}).ok());
  LineOf("GetInfo", before);
  for (const std::string& line : Lines()) {
    EXPECT_THAT(line, AllOf(Not(HasSubstr("S3cret")), Not(HasSubstr("one-token"))));
  }
  struct stat info {};
  ASSERT_EQ(::stat(Path().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0640);
}

TEST_F(AuditTest, ALineIsShortWhateverIsSent) {
  const size_t before = Lines().size();
  v1::GetSandboxRequest request;
  request.set_name(std::string(1 << 20, 'x') + "\nforged");
  v1::GetSandboxResponse response;
  EXPECT_FALSE(server_->sandboxes().GetSandbox(As("one").get(), request, &response).ok());
  const std::string line = LineOf("GetSandbox", before);
  EXPECT_FALSE(line.empty());
  EXPECT_LT(line.size(), 1000);
  EXPECT_EQ(Lines().size(), before + 1);
}

TEST_F(AuditTest, AFileThatWasMovedAwayIsMadeAnewOnSighup) {
  std::filesystem::rename(Path(), Path() + ".1");
  server_->Signal(SIGHUP);
  const absl::Time deadline = absl::Now() + absl::Seconds(10);
  while (!std::filesystem::exists(Path()) && absl::Now() < deadline) {
  }
  EXPECT_TRUE(GetInfo({"Bearer one-token"}).ok());
  EXPECT_FALSE(LineOf("GetInfo", 0).empty());
}

TEST_F(AuditTest, SighupReadsTokensAtOnce) {
  tokens_->Replace(absl::StrCat(Tokens(), TokensOnDisk::Entry("now-token", "one")));
  server_->Signal(SIGHUP);
  const absl::Time deadline = absl::Now() + absl::Seconds(10);
  bool is_known = false;
  while (!is_known && absl::Now() < deadline) is_known = GetInfo({"Bearer now-token"}).ok();
  EXPECT_TRUE(is_known);
}

}  // namespace
}  // namespace cloister::testing
