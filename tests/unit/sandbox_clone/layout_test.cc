#include "sandbox/clone/layout.h"

#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/match.h"
#include "absl/types/span.h"
#include "gtest/gtest.h"

namespace cloister::sandbox {
namespace {

using Source = CloneBufferSource;

std::string Compose(std::string_view value, absl::Span<const CloneBufferSpec> buffers) {
  std::string clone;
  BeginClone(&clone);
  clone.append(value);
  EXPECT_TRUE(EndClone(buffers, CloneLimits{}, &clone).ok());
  return clone;
}

std::string ParseError(std::string_view clone, const CloneLimits& limits = {}) {
  const auto parts = ParseClone(clone, limits);
  return parts.ok() ? "OK" : std::string(parts.status().message());
}

TEST(CloneLayoutTest, IsWhatTheSpecificationSays) {
  std::string expected("CLN\x01\x01\0\0\0\x03\0\0\0\0\0\0\0", 16);
  expected += "abc";
  expected += std::string("\0\0\0\0\0\0\0\0\x30\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0", 24);
  expected += std::string(5, '\0') + "xy";
  EXPECT_EQ(Compose("abc", {{.content = "xy"}}), expected);
}

TEST(CloneLayoutTest, TakesApartWhatItComposed) {
  const std::string clone =
      Compose("value", {{.content = "first buffer"},
                        {.source = Source::kShared, .offset = 5, .size = uint64_t{1} << 40},
                        {.content = ""},
                        {.source = Source::kMoved, .index = 2, .size = 7},
                        {.content = std::string_view("\0\0", 2)},
                        {.source = Source::kDescriptor, .index = 1}});
  const auto parts = ParseClone(clone, CloneLimits{});
  ASSERT_TRUE(parts.ok()) << parts.status();
  EXPECT_EQ(parts->value, "value");
  ASSERT_EQ(parts->buffers.size(), 6);
  EXPECT_EQ(parts->descriptor_count, 2);
  const CloneBuffer& first = parts->buffers[0];
  EXPECT_EQ(clone.substr(first.offset, first.size), "first buffer");
  EXPECT_EQ(first.offset % kCloneBufferAlignment, 0);
  EXPECT_EQ(parts->buffers[1].source, Source::kShared);
  EXPECT_EQ(parts->buffers[1].index, 0);
  EXPECT_EQ(parts->buffers[1].offset, 5);
  EXPECT_EQ(parts->buffers[1].size, uint64_t{1} << 40);
  EXPECT_EQ(parts->buffers[2].size, 0);
  EXPECT_EQ(parts->buffers[3].source, Source::kMoved);
  EXPECT_EQ(clone.substr(parts->buffers[4].offset), std::string("\0\0", 2));
  EXPECT_EQ(parts->buffers[5].source, Source::kDescriptor);
  EXPECT_EQ(parts->buffers[5].index, 1);
}

TEST(CloneLayoutTest, KeepsTheEmptyBufferAtTheEnd) {
  const std::string clone = Compose("v", {{.content = ""}});
  EXPECT_EQ(clone.size() % kCloneBufferAlignment, 0);
  EXPECT_EQ(ParseError(clone), "OK");
}

TEST(CloneLayoutTest, RefusesEveryPrefixAndWhatFollows) {
  const std::string clone = Compose("value", {{.content = "a buffer"}, {.content = "b"}});
  for (size_t i = 0; i < clone.size(); ++i) {
    EXPECT_NE(ParseError(std::string_view(clone).substr(0, i)), "OK") << i;
  }
  EXPECT_TRUE(absl::StrContains(ParseError(clone + '\0'), "more behind the end"));
}

struct Change {
  size_t at;
  char to;
  const char* error;
};

TEST(CloneLayoutTest, RefusesWhatIsWrongInOnePlace) {
  // Header to 16, value to 19, entries at 19, 43 and 67, the first buffer from 96 to 98, the second
  // at 112.
  const std::string clone = Compose(
      "abc",
      {{.content = "xy"}, {.source = Source::kMoved, .index = 3, .size = 9}, {.content = "z"}});
  ASSERT_EQ(clone.size(), 113);
  const std::vector<Change> changes = {{0, 'c', "byte 0: is no clone"},
                                       {3, 2, "version 2 and not 1"},
                                       {7, 1, "more than 1000 buffers"},
                                       {4, 9, "the buffer table is larger"},
                                       {15, '\xff', "the value is larger"},
                                       {19, 4, "byte 19: a buffer of no known source"},
                                       {23, 1, "an inline buffer has an index"},
                                       {27, 97, "an inline buffer is at 97 and not at 96"},
                                       {35, 100, "ends behind the clone"},
                                       {42, '\xff', "ends behind the clone"},
                                       {51, 1, "byte 43: a moved buffer has an offset"},
                                       {92, 1, "byte 92: padding is not 0"},
                                       {98, 1, "byte 98: padding is not 0"}};
  for (const Change& change : changes) {
    std::string wrong = clone;
    wrong[change.at] = change.to;
    EXPECT_TRUE(absl::StrContains(ParseError(wrong), change.error))
        << change.at << ": " << ParseError(wrong);
  }
}

TEST(CloneLayoutTest, RefusesSharedMemoryThatEndsPastTheLastAddress) {
  const std::string clone =
      Compose("v", {{.source = Source::kShared, .offset = ~uint64_t{0}, .size = 2}});
  EXPECT_TRUE(absl::StrContains(ParseError(clone), "has no end"));
}

TEST(CloneLayoutTest, NamesEachDescriptorOnceAndInTurn) {
  const auto error = [](uint32_t first, uint32_t second) {
    return ParseError(Compose("v", {{.source = Source::kShared, .index = first, .size = 1},
                                    {.source = Source::kMoved, .index = 7},
                                    {.source = Source::kDescriptor, .index = second}}));
  };
  EXPECT_EQ(error(0, 1), "OK");
  EXPECT_EQ(error(0, 0), "clone, byte 65: descriptor 0 is named and not 1");
  EXPECT_EQ(error(1, 0), "clone, byte 17: descriptor 1 is named and not 0");
  EXPECT_EQ(error(0, 2), "clone, byte 65: descriptor 2 is named and not 1");
  EXPECT_EQ(ParseError(Compose("v", {{.source = Source::kDescriptor, .size = 1}})),
            "clone, byte 17: a descriptor has a size");
  EXPECT_EQ(ParseError(Compose("v", {{.source = Source::kDescriptor, .offset = 1}})),
            "clone, byte 17: a descriptor has a size");
  std::vector<CloneBufferSpec> many;
  for (uint32_t i = 0; i < 64; ++i) many.push_back({.source = Source::kDescriptor, .index = i});
  EXPECT_EQ(ParseError(Compose("v", many)), "more than 63 descriptors");
  many.pop_back();
  EXPECT_EQ(ParseError(Compose("v", many)), "OK");
}

TEST(CloneLayoutTest, HoldsItsLimits) {
  const std::string clone = Compose("v", {{.content = "1"}, {.content = "2"}});
  EXPECT_EQ(ParseError(clone, {.bytes = clone.size(), .buffers = 2}), "OK");
  EXPECT_EQ(ParseError(clone, {.bytes = clone.size() - 1}), "clone is larger than 96 bytes");
  EXPECT_EQ(ParseError(clone, {.buffers = 1}), "more than 1 buffers");
  std::string other;
  BeginClone(&other);
  EXPECT_EQ(EndClone({{.content = "123"}}, {.bytes = 50}, &other).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(EndClone({{.content = "1"}, {.content = "2"}}, {.buffers = 1}, &other).code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace cloister::sandbox
