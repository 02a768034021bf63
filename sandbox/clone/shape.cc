#include "sandbox/clone/shape.h"

#include "sandbox/clone/token.h"

namespace cloister::sandbox {
namespace {

using Tag = CloneTag;
using Kind = CloneKind;

template <typename... Types>
constexpr uint64_t Types64(Types... types) {
  return (TypeBit(TypeOf(types)) | ...);
}

constexpr uint64_t kNone = Types64(Tag::kNone);
constexpr uint64_t kInts = Types64(Tag::kInt8, Tag::kInt32, Tag::kInt64, Tag::kBigInt);
constexpr uint64_t kTexts = Types64(Tag::kAscii, Tag::kUtf8, Tag::kWtf8);
constexpr uint64_t kErrors = Types64(Kind::kException, Kind::kRemoteError);
constexpr uint64_t kAny = ~Types64(Tag::kBuffer);

constexpr CloneField Int(const char* name) { return {name, "an int", kInts}; }
constexpr CloneField IntOrNone(const char* name) { return {name, "an int or NONE", kInts | kNone}; }
constexpr CloneField Text(const char* name) { return {name, "text", kTexts}; }
constexpr CloneField TextOrNone(const char* name) { return {name, "text or NONE", kTexts | kNone}; }
constexpr CloneField Bool(const char* name) {
  return {name, "TRUE or FALSE", Types64(Tag::kFalse, Tag::kTrue)};
}
constexpr CloneField Any(const char* name) { return {name, "a value", kAny}; }
constexpr CloneField Key() { return {nullptr, "a value", kAny, true}; }
constexpr CloneField BufferOf(const char* name, uint8_t sources) {
  return {name, "BUFFER", Types64(Tag::kBuffer), false, nullptr, sources};
}
constexpr CloneField Buffer() {
  return BufferOf("buffer", SourceBit(CloneBufferSource::kInline) |
                                SourceBit(CloneBufferSource::kShared) |
                                SourceBit(CloneBufferSource::kMoved));
}
constexpr CloneField Shared() { return BufferOf("buffer", SourceBit(CloneBufferSource::kShared)); }
constexpr CloneField Descriptor(const char* name) {
  return BufferOf(name, SourceBit(CloneBufferSource::kDescriptor));
}
constexpr CloneField Class() { return {"__class__", "GLOBAL", Types64(Kind::kGlobal)}; }
constexpr CloneField Zone() {
  return {"tzinfo", "TIMEZONE, ZONE_INFO or NONE",
          Types64(Kind::kTimezone, Kind::kZoneInfo) | kNone};
}
constexpr CloneField Error(const char* name) {
  return {name, "EXCEPTION, REMOTE_ERROR or NONE", kErrors | kNone};
}

// What comes as often as one likes.
constexpr CloneField kItems[] = {Any(nullptr)};
constexpr CloneField kHashableItems[] = {Key()};
constexpr CloneField kEntries[] = {Key(), Any(nullptr)};
constexpr CloneField kNamed[] = {Text(nullptr), Any(nullptr)};
constexpr CloneField kDimensions[] = {Int(nullptr)};
constexpr CloneField kTextItems[] = {Text(nullptr)};
constexpr CloneField kDescriptors[] = {Descriptor(nullptr)};

constexpr CloneField kClassOnly[] = {Class()};
constexpr CloneField kStartStopStep[] = {Int("start"), Int("stop"), Int("step")};
constexpr CloneField kAnyStartStopStep[] = {Any("start"), Any("stop"), Any("step")};
constexpr CloneField kDeque[] = {IntOrNone("maxlen")};
constexpr CloneField kFactory[] = {
    {"default_factory", "GLOBAL or NONE", Types64(Kind::kGlobal) | kNone}};
constexpr CloneField kArray[] = {Text("typecode"), Int("itemsize"), Buffer()};
constexpr CloneField kMemoryview[] = {Text("format"), Int("itemsize"), Bool("readonly"), Buffer()};
constexpr CloneField kNdarray[] = {
    {"dtype", "text or LIST", kTexts | Types64(Tag::kList)}, Bool("flags.f_contiguous"), Buffer()};
constexpr CloneField kDate[] = {Int("year"), Int("month"), Int("day")};
constexpr CloneField kTime[] = {Int("hour"),        Int("minute"), Int("second"),
                                Int("microsecond"), Int("fold"),   Zone()};
constexpr CloneField kDatetime[] = {Int("year"),        Int("month"),  Int("day"),
                                    Int("hour"),        Int("minute"), Int("second"),
                                    Int("microsecond"), Int("fold"),   Zone()};
constexpr CloneField kTimedelta[] = {Int("days"), Int("seconds"), Int("microseconds")};
constexpr CloneField kTimezone[] = {{"offset", "TIMEDELTA", Types64(Kind::kTimedelta)},
                                    TextOrNone("name")};
constexpr CloneField kZoneInfo[] = {Text("key")};
constexpr CloneField kDecimal[] = {Text("text")};
constexpr CloneField kFraction[] = {Int("numerator"), Int("denominator")};
constexpr CloneField kUuid[] = {{"bytes", "BYTES", Types64(Tag::kBytes)}, IntOrNone("is_safe")};
constexpr CloneField kClassNameAndText[] = {Text("class_name"), Text("text")};
constexpr CloneField kPattern[] = {{"pattern", "text or BYTES", kTexts | Types64(Tag::kBytes)},
                                   Int("flags")};
constexpr CloneField kGlobal[] = {Text("__module__"), Text("__qualname__")};
constexpr CloneField kEnumMember[] = {Class(), {"name", "text or an int", kTexts | kInts}};
constexpr CloneField kRegistered[] = {Class(), Any("state")};
constexpr CloneField kSharedBuffer[] = {Shared(), Bool("readonly"), Bool("is_handed_over")};
constexpr CloneField kPort[] = {Text("role"), Int("capacity"), Descriptor("descriptor")};
constexpr CloneField kSharedLock[] = {Text("class_name"), Shared()};

constexpr CloneField kFrameFields[] = {Text("file"), Int("line"), Text("function")};
constexpr CloneShape kFrameShape = {.first = kFrameFields};
constexpr CloneField kFrameItems[] = {
    {nullptr, "TUPLE", Types64(Tag::kTuple), false, &kFrameShape}};
constexpr CloneShape kFramesShape = {.rest = kFrameItems};
constexpr CloneShape kTextsShape = {.rest = kTextItems};
constexpr CloneShape kClassNameShape = {.first = kGlobal};

constexpr CloneField kAttributes = {"__dict__", "DICT or NONE", Types64(Tag::kDict) | kNone};
constexpr CloneField kNotes = {"__notes__", "LIST or NONE", Types64(Tag::kList) | kNone};
constexpr CloneField kFrames = {"frames", "LIST", Types64(Tag::kList), false, &kFramesShape};
constexpr CloneField kException[] = {Class(),
                                     {"args", "TUPLE", Types64(Tag::kTuple)},
                                     kAttributes,
                                     kNotes,
                                     Error("__cause__"),
                                     Error("__context__"),
                                     Bool("__suppress_context__"),
                                     kFrames};
constexpr CloneField kRemoteError[] = {
    {"__class__", "TUPLE", Types64(Tag::kTuple), false, &kClassNameShape},
    {"args", "TUPLE", Types64(Tag::kTuple), false, &kTextsShape},
    kAttributes,
    kNotes,
    Error("__cause__"),
    Error("__context__"),
    Bool("__suppress_context__"),
    kFrames};

constexpr CloneShape kNoShape = {};

constexpr CloneShape kTagShapes[] = {
    {.rest = kItems, .hash = CloneHash::kOfFields, .exists_after = 0},  // TUPLE
    {.rest = kItems, .exists_after = 0},                                // LIST
    {.rest = kHashableItems, .step = CloneStep::kSetItem, .exists_after = 0},
    {.rest = kHashableItems,
     .step = CloneStep::kSetItem,
     .hash = CloneHash::kOfFields,
     .exists_after = 0},
    {.rest = kEntries, .step = CloneStep::kKey, .exists_after = 0},
    {.rest = kEntries, .step = CloneStep::kKey},
};

// What is hashable once it is there.
constexpr CloneShape Constant(absl::Span<const CloneField> fields) {
  return {.first = fields, .hash = CloneHash::kWhenRead};
}

constexpr CloneShape kKindShapes[kCloneKindCount] = {
    Constant(kStartStopStep),
    {.first = kAnyStartStopStep},
    {.first = kDeque, .rest = kItems, .exists_after = 0},
    {.rest = kEntries, .step = CloneStep::kKey, .exists_after = 0},
    {.first = kFactory, .rest = kEntries, .step = CloneStep::kKey, .exists_after = 1},
    {.rest = kEntries, .step = CloneStep::kKey, .exists_after = 0},
    {.rest = kNamed, .step = CloneStep::kAttribute, .exists_after = 0},
    {.first = kArray},
    {.first = kMemoryview, .rest = kDimensions, .is_array = true},
    {.first = kNdarray, .rest = kDimensions, .is_array = true},
    Constant(kDate),
    Constant(kTime),
    Constant(kDatetime),
    Constant(kTimedelta),
    Constant(kTimezone),
    Constant(kZoneInfo),
    Constant(kDecimal),
    Constant(kFraction),
    Constant(kUuid),
    Constant(kClassNameAndText),
    Constant(kClassNameAndText),
    Constant(kPattern),
    Constant(kGlobal),
    Constant(kEnumMember),
    {.first = kClassOnly,
     .rest = kNamed,
     .step = CloneStep::kAttribute,
     .hash = CloneHash::kByIdentity,
     .exists_after = 1},
    {.first = kClassOnly, .rest = kItems, .hash = CloneHash::kOfFields},
    {.first = kException, .exists_after = 2},
    {.first = kRemoteError, .exists_after = 2},
    {.first = kRegistered, .hash = CloneHash::kByIdentity, .exists_after = 1},
    Constant(kSharedBuffer),
    {.first = kPort, .rest = kDescriptors, .hash = CloneHash::kWhenRead},
    Constant(kSharedLock),
};

}  // namespace

const CloneField kAnyValue = Any(nullptr);

const CloneShape& ShapeOf(CloneType type) {
  const auto number = static_cast<uint8_t>(type);
  if (number >= kFirstKindType) return kKindShapes[number - kFirstKindType];
  const CloneTag tag{number};
  if (tag < Tag::kTuple || tag > Tag::kFrozendict) return kNoShape;
  return kTagShapes[number - static_cast<uint8_t>(Tag::kTuple)];
}

const char* CloneTypeName(CloneType type) {
  const auto number = static_cast<uint8_t>(type);
  if (number < kFirstKindType) return CloneTagName(CloneTag{number});
  return CloneKindName(static_cast<CloneKind>(number - kFirstKindType));
}

const char* CloneSourceName(CloneBufferSource source) {
  static constexpr const char* kNames[] = {"INLINE", "SHARED", "MOVED", "DESCRIPTOR"};
  return kNames[static_cast<uint32_t>(source)];
}

}  // namespace cloister::sandbox
