#include "sandbox/clone/check.h"

#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "sandbox/clone/varint.h"
#include "tests/unit/sandbox_clone/clone_builder.h"

namespace cloister::sandbox {
namespace {

// "OK", or the error from the way to the culprit on.
std::string CheckValue(const std::string& value, const std::vector<CloneBufferSpec>& buffers = {},
                       const CloneLimits& limits = {}) {
  const auto checked = CheckClone(Clone(value, buffers), limits, CloneBuffers::kInline);
  if (checked.ok()) return "OK";
  const std::string message(checked.status().message());
  EXPECT_EQ(checked.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(message.rfind("clone, byte ", 0), 0) << message;
  return message.substr(message.find(", ", 8) + 2);
}

using Case = std::pair<std::string, std::string>;

void ExpectAll(const std::vector<Case>& cases) {
  for (const auto& [value, expected] : cases) EXPECT_EQ(CheckValue(value), expected);
}

TEST(CheckCloneTest, AcceptsContainersOfAllKinds) {
  ExpectAll({{List({}), "OK"},
             {Tuple({Int(1), Text("a"), None()}), "OK"},
             {Set({Int(1), Bytes("a"), Tuple({Int(1)}), Frozenset({Int(2)})}), "OK"},
             {Dict({Text("k"), List({}), Int(5), Dict({})}), "OK"},
             {Of(CloneTag::kFrozendict, {Text("k"), List({})}), "OK"}});
}

TEST(CheckCloneTest, NamesThePlaceOfWhatIsWrong) {
  const std::string bad = "\x19";
  const std::string what = ": there is no tag 25";
  const std::string surrogate = Text("\xED\xA0\x80'\n");
  ExpectAll(
      {{bad, "$" + what},
       {List({Int(1), bad}), "$[1]" + what},
       {Dict({Text("users"), List({Int(1), Dict({Text("socket"), bad})})}),
        "$.users[1].socket" + what},
       {Dict({Text("2x"), bad}), "$['2x']" + what},
       {Dict({Int(-7), bad}), "$[-7]" + what},
       {Dict({surrogate, bad}), "$['\\ud800\\'\\x0a']" + what},
       {Dict({Text("\xC3\xA9"), bad}), "$['\xC3\xA9']" + what},
       {Dict({Bytes("\xFF"), bad}), "$[b'\\xff']" + what},
       {Dict({Tuple({Int(1)}), bad}), "$[TUPLE]" + what},
       {Dict({None(), None(), bad, None()}), "$.keys()[1]" + what},
       {Set({Int(1), bad}), "${1}" + what},
       {List({Numbered(Text("name")), Dict({Ref(0), bad})}), "$[1].name" + what},
       {Of(CloneKind::kNamespace, {Text("a"), bad}), "$.a" + what},
       {Of(CloneKind::kDataclass, {Global(), Text("a"), List({bad})}), "$.a[0]" + what},
       {Of(CloneKind::kSlice, {None(), bad, None()}), "$.stop" + what},
       {Of(CloneKind::kDefaultDict, {None(), Text("k"), bad}), "$.k" + what},
       {Of(CloneKind::kDeque, {None(), Int(1), bad}), "$[1]" + what},
       {Dict({Text(std::string(100, 'x')), bad}), "$['" + std::string(64, 'x') + "…']" + what}});
}

TEST(CheckCloneTest, CountsWhatIsLeft) {
  const CloneTag tags[] = {CloneTag::kTuple, CloneTag::kList, CloneTag::kSet, CloneTag::kFrozenset};
  for (const CloneTag tag : tags) {
    const std::string value = Piece({.tag = tag, .number = 3}) + None() + None();
    EXPECT_EQ(CheckValue(value), std::string("$: ") + CloneTagName(tag) +
                                     " has 3 values, and the clone no bytes for them");
  }
  EXPECT_EQ(CheckValue(Piece({.tag = CloneTag::kDict, .number = 2}) + std::string(3, '\0')),
            "$: DICT has 2 values, and the clone no bytes for them");
  EXPECT_EQ(CheckValue(Piece({.tag = CloneTag::kDict, .number = kMaxVarint})),
            "$: DICT has 9223372036854775807 values, and the clone no bytes for them");
  EXPECT_EQ(CheckValue(None() + None()), "$: there is more behind the value");
  EXPECT_EQ(CheckValue(""), "$: the clone ends where a value should follow");
}

TEST(CheckCloneTest, HoldsItsLimits) {
  std::string nested = None();
  for (int i = 0; i < 4; ++i) nested = List({nested});
  EXPECT_EQ(CheckValue(nested, {}, {.depth = 5}), "OK");
  EXPECT_EQ(CheckValue(nested, {}, {.depth = 4}), "$[0][0][0][0]: nested deeper than 4");
  EXPECT_EQ(CheckValue(nested, {}, {.values = 5}), "OK");
  EXPECT_EQ(CheckValue(nested, {}, {.values = 4}), "$[0][0][0][0]: more than 4 values");
  std::string deep = None();
  for (int i = 0; i < 999; ++i) deep = List({deep});
  EXPECT_EQ(CheckValue(deep), "OK");
  EXPECT_NE(CheckValue(List({deep})), "OK");
}

TEST(CheckCloneTest, RefersOnlyToWhatIsThere) {
  ExpectAll({{List({Numbered(List({})), Ref(0)}), "OK"},
             {List({List({}), Ref(0)}), "$[1]: refers to object 0, and there are 0"},
             {List({Ref(0), Numbered(List({}))}), "$[0]: refers to object 0, and there are 0"},
             {Ref(0), "$: refers to object 0, and there are 0"},
             {List({Numbered(Text("a")), Numbered(Bytes("b")), Ref(1), Ref(0), Ref(2)}),
              "$[4]: refers to object 2, and there are 2"}});
}

TEST(CheckCloneTest, LetsCyclesGoThroughWhatExistsByThen) {
  const std::string list_of_self = Numbered(List({Ref(0)}));
  ExpectAll(
      {{list_of_self, "OK"},
       {Numbered(Dict({Text("k"), Ref(0)})), "OK"},
       {Numbered(Tuple({List({Ref(0)})})), "OK"},
       {Numbered(Of(CloneKind::kDeque, {None(), Ref(0)})), "OK"},
       {Numbered(Of(CloneKind::kOrderedDict, {None(), Ref(0)})), "OK"},
       {Numbered(Of(CloneKind::kCounter, {None(), Ref(0)})), "OK"},
       {Numbered(Of(CloneKind::kNamespace, {Text("a"), Ref(0)})), "OK"},
       {Numbered(Of(CloneKind::kDefaultDict, {None(), Int(1), Ref(0)})), "OK"},
       {Numbered(Of(CloneKind::kDataclass, {Global(), Text("a"), Ref(0)})), "OK"},
       {Numbered(Of(CloneKind::kRegistered, {Global(), Ref(0)})), "OK"},
       // An object with the hash of `object` in a set that it has itself.
       {Numbered(Frozenset({Of(CloneKind::kDataclass, {Global(), Text("a"), Ref(0)})})), "OK"},
       {Numbered(Of(CloneKind::kDataclass, {Global(), Text("a"), Set({Ref(0)})})), "OK"},
       {Numbered(Of(CloneKind::kRegistered, {Global(), Dict({Ref(0), Ref(0)})})), "OK"}});
}

TEST(CheckCloneTest, RefusesCyclesThroughWhatDoesNot) {
  const std::string no = ", which cannot be made before what is inside it";
  ExpectAll(
      {{Numbered(Of(CloneTag::kFrozendict, {None(), Ref(0)})),
        "$[None]: is in a cycle through FROZENDICT" + no},
       {Numbered(Of(CloneKind::kSlice, {None(), None(), Ref(0)})),
        "$.step: is in a cycle through SLICE" + no},
       {Numbered(Of(CloneKind::kNamedTuple, {Global(), List({Ref(0)})})),
        "$[0][0]: is in a cycle through NAMED_TUPLE" + no},
       {Numbered(Tuple({Ref(0)})), "$[0]: TUPLE is in itself"},
       {Numbered(Tuple({Tuple({Ref(0)})})), "$[0][0]: TUPLE is in itself"},
       {List({Numbered(Tuple({Numbered(Tuple({Ref(0)}))}))}), "$[0][0][0]: TUPLE is in itself"},
       {Numbered(Tuple({List({Numbered(Tuple({Ref(0)}))})})), "OK"},
       {Numbered(Tuple({List({Numbered(Tuple({Ref(1)}))})})), "$[0][0][0]: TUPLE is in itself"}});
}

// What has many fields does not exist because of their number.
TEST(CheckCloneTest, LongFrozendictDoesNotExistBeforeItsEnd) {
  Pieces entries;
  for (int i = 0; i < 200; ++i) entries.insert(entries.end(), {Int(i), None()});
  entries.back() = Ref(0);
  EXPECT_EQ(
      CheckValue(Numbered(Of(CloneTag::kFrozendict, entries))),
      "$[199]: is in a cycle through FROZENDICT, which cannot be made before what is inside it");
}

TEST(CheckCloneTest, KnowsWhatIsHashable) {
  const Pieces good = {None(),
                       True(),
                       Int(1),
                       Text("a"),
                       Bytes("b"),
                       Content(CloneTag::kFloat, "01234567"),
                       Tuple({}),
                       Frozenset({}),
                       Of(CloneKind::kRange, {Int(1), Int(2), Int(3)}),
                       Of(CloneKind::kDate, {Int(1), Int(2), Int(3)}),
                       Of(CloneKind::kDecimal, {Text("1")}),
                       Global(),
                       Of(CloneKind::kEnumMember, {Global(), Text("A")}),
                       Of(CloneKind::kNamedTuple, {Global(), Int(1)}),
                       Of(CloneKind::kDataclass, {Global()}),
                       Of(CloneKind::kRegistered, {Global(), List({})})};
  const Pieces bad = {List({}),
                      Dict({}),
                      Set({}),
                      Content(CloneTag::kBytearray, ""),
                      Tuple({List({})}),
                      Of(CloneTag::kFrozendict, {}),
                      Of(CloneKind::kSlice, {None(), None(), None()}),
                      Of(CloneKind::kDeque, {None()}),
                      Of(CloneKind::kNamespace, {}),
                      Of(CloneKind::kNamedTuple, {Global(), Tuple({List({})})})};
  for (const std::string& key : good) {
    EXPECT_EQ(CheckValue(Set({key})), "OK");
    EXPECT_EQ(CheckValue(Frozenset({Tuple({key})})), "OK");
    EXPECT_EQ(CheckValue(Dict({key, None()})), "OK");
    EXPECT_EQ(CheckValue(Of(CloneKind::kCounter, {key, None()})), "OK");
    if (IsNumbered(CloneTag{static_cast<uint8_t>(key[0])})) {
      EXPECT_EQ(CheckValue(List({Numbered(key), Set({Ref(0)})})), "OK");
    }
  }
  for (const std::string& key : bad) {
    EXPECT_EQ(CheckValue(Set({key})), "${0}: is not hashable");
    EXPECT_EQ(CheckValue(Frozenset({Tuple({key})})), "${0}: is not hashable");
    EXPECT_EQ(CheckValue(Dict({key, None()})), "$.keys()[0]: is not hashable");
    EXPECT_EQ(CheckValue(Of(CloneTag::kFrozendict, {None(), None(), key, None()})),
              "$.keys()[1]: is not hashable");
    EXPECT_EQ(CheckValue(Of(CloneKind::kDefaultDict, {None(), key, None()})),
              "$.keys()[0]: is not hashable");
    EXPECT_EQ(CheckValue(List({Numbered(key), Set({Ref(0)})})), "$[1]{0}: is not hashable");
  }
}

TEST(CheckCloneTest, WhatIsNotReadAsAWholeIsNoKey) {
  const std::string object_with_set_of_tuple =
      Of(CloneKind::kDataclass, {Global(), Text("a"), Set({Ref(0)})});
  EXPECT_EQ(CheckValue(Numbered(Tuple({object_with_set_of_tuple}))), "$[0].a{0}: is not hashable");
  EXPECT_EQ(CheckValue(Numbered(Of(CloneKind::kDefaultDict, {None(), Int(1), Set({Ref(0)})}))),
            "$[1]{0}: is not hashable");
}

TEST(CheckCloneTest, EveryBufferIsUsedOnceInOrder) {
  const std::vector<CloneBufferSpec> two = {{.content = "1"}, {.content = "2"}};
  const auto array = [](const std::string& buffer) {
    return Of(CloneKind::kArray, {Text("b"), Int(1), buffer});
  };
  EXPECT_EQ(CheckValue(List({array(Buf(0)), array(Buf(1))}), two), "OK");
  EXPECT_EQ(CheckValue(array(Buf(0)), two), "$: 2 buffers, and the value uses 1");
  EXPECT_EQ(CheckValue(List({array(Buf(1)), array(Buf(0))}), two),
            "$[0].buffer: buffer 1 is used and not 0");
  EXPECT_EQ(CheckValue(List({array(Buf(0)), array(Buf(0))}), two),
            "$[1].buffer: buffer 0 is used and not 1");
  EXPECT_EQ(CheckValue(array(Buf(0))), "$.buffer: more than 0 buffers");
  EXPECT_EQ(CheckValue(Buf(0), {{.content = "1"}}), "$: BUFFER stands where a value belongs");
  EXPECT_EQ(CheckValue(array(Bytes("1"))), "$.buffer: BYTES stands where BUFFER belongs");
}

TEST(CheckCloneTest, LetsOnlyInlineBuffersOutOfTheSandbox) {
  const std::string clone = Clone(Of(CloneKind::kArray, {Text("b"), Int(1), Buf(0)}),
                                  {{.source = CloneBufferSource::kShared, .size = 4}});
  EXPECT_TRUE(CheckClone(clone, CloneLimits{}, CloneBuffers::kAny).ok());
  const auto checked = CheckClone(clone, CloneLimits{}, CloneBuffers::kInline);
  EXPECT_EQ(checked.status().message(),
            "clone, byte 24, $.buffer: is not inside the clone, which leaves its sandbox");
}

TEST(CheckCloneTest, LetsNoHandleOutOfTheSandbox) {
  const std::string buffer = Of(CloneKind::kSharedBuffer, {Buf(0), True(), True()});
  const std::string port = Of(CloneKind::kPort, {Text("sender"), Int(0), Buf(1), Buf(2)});
  const std::string lock = Of(CloneKind::kSharedLock, {Text("Lock"), Buf(3)});
  const std::string all = Dict({Text("b"), buffer, Text("p"), port, Text("l"), lock});
  const std::vector<CloneBufferSpec> buffers = {
      {.source = CloneBufferSource::kShared, .size = 4},
      {.source = CloneBufferSource::kDescriptor, .index = 1},
      {.source = CloneBufferSource::kDescriptor, .index = 2},
      {.source = CloneBufferSource::kShared, .index = 3, .size = 4}};
  const auto inside = CheckClone(Clone(all, buffers), CloneLimits{}, CloneBuffers::kAny);
  ASSERT_TRUE(inside.ok()) << inside.status();
  EXPECT_EQ(inside->parts.descriptor_count, 4);
  EXPECT_EQ(CheckValue(all, buffers), "$.b: SHARED_BUFFER cannot leave its sandbox");
  EXPECT_EQ(CheckValue(Of(CloneKind::kPort, {Text("sender"), Int(0), Buf(0)}),
                       {{.source = CloneBufferSource::kDescriptor}}),
            "$: PORT cannot leave its sandbox");
}

TEST(CheckCloneTest, NamesTheOffset) {
  const auto checked = CheckClone(Clone(List({Int(1), "\x19"})), CloneLimits{}, CloneBuffers::kAny);
  EXPECT_EQ(checked.status().message(), "clone, byte 20, $[1]: there is no tag 25");
}

TEST(CheckCloneTest, TellsWhatIsReferredTo) {
  const auto checked = CheckClone(Clone(List({Numbered(List({})), Numbered(Text("a")), Ref(1)})),
                                  CloneLimits{}, CloneBuffers::kAny);
  ASSERT_TRUE(checked.ok());
  EXPECT_EQ(checked->referenced, (std::vector<bool>{false, true}));
}

// A long way with a key at each step that only a search finds.
TEST(CheckCloneTest, NamesLongWaysQuickly) {
  std::string value = "\x19";
  for (int i = 0; i < 900; ++i) value = Dict({Ref(0), value});
  Pieces items = {Numbered(Text("k"))};
  for (int i = 0; i < 300'000; ++i) items.push_back(Int(i % 100));
  items.push_back(value);
  const std::string error = CheckValue(List(items));
  EXPECT_EQ(error.substr(0, 16), "$[300001].k.k.k.");
  EXPECT_LT(error.size(), 1200);
}

}  // namespace
}  // namespace cloister::sandbox
