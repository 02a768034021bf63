#include "clients/cli/commands/units.h"

#include "gtest/gtest.h"

namespace cloister::cli {
namespace {

TEST(ParseDurationTest, UnderstandsUnitsAndPlainSeconds) {
  EXPECT_EQ(*ParseDuration("5s"), absl::Seconds(5));
  EXPECT_EQ(*ParseDuration("250ms"), absl::Milliseconds(250));
  EXPECT_EQ(*ParseDuration("1m30s"), absl::Seconds(90));
  EXPECT_EQ(*ParseDuration("1.5m"), absl::Seconds(90));
  EXPECT_EQ(*ParseDuration("10"), absl::Seconds(10));
  EXPECT_EQ(*ParseDuration("0.5"), absl::Milliseconds(500));
}

TEST(ParseDurationTest, RefusesWhatIsNoPositiveTime) {
  for (const char* text :
       {"", "s", "5x", "-5s", "0", "0s", "inf", "nan", "1e3", "5 s", "9999999h", "..1"}) {
    EXPECT_FALSE(ParseDuration(text).ok()) << text;
  }
}

TEST(ParseSizeTest, UnderstandsBinaryUnits) {
  EXPECT_EQ(*ParseSize("1000"), 1000);
  EXPECT_EQ(*ParseSize("64k"), 65536);
  EXPECT_EQ(*ParseSize("256M"), int64_t{256} << 20);
  EXPECT_EQ(*ParseSize("256MB"), int64_t{256} << 20);
  EXPECT_EQ(*ParseSize("256 MiB"), int64_t{256} << 20);
  EXPECT_EQ(*ParseSize("1.5G"), int64_t{1536} << 20);
  EXPECT_EQ(*ParseSize("7b"), 7);
}

TEST(ParseSizeTest, RefusesWhatIsNoPositiveSize) {
  for (const char* text :
       {"", "M", "-1", "0", "12Q", "1e9", "0x10", "5MM", "9999999999T", "ib", "4 4"}) {
    EXPECT_FALSE(ParseSize(text).ok()) << text;
  }
}

TEST(ParseCountTest, KnowsItsRange) {
  EXPECT_EQ(*ParseCount("64", 100), 64);
  for (const char* text : {"", "0", "-1", "101", "x", "1.5"})
    EXPECT_FALSE(ParseCount(text, 100).ok()) << text;
}

TEST(UnitsTextTest, IsShort) {
  EXPECT_EQ(DurationText(absl::Microseconds(12)), "12 µs");
  EXPECT_EQ(DurationText(absl::Microseconds(12340)), "12.3 ms");
  EXPECT_EQ(DurationText(absl::Milliseconds(1500)), "1.50 s");
  EXPECT_EQ(SizeText(512), "512 B");
  EXPECT_EQ(SizeText(1536), "1.5 KiB");
  EXPECT_EQ(SizeText(int64_t{256} << 20), "256 MiB");
}

TEST(UnitsProtoTest, RoundTrips) {
  const absl::Duration duration = absl::Seconds(3) + absl::Nanoseconds(7);
  EXPECT_EQ(ToProto(duration).seconds(), 3);
  EXPECT_EQ(ToProto(duration).nanos(), 7);
  EXPECT_EQ(FromProto(ToProto(duration)), duration);
}

}  // namespace
}  // namespace cloister::cli
