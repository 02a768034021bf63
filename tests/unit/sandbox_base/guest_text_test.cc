#include "sandbox/base/guest_text.h"

#include "gtest/gtest.h"

namespace cloister::sandbox {
namespace {

TEST(GuestTextTest, KeepsWhatPeopleWrite) {
  EXPECT_EQ(TameGuestText("No module named 'käse'"), "No module named 'käse'");
  EXPECT_EQ(TameGuestText(""), "");
}

TEST(GuestTextTest, IsOneLineThatNoTerminalObeys) {
  EXPECT_EQ(TameGuestText("one\r\n\ttwo   three"), "one two three");
  EXPECT_EQ(TameGuestText("\x1b[31mred\x07"), "?[31mred?");
  EXPECT_EQ(TameGuestText("\u009b31m"), "?31m");
  EXPECT_EQ(TameGuestText(std::string("a\0b", 3)), "a?b");
}

TEST(GuestTextTest, IsCutBetweenCharacters) {
  EXPECT_EQ(TameGuestText("abcdef", 6), "abcdef");
  EXPECT_EQ(TameGuestText("abcdefg", 6), "abcdef…");
  EXPECT_EQ(TameGuestText("ää", 3), "ä…");
  EXPECT_EQ(TameGuestText("\U0001F600\U0001F600", 7), "\U0001F600…");
  EXPECT_EQ(TameGuestText("ä", 1), "…");
}

}  // namespace
}  // namespace cloister::sandbox
