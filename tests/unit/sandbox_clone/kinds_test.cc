// Number and types of the fields of every kind of object.

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "sandbox/clone/check.h"
#include "tests/unit/sandbox_clone/clone_builder.h"

namespace cloister::sandbox {
namespace {

constexpr char kFree = '*';      // anything
constexpr char kOptional = '?';  // or NONE
constexpr char kStrict = '.';    // only what is there

struct Kind {
  CloneKind kind;
  Pieces fields;
  // What each of the fixed fields may be instead, in order.
  std::string fixed;
  // How many fields more there may be at a time; 0: none.
  size_t more = 0;
};

std::string Delta() { return Of(CloneKind::kTimedelta, {Int(0), Int(0), Int(0)}); }

std::string Zone() { return Of(CloneKind::kTimezone, {Delta(), None()}); }

std::string Failure() {
  const std::string frame = Tuple({Text("file.py"), Int(3), Text("main")});
  return Of(CloneKind::kException, {Global(), Tuple({Int(1)}), None(), None(), None(), None(),
                                    True(), List({frame, frame})});
}

std::vector<Kind> AllKinds() {
  const std::string one = Int(1);
  const std::string text = Text("t");
  const std::string frame = Tuple({Text("file.py"), Int(3), Text("main")});
  return {
      {CloneKind::kRange, {one, one, one}, "..."},
      {CloneKind::kSlice, {one, text, None()}, "***"},
      {CloneKind::kDeque, {one}, "?", 1},
      {CloneKind::kOrderedDict, {}, "", 2},
      {CloneKind::kDefaultDict, {Global()}, "?", 2},
      {CloneKind::kCounter, {}, "", 2},
      {CloneKind::kNamespace, {}, "", 2},
      {CloneKind::kArray, {text, one, Buf(0)}, "..."},
      {CloneKind::kMemoryview, {text, one, True(), Buf(0)}, "....", 1},
      {CloneKind::kNdarray, {text, True(), Buf(0)}, "...", 1},
      {CloneKind::kNdarray, {List({}), True(), Buf(0)}, "...", 1},
      {CloneKind::kDate, {one, one, one}, "..."},
      {CloneKind::kTime, {one, one, one, one, one, Zone()}, ".....?"},
      {CloneKind::kDatetime, {one, one, one, one, one, one, one, one, Zone()}, "........?"},
      {CloneKind::kTimedelta, {one, one, one}, "..."},
      {CloneKind::kTimezone, {Delta(), text}, ".?"},
      {CloneKind::kZoneInfo, {text}, "."},
      {CloneKind::kDecimal, {text}, "."},
      {CloneKind::kFraction, {one, one}, ".."},
      {CloneKind::kUuid, {Bytes("0123456789abcdef"), one}, ".?"},
      {CloneKind::kPath, {text, text}, ".."},
      {CloneKind::kIp, {text, text}, ".."},
      {CloneKind::kPattern, {text, one}, ".."},
      {CloneKind::kPattern, {Bytes("b"), one}, ".."},
      {CloneKind::kGlobal, {text, text}, ".."},
      {CloneKind::kEnumMember, {Global(), text}, ".."},
      {CloneKind::kEnumMember, {Global(), one}, ".."},
      {CloneKind::kDataclass, {Global()}, ".", 2},
      {CloneKind::kNamedTuple, {Global()}, ".", 1},
      {CloneKind::kException,
       {Global(), Tuple({}), Dict({}), List({}), Failure(), Failure(), True(), List({frame})},
       "..????.."},
      {CloneKind::kRemoteError,
       {Tuple({text, text}), Tuple({text}), Dict({}), List({}), Failure(), Failure(), True(),
        List({})},
       "..????.."},
      {CloneKind::kRegistered, {Global(), one}, ".*"},
      {CloneKind::kSharedBuffer, {Buf(0), True(), True()}, "..."},
      {CloneKind::kPort, {text, one, Buf(0)}, "...", 1},
      {CloneKind::kSharedLock, {text, Buf(0)}, ".."},
  };
}

// As many buffers as the fields have, of the source that belongs there.
std::vector<CloneBufferSpec> BuffersOf(CloneKind kind, const Pieces& fields) {
  std::vector<CloneBufferSpec> buffers;
  for (const std::string& field : fields) {
    if (field[0] != static_cast<char>(CloneTag::kBuffer)) continue;
    const auto index = static_cast<uint32_t>(buffers.size());
    if (kind == CloneKind::kPort) {
      buffers.push_back({.source = CloneBufferSource::kDescriptor, .index = index});
    } else if (IsHandle(kind)) {
      buffers.push_back({.source = CloneBufferSource::kShared, .index = index, .size = 1});
    } else {
      buffers.push_back({.content = "x"});
    }
  }
  return buffers;
}

std::string CheckKind(CloneKind kind, const Pieces& fields) {
  const auto checked = CheckClone(Clone(Of(kind, fields), BuffersOf(kind, fields)), CloneLimits{},
                                  IsHandle(kind) ? CloneBuffers::kAny : CloneBuffers::kInline);
  return checked.ok() ? "OK" : std::string(checked.status().message());
}

Pieces With(Pieces fields, size_t index, const std::string& field) {
  fields[index] = field;
  return fields;
}

TEST(CloneKindsTest, TableNamesEveryKind) {
  std::vector<bool> named(kCloneKindCount);
  for (const Kind& kind : AllKinds()) {
    named[static_cast<size_t>(kind.kind)] = true;
    EXPECT_EQ(kind.fixed.size(), kind.fields.size());
    EXPECT_EQ(CheckKind(kind.kind, kind.fields), "OK") << CloneKindName(kind.kind);
  }
  EXPECT_EQ(named, std::vector<bool>(kCloneKindCount, true));
}

TEST(CloneKindsTest, FieldsHaveTheirTypes) {
  for (const Kind& kind : AllKinds()) {
    for (size_t i = 0; i < kind.fixed.size(); ++i) {
      const std::string where = std::string(CloneKindName(kind.kind)) + " " + std::to_string(i);
      const std::string wrong =
          CheckKind(kind.kind, With(kind.fields, i, Piece({.tag = CloneTag::kEllipsis})));
      const std::string none = CheckKind(kind.kind, With(kind.fields, i, None()));
      EXPECT_EQ(wrong == "OK", kind.fixed[i] == kFree) << where << ": " << wrong;
      EXPECT_EQ(none == "OK", kind.fixed[i] != kStrict) << where << ": " << none;
      if (kind.fixed[i] == kOptional) {
        EXPECT_TRUE(absl::StrContains(wrong, "or NONE belongs"));
      }
    }
  }
}

TEST(CloneKindsTest, HaveTheirNumberOfFields) {
  for (const Kind& kind : AllKinds()) {
    Pieces fields = kind.fields;
    for (size_t more = 1; more <= 4; ++more) {
      const bool has_dimensions =
          kind.kind == CloneKind::kMemoryview || kind.kind == CloneKind::kNdarray;
      fields.push_back(kind.kind == CloneKind::kPort ? Buf(more)
                       : has_dimensions              ? Int(1)
                                                     : Text("x"));
      const bool fits = kind.more > 0 && more % kind.more == 0;
      EXPECT_EQ(CheckKind(kind.kind, fields) == "OK", fits)
          << CloneKindName(kind.kind) << ": " << CheckKind(kind.kind, fields);
    }
    fields = kind.fields;
    while (!fields.empty()) {
      fields.pop_back();
      EXPECT_TRUE(absl::StrContains(CheckKind(kind.kind, fields), " fields and not "))
          << CloneKindName(kind.kind);
    }
  }
}

TEST(CloneKindsTest, HandlesHaveTheirBuffersElsewhere) {
  const auto check = [](const std::string& value, CloneBufferSpec buffer) {
    const auto checked = CheckClone(Clone(value, {buffer}), CloneLimits{}, CloneBuffers::kAny);
    return checked.ok() ? std::string("OK") : std::string(checked.status().message());
  };
  const CloneBufferSpec inside = {.content = "x"};
  const CloneBufferSpec shared = {.source = CloneBufferSource::kShared, .size = 1};
  const CloneBufferSpec descriptor = {.source = CloneBufferSource::kDescriptor};
  const std::string buffer = Of(CloneKind::kSharedBuffer, {Buf(0), True(), True()});
  const std::string port = Of(CloneKind::kPort, {Text("channel"), Int(0), Buf(0)});
  const std::string array = Of(CloneKind::kArray, {Text("b"), Int(1), Buf(0)});
  EXPECT_EQ(check(buffer, shared), "OK");
  EXPECT_EQ(check(port, descriptor), "OK");
  EXPECT_EQ(check(array, shared), "OK");
  EXPECT_EQ(check(buffer, inside), "clone, byte 19, $.buffer: no INLINE buffer belongs here");
  EXPECT_EQ(check(buffer, descriptor),
            "clone, byte 19, $.buffer: no DESCRIPTOR buffer belongs here");
  EXPECT_TRUE(absl::StrContains(check(port, shared), "$.descriptor: no SHARED buffer belongs"));
  EXPECT_TRUE(absl::StrContains(check(array, descriptor), "no DESCRIPTOR buffer belongs here"));
}

TEST(CloneKindsTest, NamesAreText) {
  EXPECT_TRUE(absl::StrContains(CheckKind(CloneKind::kNamespace, {Int(1), Int(1)}),
                                "$.keys()[0]: INT8 stands where text belongs"));
  EXPECT_TRUE(absl::StrContains(CheckKind(CloneKind::kDataclass, {Global(), Int(1), Int(1)}),
                                "INT8 stands where text belongs"));
}

TEST(CloneKindsTest, DimensionsAreIntsAndNotTooMany) {
  Pieces fields = {Text("b"), Int(1), True(), Buf(0)};
  fields.insert(fields.end(), 64, Int(1));
  EXPECT_EQ(CheckKind(CloneKind::kMemoryview, fields), "OK");
  fields.push_back(Int(1));
  EXPECT_TRUE(
      absl::StrContains(CheckKind(CloneKind::kMemoryview, fields), "more than 64 dimensions"));
  EXPECT_TRUE(
      absl::StrContains(CheckKind(CloneKind::kNdarray, {Text("b"), True(), Buf(0), Text("1")}),
                        "$[0]: ASCII stands where an int belongs"));
}

TEST(CloneKindsTest, WhatIsInPlaceIsNeitherNumberedNorReferredTo) {
  const auto failure = [](const std::string& frames) {
    return Of(CloneKind::kException,
              {Global(), Tuple({}), None(), None(), None(), None(), True(), frames});
  };
  const auto check = [](const std::string& value) {
    const auto checked = CheckClone(Clone(value), CloneLimits{}, CloneBuffers::kInline);
    return checked.ok() ? std::string("OK") : std::string(checked.status().message());
  };
  const std::string frame = Tuple({Text("f"), Int(1), Text("g")});
  EXPECT_EQ(check(failure(List({frame}))), "OK");
  EXPECT_TRUE(absl::StrContains(check(failure(Numbered(List({})))),
                                "$.frames: is numbered, where it has no identity"));
  EXPECT_TRUE(absl::StrContains(check(failure(List({Numbered(frame)}))), "is numbered"));
  EXPECT_TRUE(absl::StrContains(check(List({Numbered(List({})), failure(Ref(0))})),
                                "$[1].frames: a REFERENCE stands where it is written in place"));
  EXPECT_EQ(check(List({Numbered(Text("f")), failure(List({Tuple({Ref(0), Int(1), Ref(0)})}))})),
            "OK");
  EXPECT_TRUE(absl::StrContains(check(failure(List({Tuple({Text("f"), Int(1)})}))),
                                "$.frames[0]: TUPLE has 2 fields and not 3"));
  EXPECT_TRUE(absl::StrContains(check(failure(List({Tuple({Text("f"), Text("1"), Text("g")})}))),
                                "$.frames[0].line: ASCII stands where an int belongs"));
}

TEST(CloneKindsTest, FieldsMayBeReferencesToWhatFits) {
  const auto check = [](const std::string& value) {
    return CheckClone(Clone(value), CloneLimits{}, CloneBuffers::kInline).ok();
  };
  EXPECT_TRUE(check(List({Numbered(Global()), Of(CloneKind::kDataclass, {Ref(0)})})));
  EXPECT_TRUE(check(List({Numbered(Text("1")), Of(CloneKind::kDecimal, {Ref(0)})})));
  EXPECT_TRUE(check(List(
      {Numbered(Zone()), Of(CloneKind::kTime, {Int(1), Int(1), Int(1), Int(1), Int(0), Ref(0)})})));
  EXPECT_FALSE(check(List({Numbered(Text("1")), Of(CloneKind::kDataclass, {Ref(0)})})));
  EXPECT_FALSE(check(List({Numbered(Bytes("1")), Of(CloneKind::kDecimal, {Ref(0)})})));
}

}  // namespace
}  // namespace cloister::sandbox
