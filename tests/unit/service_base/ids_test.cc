#include "service/base/ids.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace cloister::base {
namespace {

TEST(IdsTest, HaveTwentySixCharactersOfBase32) {
  const std::string id = NewId();
  EXPECT_EQ(id.size(), 26u);
  EXPECT_EQ(id.find_first_not_of("abcdefghijklmnopqrstuvwxyz234567"), std::string::npos) << id;
}

TEST(IdsTest, DoNotRepeatAndUseEveryCharacter) {
  std::set<std::string> ids;
  std::set<char> characters;
  for (int i = 0; i < 10'000; ++i) {
    const std::string id = NewId();
    ids.insert(id);
    characters.insert(id.begin(), id.end());
  }
  EXPECT_EQ(ids.size(), 10'000u);
  EXPECT_EQ(characters.size(), 32u);
}

}  // namespace
}  // namespace cloister::base
