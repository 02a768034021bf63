#include "sandbox/linux/user_namespace.h"

#include "gtest/gtest.h"

namespace cloister::sandbox {
namespace {

TEST(FormatIdMapTest, WritesOneLinePerRange) {
  EXPECT_EQ(FormatIdMap({}), "");
  EXPECT_EQ(FormatIdMap({{.inside = 0, .outside = 100000, .count = 65536}}), "0 100000 65536\n");
  EXPECT_EQ(FormatIdMap({{.inside = 1000, .outside = 0}, {.inside = 5, .outside = 4294967294}}),
            "1000 0 1\n5 4294967294 1\n");
}

}  // namespace
}  // namespace cloister::sandbox
