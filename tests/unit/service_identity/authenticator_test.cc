#include "service/identity/authenticator.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "service/core/error.h"

namespace cloister::identity {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class AuthenticatorTest : public ::testing::Test {
 protected:
  explicit AuthenticatorTest(bool allow_anonymous = false)
      : authenticator_({.allow_anonymous = allow_anonymous, .now = [this] { return now_; }}) {
    SetTokens("");
  }

  // Token "one-token" of tenant one, "two-token" of two until second 1000; and more.
  void SetTokens(const std::string& more) {
    auto table = TokenTable::Parse(
        absl::StrCat(Entry("one-token", "one"),
                     Entry("two-token", "two", "expires { seconds: 1000 }"), more),
        "file", {"one", "two", "default"});
    ASSERT_TRUE(table.ok()) << table.status();
    authenticator_.SetTokens(std::make_shared<const TokenTable>(*std::move(table)));
  }
  static std::string Entry(const std::string& token, const std::string& tenant,
                           const std::string& more = "") {
    return absl::StrCat("token { sha256: '", TokenDigest::Of(token).Hex(), "' tenant: '", tenant,
                        "' ", more, " }\n");
  }

  absl::StatusOr<Caller> With(const std::vector<std::string_view>& authorization,
                              bool is_local = true) {
    return authenticator_.Authenticate({.authorization = authorization, .is_local = is_local});
  }
  v1::ErrorReason ReasonWith(const std::vector<std::string_view>& authorization,
                             bool is_local = true) {
    return core::ReasonOf(With(authorization, is_local).status());
  }

  absl::Time now_ = absl::FromUnixSeconds(500);
  Authenticator authenticator_;
};

class AnonymousTest : public AuthenticatorTest {
 protected:
  AnonymousTest() : AuthenticatorTest(/*allow_anonymous=*/true) {}
};

TEST_F(AuthenticatorTest, KnowsATokensTenant) {
  const auto caller = With({"Bearer one-token"});
  ASSERT_TRUE(caller.ok()) << caller.status();
  EXPECT_EQ(caller->tenant, "one");
  EXPECT_EQ(caller->credential,
            absl::StrCat("token:", TokenDigest::Of("one-token").Hex().substr(0, 8)));
  EXPECT_EQ(With({"bearer   two-token"}, /*is_local=*/false)->tenant, "two");
  EXPECT_EQ(With({"BEARER one-token"})->tenant, "one");
}

TEST_F(AuthenticatorTest, RefusesWhatIsNoTokenOfItsOwn) {
  const std::string too_long = "Bearer " + std::string(kMaximumTokenBytes + 1, 'x');
  for (const std::string_view bad :
       {"Bearer wrong", "Bearer One-token", "Bearer one-token ", "Bearer one-token two-token",
        "Bearer one-token\n", "Bearer\tone-token", "Bearerone-token", "Bearer", "Bearer ", "",
        "Basic b25lOnRva2Vu", "one-token", "Bearer \xff\xfe", too_long.c_str()}) {
    const auto caller = With({bad});
    EXPECT_EQ(core::ReasonOf(caller.status()), v1::ERROR_REASON_CREDENTIALS_INVALID) << bad;
    EXPECT_EQ(caller.status().code(), absl::StatusCode::kUnauthenticated) << bad;
  }
  EXPECT_FALSE(With({std::string_view("Bearer one-token\0", 17)}).ok());
}

TEST_F(AuthenticatorTest, TakesOneValueOnly) {
  EXPECT_EQ(ReasonWith({"Bearer one-token", "Bearer one-token"}),
            v1::ERROR_REASON_CREDENTIALS_INVALID);
  EXPECT_EQ(ReasonWith({"Bearer one-token", "Bearer two-token"}),
            v1::ERROR_REASON_CREDENTIALS_INVALID);
}

TEST_F(AuthenticatorTest, WantsCredentialsOfEverybody) {
  EXPECT_EQ(ReasonWith({}), v1::ERROR_REASON_CREDENTIALS_MISSING);
  EXPECT_EQ(ReasonWith({}, /*is_local=*/false), v1::ERROR_REASON_CREDENTIALS_MISSING);
}

TEST_F(AuthenticatorTest, ATokenIsGoodUntilItsTime) {
  now_ = absl::FromUnixSeconds(1000) - absl::Nanoseconds(1);
  EXPECT_TRUE(With({"Bearer two-token"}).ok());
  now_ = absl::FromUnixSeconds(1000);
  EXPECT_EQ(ReasonWith({"Bearer two-token"}), v1::ERROR_REASON_CREDENTIALS_EXPIRED);
  EXPECT_TRUE(With({"Bearer one-token"}).ok());
}

TEST_F(AuthenticatorTest, ErrorsHoldNothingOfWhatWasPresented) {
  for (const std::string_view value :
       {"Bearer S3cret", "Basic S3cret", "S3cret", "Bearer S3cret S3cret"}) {
    EXPECT_THAT(With({value}).status().ToString(), Not(HasSubstr("S3cret"))) << value;
  }
}

TEST_F(AuthenticatorTest, NewTokensHoldFromTheNextCallOn) {
  EXPECT_FALSE(With({"Bearer later"}).ok());
  SetTokens(Entry("later", "default"));
  EXPECT_EQ(With({"Bearer later"})->tenant, "default");
  SetTokens("");
  EXPECT_EQ(ReasonWith({"Bearer later"}), v1::ERROR_REASON_CREDENTIALS_INVALID);
}

TEST_F(AnonymousTest, WhoIsOnThisMachineNeedsNone) {
  const auto caller = With({});
  ASSERT_TRUE(caller.ok()) << caller.status();
  EXPECT_EQ(caller->tenant, "default");
  EXPECT_EQ(caller->credential, "none");
}

TEST_F(AnonymousTest, WhoIsElsewhereDoes) {
  EXPECT_EQ(ReasonWith({}, /*is_local=*/false), v1::ERROR_REASON_CREDENTIALS_MISSING);
  EXPECT_TRUE(With({"Bearer one-token"}, /*is_local=*/false).ok());
}

TEST_F(AnonymousTest, WrongCredentialsAreNotNone) {
  EXPECT_EQ(ReasonWith({"Bearer wrong"}), v1::ERROR_REASON_CREDENTIALS_INVALID);
  EXPECT_EQ(ReasonWith({""}), v1::ERROR_REASON_CREDENTIALS_INVALID);
}

TEST_F(AnonymousTest, CertificatesNameTenants) {
  authenticator_.SetCertificates(std::make_shared<const CertificateTenants>(
      CertificateTenants{{"spiffe://x/one", "one"}, {"two.example", "two"}}));
  Presented presented{.certificate_names = {"other", "spiffe://x/one"}, .certificate_id = "7f"};
  const auto caller = authenticator_.Authenticate(presented);
  ASSERT_TRUE(caller.ok()) << caller.status();
  EXPECT_EQ(caller->tenant, "one");
  EXPECT_EQ(caller->credential, "certificate:7f");
  presented.authorization = {"Bearer one-token"};
  EXPECT_EQ(authenticator_.Authenticate(presented)->tenant, "one");
  presented.authorization = {"Bearer two-token"};
  EXPECT_FALSE(authenticator_.Authenticate(presented).ok());
  presented.authorization = {};
  presented.certificate_names = {"spiffe://x/one", "two.example"};
  EXPECT_FALSE(authenticator_.Authenticate(presented).ok());
  presented.certificate_names = {"nobody"};
  EXPECT_FALSE(authenticator_.Authenticate(presented).ok());
}

}  // namespace
}  // namespace cloister::identity
