// Arguments of host calls: each comes as a Value by itself, with what it refers to.

#include "service/rpc/host_call_values.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "sandbox/clone/value.h"

namespace cloister::rpc {
namespace {

using sandbox::CloneFromValue;
using sandbox::kResultCloneLimits;
using v1::Value;

std::string CloneOf(const Value& value) { return *CloneFromValue(value, kResultCloneLimits); }

TEST(HostCallValuesTest, ArgumentsAndNamesComeApart) {
  Value arguments;
  arguments.mutable_tuple_value()->add_items()->set_int_value(1);
  arguments.mutable_tuple_value()->add_items()->set_string_value("two");
  Value named;
  named.mutable_dict_value()->add_keys()->set_string_value("name");
  named.mutable_dict_value()->add_values()->set_bool_value(true);
  internal::v1::CallHost call;
  call.set_function("f");
  call.set_arguments(CloneOf(arguments));
  call.set_keyword_arguments(CloneOf(named));
  v1::HostCall told;
  ASSERT_TRUE(FillHostCall(call, &told).ok());
  EXPECT_EQ(told.function(), "f");
  ASSERT_EQ(told.arguments_size(), 2);
  EXPECT_EQ(told.arguments(0).int_value(), 1);
  EXPECT_EQ(told.arguments(1).string_value(), "two");
  EXPECT_TRUE(told.keyword_arguments().at("name").bool_value());
}

TEST(HostCallValuesTest, WhatIsSharedGoesWithEach) {
  // f([a, a], {"k": b}, b) with a = [], b = [a]
  Value arguments;
  v1::Items& items = *arguments.mutable_tuple_value();
  Value& first = *items.add_items();
  first.mutable_list_value()->add_items()->set_reference(0);
  first.mutable_list_value()->add_items()->set_reference(0);
  Value& second = *items.add_items();
  second.mutable_dict_value()->add_keys()->set_string_value("k");
  second.mutable_dict_value()->add_values()->set_reference(1);
  items.add_items()->set_reference(1);
  arguments.add_shared()->mutable_list_value();
  arguments.add_shared()->mutable_list_value()->add_items()->set_reference(0);
  internal::v1::CallHost call;
  call.set_arguments(CloneOf(arguments));
  v1::HostCall told;
  ASSERT_TRUE(FillHostCall(call, &told).ok());
  ASSERT_EQ(told.arguments_size(), 3);
  for (const Value& argument : told.arguments()) {
    EXPECT_TRUE(CloneFromValue(argument, kResultCloneLimits).ok()) << argument.DebugString();
  }
  EXPECT_EQ(told.arguments(0).shared_size(), 1);
  EXPECT_EQ(told.arguments(1).shared_size(), 2);
  EXPECT_EQ(told.arguments(1).shared(0).list_value().items(0).reference(), 1u);
  EXPECT_EQ(told.arguments(2).reference(), 0u);
}

TEST(HostCallValuesTest, CyclesStayCycles) {
  Value arguments;
  arguments.mutable_tuple_value()->add_items()->set_reference(0);
  arguments.add_shared()->mutable_list_value()->add_items()->set_reference(0);
  internal::v1::CallHost call;
  call.set_arguments(CloneOf(arguments));
  v1::HostCall told;
  ASSERT_TRUE(FillHostCall(call, &told).ok());
  EXPECT_TRUE(CloneFromValue(told.arguments(0), kResultCloneLimits).ok());
}

TEST(HostCallValuesTest, SharingThatMultipliesIsRefused) {
  Value arguments;
  for (int i = 0; i < 1000; ++i) arguments.mutable_tuple_value()->add_items()->set_reference(0);
  arguments.add_shared()->set_bytearray_value(std::string(1 << 20, 'x'));
  internal::v1::CallHost call;
  call.set_arguments(CloneOf(arguments));
  v1::HostCall told;
  const absl::Status refused = FillHostCall(call, &told);
  EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(refused.message()), ::testing::HasSubstr("share too much"));
}

// Few bytes, many Values: each takes a hundred bytes in memory.
TEST(HostCallValuesTest, SharingOfManySmallValuesIsRefusedToo) {
  Value arguments;
  for (int i = 0; i < 400; ++i) arguments.mutable_tuple_value()->add_items()->set_reference(0);
  v1::Items& shared = *arguments.add_shared()->mutable_list_value();
  for (int i = 0; i < 10'000; ++i) shared.add_items()->set_singleton(v1::SINGLETON_NONE);
  internal::v1::CallHost call;
  call.set_arguments(CloneOf(arguments));
  v1::HostCall told;
  EXPECT_EQ(FillHostCall(call, &told).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_LT(told.SpaceUsedLong(), size_t{20} << 20) << "noticed before it is all there";
}

TEST(HostCallValuesTest, NamesAreText) {
  Value named;
  named.mutable_dict_value()->add_keys()->set_int_value(1);
  named.mutable_dict_value()->add_values()->set_int_value(1);
  internal::v1::CallHost call;
  call.set_keyword_arguments(CloneOf(named));
  v1::HostCall told;
  EXPECT_FALSE(FillHostCall(call, &told).ok());
}

}  // namespace
}  // namespace cloister::rpc
