// Whatever a guest names its files: what is told of them is UTF-8, and short.

#include "sandbox/base/foreign_text.h"

#include <gtest/gtest.h>

#include <string>

#include "cloister/internal/v1/spawner.pb.h"

namespace cloister::sandbox {
namespace {

constexpr size_t kPlenty = 1000;

TEST(ForeignTextTest, KeepsWhatIsText) {
  EXPECT_EQ(ForeignText("/workspace/plain", kPlenty), "/workspace/plain");
  EXPECT_EQ(ForeignText("caf\u00e9 \u4e16 \U0001f600", kPlenty), "caf\u00e9 \u4e16 \U0001f600");
  EXPECT_EQ(ForeignText("", kPlenty), "");
}

TEST(ForeignTextTest, EscapesWhatIsNone) {
  EXPECT_EQ(ForeignText("caf\xe9", kPlenty), "caf\\xe9");
  EXPECT_EQ(ForeignText("a\nb\x1b[2J\x7f", kPlenty), "a\\x0ab\\x1b[2J\\x7f");
  EXPECT_EQ(ForeignText(std::string_view("a\0b", 3), kPlenty), "a\\x00b");
  EXPECT_EQ(ForeignText("\xc0\xaf", kPlenty), "\\xc0\\xaf") << "overlong";
  EXPECT_EQ(ForeignText("\xed\xa0\x80", kPlenty), "\\xed\\xa0\\x80") << "a surrogate";
  EXPECT_EQ(ForeignText("\xf4\x90\x80\x80", kPlenty), "\\xf4\\x90\\x80\\x80") << "beyond Unicode";
  EXPECT_EQ(ForeignText("\xe4\xb8", kPlenty), "\\xe4\\xb8") << "the end is missing";
}

TEST(ForeignTextTest, CutsBetweenCharacters) {
  EXPECT_EQ(ForeignText("123456", 6), "123456");
  EXPECT_EQ(ForeignText("1234567", 6), "123...");
  EXPECT_EQ(ForeignText("12\u4e16\u4e16", 6), "12...");
  EXPECT_EQ(ForeignText("12\xff\xff", 9), "12\\xff...");
  for (size_t bytes = 3; bytes < 40; ++bytes) {
    EXPECT_LE(ForeignText("\u4e16\xff\u4e16\n\u00e9 and more of it\xff", bytes).size(), bytes);
  }
}

TEST(ForeignTextTest, EveryByteMakesAMessageThatParses) {
  for (int first = 0; first < 256; ++first) {
    for (int second = 0; second < 256; ++second) {
      const char bytes[] = {static_cast<char>(first), static_cast<char>(second), 'x'};
      internal::v1::CloneFailed failed;
      failed.set_stage(ForeignText({bytes, sizeof(bytes)}, 8));
      ASSERT_TRUE(internal::v1::CloneFailed().ParseFromString(failed.SerializeAsString()))
          << first << ' ' << second;
    }
  }
}

TEST(ForeignTextTest, ProseIsOneLine) {
  EXPECT_EQ(ForeignLine("\n\none\r\n\ttwo   three \x07\n"), "one two three \\x07");
  EXPECT_EQ(ForeignLine(""), "");
  EXPECT_EQ(ForeignLine("one two three", 9), "one tw...");
  EXPECT_LE(ForeignLine(std::string(1 << 20, 'x')).size(), 300u);
  EXPECT_EQ(ForeignLine("one" + std::string(5000, ' ') + "two"), "one...") << "a cut is told";
}

}  // namespace
}  // namespace cloister::sandbox
