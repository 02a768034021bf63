// A real server with tokens of two tenants, and any call with any of them.

#ifndef CLOISTER_TESTS_INTEGRATION_TENANT_TEST_H_
#define CLOISTER_TESTS_INTEGRATION_TENANT_TEST_H_

#include <grpcpp/generic/generic_stub.h>
#include <openssl/sha.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/message.h"
#include "gtest/gtest.h"
#include "tests/integration/server_process.h"
#include "tests/integration/server_test.h"

namespace cloister::testing {

// A file of tokens that the server's user may read.
class TokensOnDisk {
 public:
  TokensOnDisk() {
    char pattern[] = "/tmp/cloister-tokens.XXXXXX";
    directory_ = ::mkdtemp(pattern);
    std::filesystem::permissions(directory_, std::filesystem::perms(0755));
  }
  ~TokensOnDisk() {
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }

  std::string path() const { return directory_ + "/tokens.textproto"; }

  static std::string Entry(const std::string& token, const std::string& tenant,
                           const std::string& more = "") {
    unsigned char hash[SHA256_DIGEST_LENGTH];
    SHA256(reinterpret_cast<const unsigned char*>(token.data()), token.size(), hash);
    const absl::string_view bytes(reinterpret_cast<const char*>(hash), sizeof(hash));
    return absl::StrCat("token { sha256: '", absl::BytesToHexString(bytes), "' tenant: '", tenant,
                        "' ", more, " }\n");
  }
  // As whole as rename(2) makes it.
  void Replace(const std::string& text) {
    Overwrite(path() + ".new", text);
    std::filesystem::rename(path() + ".new", path());
  }
  // In place.
  void Overwrite(const std::string& text) { Overwrite(path(), text); }

 private:
  static void Overwrite(const std::string& path, const std::string& text) {
    std::ofstream(path) << text;
    std::filesystem::permissions(path, std::filesystem::perms(0644));
  }

  std::string directory_;
};

class TenantTest : public ::testing::Test {
 protected:
  // Of tenants "one" and "two"; "old" has expired.
  static std::string Tokens() {
    return absl::StrCat(TokensOnDisk::Entry("one-token", "one"),
                        TokensOnDisk::Entry("two-token", "two"),
                        TokensOnDisk::Entry("old-token", "one", "expires { seconds: 1000000 }"));
  }
  static std::string Config(const TokensOnDisk& tokens, const std::string& more = "") {
    return absl::StrCat("authentication { token_file: '", tokens.path(),
                        "' } tenants { name: 'one' } tenants { name: 'two' } "
                        "execution_retention { seconds: 600 } templates { name: 'python3.14' } ",
                        more);
  }

  static void SetUpTestSuite() {
    tokens_ = new TokensOnDisk();
    tokens_->Replace(Tokens());
    server_ = new ServerProcess(Config(*tokens_));
    ASSERT_TRUE(server_->WaitUntilReady().ok()) << server_->Log();
  }
  static void TearDownTestSuite() {
    delete server_;
    server_ = nullptr;
    delete tokens_;
    tokens_ = nullptr;
  }

  // Each value is one of metadata `authorization`.
  static std::unique_ptr<grpc::ClientContext> With(const std::vector<std::string>& authorization) {
    auto context = std::make_unique<grpc::ClientContext>();
    context->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    for (const std::string& value : authorization) context->AddMetadata("authorization", value);
    return context;
  }
  static std::unique_ptr<grpc::ClientContext> As(const std::string& tenant) {
    return With({absl::StrCat("Bearer ", tenant, "-token")});
  }
  static grpc::Status GetInfo(const std::vector<std::string>& authorization,
                              v1::GetInfoResponse* response) {
    return server_->info().GetInfo(With(authorization).get(), {}, response);
  }
  static grpc::Status GetInfo(const std::vector<std::string>& authorization) {
    v1::GetInfoResponse response;
    return GetInfo(authorization, &response);
  }

  // Any call with one message, whatever kind of call it is.
  static grpc::Status Call(const std::string& method, const google::protobuf::Message& request,
                           const std::string& tenant) {
    grpc::GenericStub stub(server_->channel());
    const auto context = As(tenant);
    grpc::CompletionQueue queue;
    const auto call = stub.PrepareCall(context.get(), method, &queue);
    void* tag = nullptr;
    bool ok = false;
    call->StartCall(nullptr);
    queue.Next(&tag, &ok);
    grpc::Slice bytes(request.SerializeAsString());
    call->WriteLast(grpc::ByteBuffer(&bytes, 1), grpc::WriteOptions(), nullptr);
    queue.Next(&tag, &ok);
    do {
      grpc::ByteBuffer response;
      call->Read(&response, nullptr);
      queue.Next(&tag, &ok);
    } while (ok);
    grpc::Status status;
    call->Finish(&status, nullptr);
    queue.Next(&tag, &ok);
    return status;
  }

  static TokensOnDisk* tokens_;
  static ServerProcess* server_;
};

inline TokensOnDisk* TenantTest::tokens_ = nullptr;
inline ServerProcess* TenantTest::server_ = nullptr;

}  // namespace cloister::testing

#endif  // CLOISTER_TESTS_INTEGRATION_TENANT_TEST_H_
