#include "service/identity/token_table.h"

#include <string>
#include <unordered_set>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace cloister::identity {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const std::unordered_set<std::string> kTenants = {"default", "one", "two"};

std::string Entry(const std::string& token, const std::string& tenant,
                  const std::string& more = "") {
  return absl::StrCat("token { sha256: '", TokenDigest::Of(token).Hex(), "' tenant: '", tenant,
                      "' ", more, " }\n");
}

TEST(TokenDigestTest, IsTheHashThatOtherToolsMake) {
  // printf abc | sha256sum
  const std::string known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  const std::string upper = "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD";
  EXPECT_EQ(TokenDigest::Of("abc").Hex(), known);
  EXPECT_EQ(TokenDigest::Of("abc").ShortHex(), "ba7816bf");
  EXPECT_TRUE(TokenDigest::FromHex(known)->Equals(TokenDigest::Of("abc")));
  EXPECT_TRUE(TokenDigest::FromHex(upper)->Equals(TokenDigest::Of("abc")));
  EXPECT_FALSE(TokenDigest::Of("abd").Equals(TokenDigest::Of("abc")));
  for (const std::string& bad :
       {std::string(), std::string("ba78"), "gg" + known.substr(2), known + "0"}) {
    EXPECT_FALSE(TokenDigest::FromHex(bad).has_value()) << bad;
  }
}

TEST(TokenTableTest, FindsEachTokenAndNoOther) {
  const auto table = TokenTable::Parse(
      Entry("a", "one") + Entry("b", "two", "expires { seconds: 100 } comment: 'for b'"), "file",
      kTenants);
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ(table->size(), 2);
  EXPECT_EQ(table->Find("a")->tenant, "one");
  EXPECT_EQ(table->Find("a")->expires, absl::InfiniteFuture());
  EXPECT_EQ(table->Find("b")->expires, absl::FromUnixSeconds(100));
  for (const char* other : {"", "A", "aa", "b "}) EXPECT_EQ(table->Find(other), nullptr) << other;
  EXPECT_EQ(TokenTable().Find("a"), nullptr);
}

TEST(TokenTableTest, AnEmptyFileHasNoTokens) {
  const auto table = TokenTable::Parse("# none yet\n", "file", kTenants);
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ(table->size(), 0);
}

TEST(TokenTableTest, NamesTheEntryAndTheFieldThatIsWrong) {
  const struct {
    std::string text;
    std::string says;
  } cases[] = {
      {"token { tenant: 'one' }", "file: token[0].sha256: must be 64"},
      {"token { sha256: 'xyz' tenant: 'one' }", "file: token[0].sha256: must be 64"},
      {Entry("a", "one") + Entry("b", "three"), "file: token[1].tenant: is none"},
      {Entry("a", ""), "file: token[0].tenant: is none"},
      {Entry("a", "one") + Entry("a", "two"), "file: token[1].sha256: is there twice"},
      {Entry("a", "one", "expires { seconds: -5 }"), "file: token[0].expires: is no time"},
      {Entry("a", "one", "expires { seconds: 999999999999999 }"), "file: token[0].expires: is no"},
      {"token {\n sha256: 'x' nonsense: 3 }", "file:2:"},
      {std::string(kMaximumTokenFileBytes + 1, '#'), "must have at most"},
  };
  for (const auto& [text, says] : cases) {
    const auto table = TokenTable::Parse(text, "file", kTenants);
    EXPECT_EQ(table.status().code(), absl::StatusCode::kInvalidArgument) << says;
    EXPECT_THAT(std::string(table.status().message()), HasSubstr(says));
  }
}

TEST(TokenTableTest, NeverRepeatsWhatStandsInTheFile) {
  // Where somebody writes the token itself, in whatever place.
  const std::string secret = "cloister_0123456789abcdef";
  for (const std::string& text : {absl::StrCat("token { sha256: '", secret, "' tenant: 'one' }"),
                                  absl::StrCat("token { sha256: ", secret, " tenant: 'one' }"),
                                  secret, absl::StrCat("token { ", secret, ": 'one' }"),
                                  absl::StrCat("token { sha256: '' tenant: '", secret, "' }"),
                                  absl::StrCat("token { sha256: '", secret)}) {
    const auto table = TokenTable::Parse(text, "file", kTenants);
    ASSERT_FALSE(table.ok()) << text;
    EXPECT_THAT(std::string(table.status().message()), Not(HasSubstr(secret)));
    EXPECT_THAT(std::string(table.status().message()), HasSubstr("file"));
  }
}

TEST(TokenTableTest, HasABoundOfTokens) {
  std::string text;
  for (int i = 0; i < 100; ++i) absl::StrAppend(&text, Entry(absl::StrCat("t", i), "one"));
  EXPECT_EQ(TokenTable::Parse(text, "file", kTenants)->size(), 100);
  // Short ones, so that their number is what is too much.
  std::string many;
  for (int i = 0; i <= kMaximumTokens; ++i) absl::StrAppend(&many, "token{}");
  EXPECT_THAT(std::string(TokenTable::Parse(many, "file", kTenants).status().message()),
              HasSubstr("10000 tokens"));
}

}  // namespace
}  // namespace cloister::identity
