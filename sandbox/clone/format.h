// The numbers of the clone format (proto/CLONE.md says what they mean).

#ifndef CLOISTER_SANDBOX_CLONE_FORMAT_H_
#define CLOISTER_SANDBOX_CLONE_FORMAT_H_

#include <cstddef>
#include <cstdint>

namespace cloister::sandbox {

inline constexpr char kCloneMagic[3] = {'C', 'L', 'N'};
inline constexpr uint8_t kCloneVersion = 1;
inline constexpr size_t kCloneHeaderBytes = 16;
inline constexpr size_t kCloneBufferEntryBytes = 24;
inline constexpr size_t kCloneBufferAlignment = 16;

// Set in a tag: the object gets the next reference number.
inline constexpr uint8_t kCloneNumbered = 0x80;

enum class CloneTag : uint8_t {
  kNone = 0,
  kFalse = 1,
  kTrue = 2,
  kEllipsis = 3,
  kNotImplemented = 4,
  kInt8 = 5,
  kInt32 = 6,
  kInt64 = 7,
  kBigInt = 8,
  kFloat = 9,
  kComplex = 10,
  kAscii = 11,
  kUtf8 = 12,
  kWtf8 = 13,
  kBytes = 14,
  kBytearray = 15,
  kTuple = 16,
  kList = 17,
  kSet = 18,
  kFrozenset = 19,
  kDict = 20,
  kFrozendict = 21,
  kObject = 22,
  kBuffer = 23,
  kReference = 24,
};
inline constexpr uint8_t kCloneTagCount = 25;

enum class CloneKind : uint8_t {
  kRange = 0,
  kSlice = 1,
  kDeque = 2,
  kOrderedDict = 3,
  kDefaultDict = 4,
  kCounter = 5,
  kNamespace = 6,
  kArray = 7,
  kMemoryview = 8,
  kNdarray = 9,
  kDate = 10,
  kTime = 11,
  kDatetime = 12,
  kTimedelta = 13,
  kTimezone = 14,
  kZoneInfo = 15,
  kDecimal = 16,
  kFraction = 17,
  kUuid = 18,
  kPath = 19,
  kIp = 20,
  kPattern = 21,
  kGlobal = 22,
  kEnumMember = 23,
  kDataclass = 24,
  kNamedTuple = 25,
  kException = 26,
  kRemoteError = 27,
  kRegistered = 28,
  kSharedBuffer = 29,
  kPort = 30,
  kSharedLock = 31,
};
inline constexpr uint8_t kCloneKindCount = 32;

// Kinds of handles: what they mean exists inside one sandbox only, and is no cloister.v1.Value.
inline constexpr bool IsHandle(CloneKind kind) { return kind >= CloneKind::kSharedBuffer; }

enum class CloneBufferSource : uint32_t {
  kInline = 0,
  kShared = 1,
  kMoved = 2,
  kDescriptor = 3,
};

// Whether a descriptor travels beside the clone for it.
inline constexpr bool HasDescriptor(CloneBufferSource source) {
  return source == CloneBufferSource::kShared || source == CloneBufferSource::kDescriptor;
}

// Bounds that sender and receiver share. All hold at once.
struct CloneLimits {
  size_t bytes = size_t{16} << 20;
  size_t depth = 1000;
  size_t values = 10'000'000;
  size_t buffers = 1000;
  size_t dimensions = 64;
  size_t descriptors = 63;  // a message takes one more where its clone lies in a file
};

// Of clones that become a cloister.v1.Value or were one: in memory a Value takes a hundred bytes
// for what is one byte of a clone.
inline constexpr CloneLimits kResultCloneLimits = {.values = 20'000};  // made on the loop
inline constexpr CloneLimits kValueCloneLimits = {.values = 200'000};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_CLONE_FORMAT_H_
