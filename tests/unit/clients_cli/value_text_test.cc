// Values as they are typed, and as they are shown.

#include "clients/cli/commands/value_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "clients/cli/commands/value_json.h"

namespace cloister::cli {
namespace {

using ::testing::HasSubstr;

std::string ShownOf(const std::string& json) {
  const absl::StatusOr<v1::Value> value = ValueFromJson(json);
  return value.ok() ? ValueText(*value) : std::string(value.status().message());
}

TEST(ValueTextTest, JsonIsShownAsPythonWould) {
  EXPECT_EQ(ShownOf("null"), "None");
  EXPECT_EQ(ShownOf("[true, false, -3, 9007199254740993]"), "[True, False, -3, 9007199254740993]");
  EXPECT_EQ(ShownOf("[1.0, 0.1, 1e300, -0.0]"), "[1.0, 0.1, 1e+300, -0.0]");
  EXPECT_EQ(ShownOf(R"({"a": {"b": []}, "ä": "it's\n"})"), R"({'a': {'b': []}, 'ä': 'it\'s\n'})");
}

TEST(ValueTextTest, WhatIsNoJsonSaysWhatToDo) {
  EXPECT_THAT(ShownOf("hello"), HasSubstr("text needs quotes"));
  EXPECT_THAT(ShownOf("[1, 2"), HasSubstr("not usable JSON"));
  EXPECT_THAT(ShownOf(""), HasSubstr("not usable JSON"));
  EXPECT_THAT(ShownOf("18446744073709551616"), HasSubstr("beyond 64 bits"));
  EXPECT_THAT(ShownOf("9223372036854775808"), HasSubstr("beyond 64 bits"));
  EXPECT_THAT(ShownOf(R"({"a": 1, "a": 2})"), HasSubstr("\"a\" twice"));
  EXPECT_THAT(ShownOf(std::string(50, '[') + std::string(50, ']')), HasSubstr("more than 40"));
}

TEST(ValueTextTest, KindsThatJsonHasNot) {
  v1::Value value;
  value.set_big_int_value(std::string("\0\0\0\0\0\0\0\0\1", 9));
  EXPECT_EQ(ValueText(value), "18446744073709551616");
  value.set_big_int_value("\xff");
  EXPECT_EQ(ValueText(value), "-1");
  value.mutable_tuple_value()->add_items()->set_int_value(1);
  EXPECT_EQ(ValueText(value), "(1,)");
  value.mutable_set_value();
  EXPECT_EQ(ValueText(value), "set()");
  value.set_bytes_value(std::string("\0a", 2));
  EXPECT_EQ(ValueText(value), "b'\\x00\\x61'");
  value.mutable_object_value()->set_kind(v1::Object::KIND_TIMEDELTA);
  value.mutable_object_value()->add_fields()->set_int_value(7);
  EXPECT_EQ(ValueText(value), "timedelta(7)");
}

TEST(ValueTextTest, ACycleEnds) {
  v1::Value value;
  value.set_reference(0);
  value.add_shared()->mutable_list_value()->add_items()->set_reference(0);
  EXPECT_EQ(ValueText(value), "[...]");
  value.set_reference(9);
  EXPECT_EQ(ValueText(value), "?");
}

TEST(ValueTextTest, HostileValuesAreCut) {
  v1::Value value;
  v1::Value* inner = &value;
  for (int i = 0; i < 200; ++i) inner = inner->mutable_list_value()->add_items();
  EXPECT_THAT(ValueText(value), HasSubstr("…"));
  // Each refers twice to the next: 2^60 places.
  v1::Value doubling;
  doubling.set_reference(0);
  for (uint32_t i = 1; i <= 60; ++i) {
    v1::Items* pair = doubling.add_shared()->mutable_list_value();
    pair->add_items()->set_reference(i);
    pair->add_items()->set_reference(i);
  }
  doubling.add_shared()->set_int_value(1);
  EXPECT_LT(ValueText(doubling).size(), size_t{3} << 20);
}

}  // namespace
}  // namespace cloister::cli
