// Tokens that come, go and are written badly while a server runs, and servers that do not start.

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/tenant_test.h"

namespace cloister::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class TokenTest : public TenantTest {
 protected:
  // Asks again and again; the server looks at its file every few seconds.
  static bool Becomes(const std::string& token, const std::string& reason) {
    const absl::Time deadline = absl::Now() + absl::Seconds(60);
    while (absl::Now() < deadline) {
      if (Reason(GetInfo({absl::StrCat("Bearer ", token)})) == reason) return true;
      std::this_thread::yield();
    }
    return false;
  }
  static bool LogHas(const std::string& text) {
    const absl::Time deadline = absl::Now() + absl::Seconds(60);
    while (absl::Now() < deadline) {
      if (absl::StrContains(server_->Log(), text)) return true;
      // Which takes a moment, so that this does not spin.
      (void)GetInfo({"Bearer one-token"});
    }
    return false;
  }
};

// Calls all the time, and counts what was refused.
class Load {
 public:
  Load(ServerProcess* server, const std::string& token) {
    for (int i = 0; i < 4; ++i) {
      threads_.emplace_back([this, server, token] {
        while (!stop_) {
          grpc::ClientContext context;
          context.AddMetadata("authorization", absl::StrCat("Bearer ", token));
          v1::RunCodeResponse response;
          const grpc::Status status = server->executions().RunCode(&context, {}, &response);
          (status.ok() ? succeeded_ : failed_) += 1;
        }
      });
    }
  }
  ~Load() { Stop(); }
  void Stop() {
    stop_ = true;
    for (std::thread& thread : threads_) {
      if (thread.joinable()) thread.join();
    }
  }
  int succeeded() const { return succeeded_; }
  int failed() const { return failed_; }

 private:
  std::atomic<bool> stop_ = false;
  std::atomic<int> succeeded_ = 0, failed_ = 0;
  std::vector<std::thread> threads_;
};

TEST_F(TokenTest, RotateUnderLoadWithoutAFailedCall) {
  Load load(server_, "two-token");
  EXPECT_TRUE(Becomes("new-token", "CREDENTIALS_INVALID"));
  tokens_->Replace(absl::StrCat(Tokens(), TokensOnDisk::Entry("new-token", "one")));
  EXPECT_TRUE(Becomes("new-token", ""));
  EXPECT_TRUE(GetInfo({"Bearer one-token"}).ok());
  // The old one is withdrawn.
  tokens_->Replace(absl::StrCat(TokensOnDisk::Entry("two-token", "two"),
                                TokensOnDisk::Entry("new-token", "one")));
  EXPECT_TRUE(Becomes("one-token", "CREDENTIALS_INVALID"));
  EXPECT_TRUE(GetInfo({"Bearer new-token"}).ok());
  tokens_->Replace(Tokens());
  EXPECT_TRUE(Becomes("one-token", ""));
  load.Stop();
  EXPECT_EQ(load.failed(), 0);
  EXPECT_GT(load.succeeded(), 0);
}

TEST_F(TokenTest, AFileThatIsNotValidChangesNothing) {
  const std::string whole =
      absl::StrCat(Tokens(), TokensOnDisk::Entry("S3cret-token", "one", "comment: 'x'"));
  // In the middle of an entry.
  tokens_->Overwrite(whole.substr(0, whole.size() - 20));
  EXPECT_TRUE(LogHas("tokens are as before")) << server_->Log();
  EXPECT_TRUE(GetInfo({"Bearer one-token"}).ok());
  EXPECT_TRUE(GetInfo({"Bearer two-token"}).ok());
  EXPECT_EQ(Reason(GetInfo({"Bearer S3cret-token"})), "CREDENTIALS_INVALID");
  tokens_->Overwrite(whole);
  EXPECT_TRUE(Becomes("S3cret-token", ""));
  tokens_->Replace(Tokens());
  EXPECT_TRUE(Becomes("S3cret-token", "CREDENTIALS_INVALID"));
  EXPECT_THAT(server_->Log(), Not(HasSubstr("S3cret")));
}

// ---- servers that do not start ------------------------------------------------------------------

struct Checked {
  int exit_code = -1;
  std::string output;
};

Checked CheckConfig(const std::string& text) {
  const std::string path =
      absl::StrCat(::testing::TempDir(), "/token_test.", ::getpid(), ".textproto");
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

TEST(StartTest, NobodyServesTheNetworkWithoutCredentials) {
  for (const char* address : {"0.0.0.0:50051", "[::]:50051", "10.0.0.1:1", "example.org:1"}) {
    const Checked checked = CheckConfig(absl::StrCat("listen: '", address, "'"));
    EXPECT_EQ(checked.exit_code, 2) << checked.output;
    EXPECT_THAT(checked.output, HasSubstr("listen[0]: "));
    EXPECT_THAT(checked.output, HasSubstr("authentication { token_file }"));
  }
  const Checked plain = CheckConfig("listen: '0.0.0.0:1' authentication { token_file: '/t' }");
  EXPECT_EQ(plain.exit_code, 2);
  EXPECT_THAT(plain.output, HasSubstr("plain text"));
  const Checked anonymous = CheckConfig(
      "listen: '0.0.0.0:1' insecure_plaintext: true "
      "authentication { token_file: '/t' allow_anonymous: true }");
  EXPECT_EQ(anonymous.exit_code, 2);
  EXPECT_THAT(anonymous.output, HasSubstr("insecure_plaintext: does not go with"));
}

TEST(StartTest, AServerWhoseTokensCannotBeReadSaysSoAndEnds) {
  TokensOnDisk tokens;
  for (const std::string& text : {std::string(), std::string("nonsense")}) {
    if (!text.empty()) tokens.Replace(text);
    ServerProcess server(absl::StrCat("authentication { token_file: '", tokens.path(), "' }"));
    const int status = server.WaitForExit();
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    EXPECT_THAT(server.Log(), HasSubstr("authentication.token_file: "));
    EXPECT_THAT(server.Log(), HasSubstr(tokens.path()));
  }
}

TEST(StartTest, TokensLetTheNetworkIn) {
  TokensOnDisk tokens;
  tokens.Replace(TokensOnDisk::Entry("one-token", "one"));
  ServerProcess server(absl::StrCat("insecure_plaintext: true tenants { name: 'one' } "
                                    "authentication { token_file: '",
                                    tokens.path(), "' }"),
                       {"--listen", "0.0.0.0:0"});
  ASSERT_TRUE(server.WaitUntilReady().ok()) << server.Log();
  grpc::ClientContext without, with;
  with.AddMetadata("authorization", "Bearer one-token");
  v1::GetInfoResponse response;
  EXPECT_EQ(Reason(server.info().GetInfo(&without, {}, &response)), "CREDENTIALS_MISSING");
  EXPECT_TRUE(server.info().GetInfo(&with, {}, &response).ok());
}

TEST(StartTest, WhoIsOnThisMachineMayBeLetInWithoutAToken) {
  TokensOnDisk tokens;
  tokens.Replace(TokensOnDisk::Entry("one-token", "one"));
  ServerProcess server(absl::StrCat("tenants { name: 'one' } authentication { token_file: '",
                                    tokens.path(), "' allow_anonymous: true }"));
  ASSERT_TRUE(server.WaitUntilReady().ok()) << server.Log();
  grpc::ClientContext without, with, wrong;
  with.AddMetadata("authorization", "Bearer one-token");
  wrong.AddMetadata("authorization", "Bearer wrong");
  v1::GetInfoResponse response;
  EXPECT_TRUE(server.info().GetInfo(&without, {}, &response).ok());
  EXPECT_TRUE(server.info().GetInfo(&with, {}, &response).ok());
  EXPECT_EQ(Reason(server.info().GetInfo(&wrong, {}, &response)), "CREDENTIALS_INVALID");
}

}  // namespace
}  // namespace cloister::testing
