#include "sandbox/clone/value.h"

#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "google/protobuf/text_format.h"
#include "google/protobuf/util/message_differencer.h"
#include "gtest/gtest.h"
#include "sandbox/clone/check.h"
#include "tests/unit/sandbox_clone/clone_builder.h"

namespace cloister::sandbox {
namespace {

using google::protobuf::util::MessageDifferencer;

v1::Value Parse(const std::string& text) {
  v1::Value value;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &value)) << text;
  return value;
}

std::string Show(const v1::Value& value) { return value.ShortDebugString(); }

v1::Value FromClone(const std::string& clone) {
  const auto value = ValueFromClone(clone, kValueCloneLimits);
  EXPECT_TRUE(value.ok()) << value.status();
  return value.ok() ? *value : v1::Value();
}

std::string ValueError(const v1::Value& value, const CloneLimits& limits = kValueCloneLimits) {
  const auto clone = CloneFromValue(value, limits);
  if (clone.ok()) return "OK";
  EXPECT_EQ(clone.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(clone.status().message());
}

std::string ParsedError(const std::string& text) { return ValueError(Parse(text)); }

// A clone in its normal form, and the Value it is.
struct Pair {
  std::string value;
  std::string text;
  std::vector<CloneBufferSpec> buffers = {};
};

TEST(CloneValueTest, BothFormsSayTheSame) {
  const std::string nine("\x01\x02\x03\x04\x05\x06\x07\x08\x09", 9);
  const std::vector<Pair> pairs = {
      {None(), "singleton: SINGLETON_NONE"},
      {Piece({.tag = CloneTag::kEllipsis}), "singleton: SINGLETON_ELLIPSIS"},
      {Piece({.tag = CloneTag::kNotImplemented}), "singleton: SINGLETON_NOT_IMPLEMENTED"},
      {Piece({.tag = CloneTag::kFalse}), "bool_value: false"},
      {True(), "bool_value: true"},
      {Int(-128), "int_value: -128"},
      {Int(128), "int_value: 128"},
      {Int(INT64_MIN), "int_value: -9223372036854775808"},
      {Content(CloneTag::kBigInt, nine),
       R"(big_int_value: "\x01\x02\x03\x04\x05\x06\x07\x08\x09")"},
      {Content(CloneTag::kFloat, std::string("\0\0\0\0\0\0\xf8\x3f", 8)), "float_value: 1.5"},
      {Content(CloneTag::kComplex, std::string("\0\0\0\0\0\0\xf8\x3f\0\0\0\0\0\0\0\x80", 16)),
       "complex_value { real: 1.5 imaginary: -0.0 }"},
      {Text("abc"), "string_value: 'abc'"},
      {Text("\xC3\xA9"), "string_value: '\xC3\xA9'"},
      {Text("\xED\xA0\x80"), R"(surrogate_string_value: "\xED\xA0\x80")"},
      {Bytes(std::string("\0\xff", 2)), R"(bytes_value: "\x00\xff")"},
      {Content(CloneTag::kBytearray, "x"), "bytearray_value: 'x'"},
      {Tuple({Int(1)}), "tuple_value { items { int_value: 1 } }"},
      {List({Int(1), List({})}), "list_value { items { int_value: 1 } items { list_value {} } }"},
      {Set({Int(1)}), "set_value { items { int_value: 1 } }"},
      {Frozenset({}), "frozenset_value {}"},
      {Dict({Text("b"), Int(1), Text("a"), Int(2)}),
       "dict_value { keys { string_value: 'b' } values { int_value: 1 }"
       "             keys { string_value: 'a' } values { int_value: 2 } }"},
      {Of(CloneTag::kFrozendict, {Int(1), None()}),
       "frozendict_value { keys { int_value: 1 } values { singleton: SINGLETON_NONE } }"},
      {Of(CloneKind::kRange, {Int(1), Int(2), Int(3)}),
       "object_value { kind: KIND_RANGE fields { int_value: 1 } fields { int_value: 2 }"
       "               fields { int_value: 3 } }"},
      {Of(CloneKind::kRegistered, {Global(), None()}),
       "object_value { kind: KIND_REGISTERED"
       "  fields { object_value { kind: KIND_GLOBAL fields { string_value: 'm' }"
       "                          fields { string_value: 'C' } } }"
       "  fields { singleton: SINGLETON_NONE } }"},
      {List({Of(CloneKind::kArray, {Text("b"), Int(1), Buf(0)}),
             Of(CloneKind::kArray, {Text("B"), Int(1), Buf(1)})}),
       "list_value { items { object_value { kind: KIND_ARRAY fields { string_value: 'b' }"
       "                     fields { int_value: 1 } fields { buffer_value: 'one' } } }"
       "             items { object_value { kind: KIND_ARRAY fields { string_value: 'B' }"
       "                     fields { int_value: 1 } fields { buffer_value: 'two' } } } }",
       {{.content = "one"}, {.content = "two"}}},
      {List({Numbered(Text("a")), Ref(0)}),
       "list_value { items { reference: 0 } items { reference: 0 } }"
       "shared { string_value: 'a' }"},
      {Numbered(List({Ref(0)})), "reference: 0 shared { list_value { items { reference: 0 } } }"},
      {List({Numbered(Tuple({Numbered(List({Ref(0), Ref(1)}))}))}),
       "list_value { items { reference: 0 } }"
       "shared { tuple_value { items { reference: 1 } } }"
       "shared { list_value { items { reference: 0 } items { reference: 1 } } }"}};
  for (const Pair& pair : pairs) {
    const std::string clone = Clone(pair.value, pair.buffers);
    const v1::Value value = Parse(pair.text);
    EXPECT_TRUE(MessageDifferencer::Equals(FromClone(clone), value)) << Show(FromClone(clone));
    const auto back = CloneFromValue(value, kValueCloneLimits);
    ASSERT_TRUE(back.ok()) << back.status() << Show(value);
    EXPECT_EQ(*back, clone) << Show(value);
  }
}

// What exists inside one sandbox only.
TEST(CloneValueTest, IsNoHandle) {
  const std::string clone =
      Clone(List({Int(1), Of(CloneKind::kSharedBuffer, {Buf(0), True(), True()})}),
            {{.source = CloneBufferSource::kShared, .size = 4}});
  EXPECT_EQ(ValueFromClone(clone, kValueCloneLimits).status().message(),
            "clone, byte 20, $[1]: SHARED_BUFFER cannot leave its sandbox");
  for (const int kind : {30, 31, 32}) {
    v1::Value value;
    auto* object = value.mutable_list_value()->add_items()->mutable_object_value();
    object->set_kind(static_cast<v1::Object::Kind>(kind));
    object->add_fields()->set_buffer_value("x");
    EXPECT_EQ(CloneFromValue(value, kValueCloneLimits).status().message(),
              "$[0]: there is no kind " + std::to_string(kind) + " of objects");
  }
}

TEST(CloneValueTest, KeepsThePayloadOfNotANumber) {
  const std::string bits("\x01\x02\x03\x04\x05\x06\xf0\xff", 8);
  const std::string clone = Clone(Content(CloneTag::kFloat, bits));
  const v1::Value value = FromClone(clone);
  v1::Value sent;
  ASSERT_TRUE(sent.ParseFromString(value.SerializeAsString()));
  EXPECT_EQ(*CloneFromValue(sent, kValueCloneLimits), clone);
}

TEST(CloneValueTest, NumbersOnlyWhatIsReferredTo) {
  const std::string clone =
      Clone(List({Numbered(List({})), Numbered(Text("a")), Numbered(Text("b")), Ref(2)}));
  const std::string normal = Clone(List({List({}), Text("a"), Numbered(Text("b")), Ref(0)}));
  EXPECT_EQ(*CloneFromValue(FromClone(clone), kValueCloneLimits), normal);
}

TEST(CloneValueTest, ShortensWhatIsLongerThanItNeedBe) {
  EXPECT_EQ(*CloneFromValue(Parse(R"(big_int_value: "\x05")"), kValueCloneLimits), Clone(Int(5)));
  EXPECT_EQ(*CloneFromValue(Parse(R"(big_int_value: "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")"),
                            kValueCloneLimits),
            Clone(Int(-1)));
  EXPECT_EQ(*CloneFromValue(Parse(R"(big_int_value: "\x00\x80\x00")"), kValueCloneLimits),
            Clone(Int(32768)));
  EXPECT_EQ(*CloneFromValue(Parse(R"(surrogate_string_value: "a")"), kValueCloneLimits),
            Clone(Text("a")));
}

TEST(CloneValueTest, SharedValuesWithoutIdentityAreWrittenEachTime) {
  EXPECT_EQ(*CloneFromValue(Parse("list_value { items { reference: 0 } items { reference: 0 } }"
                                  "shared { int_value: 7 }"),
                            kValueCloneLimits),
            Clone(List({Int(7), Int(7)})));
}

TEST(CloneValueTest, LiesNoDeeperThanParsersOfProtobufGo) {
  std::string deep = Int(7);
  for (int i = 0; i < 999; ++i) deep = List({deep});
  const std::string clone = Clone(deep);
  const v1::Value value = FromClone(clone);
  EXPECT_EQ(value.shared_size(), 35);
  v1::Value sent;
  ASSERT_TRUE(sent.ParseFromString(value.SerializeAsString()));
  EXPECT_EQ(*CloneFromValue(sent, kValueCloneLimits), clone);
}

TEST(CloneValueTest, RefusesClonesThatAreNone) {
  EXPECT_FALSE(ValueFromClone("", kValueCloneLimits).ok());
  EXPECT_FALSE(ValueFromClone(Clone(List({Ref(0)})), kValueCloneLimits).ok());
  const std::string shared = Clone(Of(CloneKind::kArray, {Text("b"), Int(1), Buf(0)}),
                                   {{.source = CloneBufferSource::kShared, .size = 4}});
  EXPECT_FALSE(ValueFromClone(shared, kValueCloneLimits).ok());
}

TEST(CloneValueTest, NamesTheWayToWhatIsWrong) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "$: the Value is empty"},
      {"text: 'x'", "$: `text` and `bundle` are for results only"},
      {"bundle {}", "$: `text` and `bundle` are for results only"},
      {"singleton: SINGLETON_UNSPECIFIED", "$: there is no singleton 0"},
      {"object_value {}", "$: there is no kind 0 of objects"},
      {"big_int_value: ''", "$: big_int_value is empty"},
      {R"(surrogate_string_value: "\xff")",
       "$: surrogate_string_value is no UTF-8, with or without surrogates"},
      {"list_value { items { int_value: 1 } items {} }", "$[1]: the Value is empty"},
      {"dict_value { keys { int_value: 1 } }", "$: has 1 keys and 0 values"},
      {"dict_value { keys { string_value: 'users' } values { list_value { items {} } } }",
       "$.users[0]: the Value is empty"},
      {"dict_value { keys { list_value {} } values { int_value: 1 } }",
       "$.keys()[0]: is not hashable"},
      {"set_value { items { tuple_value { items { set_value {} } } } }", "${0}: is not hashable"},
      {"object_value { kind: KIND_RANGE }", "$: RANGE has 0 fields and not 3"},
      {"object_value { kind: KIND_DECIMAL fields { int_value: 1 } }",
       "$.text: INT8 stands where text belongs"},
      {"buffer_value: 'x'", "$: BUFFER stands where a value belongs"},
      {"list_value { items { int_value: 1 shared { int_value: 2 } } }",
       "$[0]: `shared` is of the outermost Value only"},
      {"reference: 0 shared { int_value: 1 shared { int_value: 1 } }",
       "$: `shared` is of the outermost Value only"},
      {"reference: 1 shared { int_value: 1 }", "$: refers to shared[1], and there are 1"},
      {"int_value: 1 shared { int_value: 1 }", "shared[0]: nothing refers to it"},
      {"int_value: 1 shared { list_value { items { reference: 0 } } }",
       "shared[0]: nothing refers to it"},
      {"reference: 0 shared { reference: 0 }", "$: an entry of `shared` is a `reference` itself"},
      {"reference: 0 shared { tuple_value { items { reference: 0 } } }",
       "$[0]: TUPLE is in itself"},
      {"reference: 0 shared { frozendict_value { keys { int_value: 1 } values { reference: 0 } } }",
       "$[1]: is in a cycle through FROZENDICT, which cannot be made before what is inside it"}};
  for (const auto& [text, error] : cases) EXPECT_EQ(ParsedError(text), error) << text;
}

TEST(CloneValueTest, TextIsUtf8) {
  v1::Value value;
  value.set_string_value("\xED\xA0\x80");
  EXPECT_EQ(ValueError(value), "$: string_value is no UTF-8");
}

TEST(CloneValueTest, ReferencesDoNotMultiplyWhatIsWritten) {
  v1::Value value;
  value.set_reference(0);
  for (uint32_t i = 0; i < 1000; ++i) {
    auto* items = value.add_shared()->mutable_list_value();
    if (i % 2 == 1) continue;
    for (int j = 0; j < 10; ++j) items->add_items()->set_reference(i + (j % 2 == 0 ? 1 : 2));
  }
  // The last refers past the end.
  value.mutable_shared(998)->mutable_list_value()->clear_items();
  value.mutable_shared(998)->mutable_list_value()->add_items()->set_reference(999);
  const auto clone = CloneFromValue(value, kValueCloneLimits);
  ASSERT_TRUE(clone.ok()) << clone.status();
  EXPECT_LT(clone->size(), 30'000);
  EXPECT_TRUE(MessageDifferencer::Equivalent(
      FromClone(*clone), FromClone(*CloneFromValue(FromClone(*clone), kValueCloneLimits))));
}

// A clone has them once for each reference.
TEST(CloneValueTest, LargeNumbersHaveOneReference) {
  v1::Value value;
  value.mutable_list_value()->add_items()->set_reference(0);
  value.add_shared()->set_big_int_value(std::string(1000, 'x'));
  EXPECT_EQ(ValueError(value, {}), "OK");
  value.mutable_list_value()->add_items()->set_reference(0);
  EXPECT_EQ(
      ValueError(value, {}),
      "$[0]: refers to a large number or a buffer that other references have, too; repeat it");
  value.mutable_shared(0)->set_int_value(1);
  EXPECT_EQ(ValueError(value, {}), "OK");
}

TEST(CloneValueTest, HoldsTheLimits) {
  v1::Value value;
  for (int i = 0; i < 10; ++i) value.mutable_list_value()->add_items()->set_int_value(i);
  EXPECT_EQ(ValueError(value, {.values = 11}), "OK");
  EXPECT_EQ(ValueError(value, {.values = 10}), "$[9]: more than 10 values");
  EXPECT_EQ(ValueError(value, {.values = 5}), "$: more than 5 values");
  EXPECT_EQ(ValueError(value, {.bytes = 38}), "OK");
  EXPECT_EQ(ValueError(value, {.bytes = 37}), "$: clone is larger than 37 bytes");
  EXPECT_EQ(ValueError(value, {.depth = 1}), "$[0]: nested deeper than 1");
}

TEST(CloneValueTest, CountsWhatIsSharedToo) {
  v1::Value value;
  value.mutable_list_value();
  for (int i = 0; i < 10; ++i) {
    value.mutable_list_value()->add_items()->set_reference(static_cast<uint32_t>(i));
    value.add_shared()->set_int_value(i);
  }
  EXPECT_EQ(ValueError(value, {.values = 11}), "OK");
  EXPECT_EQ(ValueError(value, {.values = 10}), "$: more than 10 values");
  for (int i = 0; i < 100; ++i) value.add_shared()->set_int_value(i);
  EXPECT_EQ(ValueError(value, {.values = 50}), "$: more than 50 values");
}

TEST(CloneValueTest, MakesOneTupleOfValues) {
  google::protobuf::RepeatedPtrField<v1::Value> values;
  EXPECT_EQ(*TupleCloneFromValues(values, kValueCloneLimits), Clone(Tuple({})));
  *values.Add() = Parse("reference: 0 shared { list_value { items { reference: 0 } } }");
  *values.Add() = Parse("int_value: 5");
  *values.Add() = Parse(
      "list_value { items { reference: 0 } items { reference: 0 } }"
      "shared { string_value: 'a' }");
  EXPECT_EQ(*TupleCloneFromValues(values, kValueCloneLimits),
            Clone(Tuple({Numbered(List({Ref(0)})), Int(5), List({Numbered(Text("a")), Ref(1)})})));
  *values.Add() = Parse("dict_value { keys { string_value: 'a' } values {} }");
  EXPECT_EQ(TupleCloneFromValues(values, kValueCloneLimits).status().message(),
            "$[3].a: the Value is empty");
}

TEST(CloneValueTest, MakesOneDictOfNamedValues) {
  google::protobuf::Map<std::string, v1::Value> values;
  EXPECT_EQ(*DictCloneFromValues(values, kValueCloneLimits), Clone(Dict({})));
  values["b"] = Parse("int_value: 1");
  values["a"] = Parse("reference: 0 shared { string_value: 'x' }");
  EXPECT_EQ(*DictCloneFromValues(values, kValueCloneLimits),
            Clone(Dict({Text("a"), Text("x"), Text("b"), Int(1)})));
  values["c"] = Parse("list_value { items {} }");
  EXPECT_EQ(DictCloneFromValues(values, kValueCloneLimits).status().message(),
            "$.c[0]: the Value is empty");
}

}  // namespace
}  // namespace cloister::sandbox
