#include "sandbox/clone/token.h"

#include <cstring>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "sandbox/base/utf8.h"
#include "sandbox/clone/varint.h"

namespace cloister::sandbox {
namespace {

constexpr size_t kFloatBytes = 8;
constexpr size_t kSurrogateBytes = 3;

absl::Status Wrong(absl::string_view what) { return absl::InvalidArgumentError(what); }

absl::Status CutShort(CloneTag tag) {
  return Wrong(absl::StrCat("the clone ends inside ", CloneTagName(tag)));
}

size_t IntBytes(CloneTag tag) {
  return tag == CloneTag::kInt8 ? 1 : tag == CloneTag::kInt32 ? 4 : 8;
}

int64_t LoadInt(std::string_view bytes) {
  uint64_t bits = 0;
  for (size_t i = 0; i < bytes.size(); ++i) {
    bits |= uint64_t{static_cast<uint8_t>(bytes[i])} << (8 * i);
  }
  const unsigned unused = 64 - 8 * static_cast<unsigned>(bytes.size());
  return static_cast<int64_t>(bits << unused) >> unused;
}

// Reads on inside one token.
class Cursor {
 public:
  Cursor(std::string_view value, size_t offset) : value_(value), at_(offset) {}

  size_t at() const { return at_; }
  size_t left() const { return value_.size() - at_; }

  bool Byte(uint8_t* byte) {
    if (left() == 0) return false;
    *byte = static_cast<uint8_t>(value_[at_++]);
    return true;
  }

  bool Bytes(uint64_t size, std::string_view* bytes) {
    if (size > left()) return false;
    *bytes = value_.substr(at_, size);
    at_ += size;
    return true;
  }

  bool Varint(uint64_t* number) {
    const char* end = value_.data() + value_.size();
    const char* next = ReadVarint(value_.data() + at_, end, number);
    if (next == nullptr) return false;
    at_ = static_cast<size_t>(next - value_.data());
    return true;
  }

 private:
  std::string_view value_;
  size_t at_;
};

absl::Status ReadInt(Cursor* cursor, CloneToken* token) {
  std::string_view bytes;
  if (!cursor->Bytes(IntBytes(token->tag), &bytes)) return CutShort(token->tag);
  const int64_t number = LoadInt(bytes);
  if (IntTag(number) != token->tag) {
    return Wrong(absl::StrCat(number, " is ", CloneTagName(IntTag(number)), " and not ",
                              CloneTagName(token->tag)));
  }
  token->number = static_cast<uint64_t>(number);
  return absl::OkStatus();
}

// Whether the content of a token is what its tag says.
absl::Status CheckContent(const CloneToken& token) {
  switch (token.tag) {
    case CloneTag::kBigInt:
      if (token.bytes.size() <= sizeof(int64_t)) return Wrong("BIG_INT fits into INT64");
      if (ShortestBigInt(token.bytes).size() != token.bytes.size()) {
        return Wrong("BIG_INT is longer than it need be");
      }
      return absl::OkStatus();
    case CloneTag::kAscii:
    case CloneTag::kUtf8:
    case CloneTag::kWtf8: {
      const std::optional<CloneTag> tag = TextTag(token.bytes);
      if (tag == token.tag) return absl::OkStatus();
      return Wrong(absl::StrCat(CloneTagName(token.tag), " is ",
                                tag.has_value() ? CloneTagName(*tag) : "no text"));
    }
    default:
      return absl::OkStatus();
  }
}

absl::Status ReadContent(Cursor* cursor, CloneToken* token) {
  uint64_t size = 0;
  if (token->tag == CloneTag::kFloat) {
    size = kFloatBytes;
  } else if (token->tag == CloneTag::kComplex) {
    size = 2 * kFloatBytes;
  } else if (!cursor->Varint(&size)) {
    return Wrong(absl::StrCat("the length of ", CloneTagName(token->tag), " is no number"));
  }
  if (!cursor->Bytes(size, &token->bytes)) return CutShort(token->tag);
  return CheckContent(*token);
}

absl::Status ReadNumber(Cursor* cursor, CloneToken* token) {
  const absl::string_view what = IsContainer(token->tag) ? "count" : "number";
  if (!cursor->Varint(&token->number)) {
    return Wrong(absl::StrCat("the ", what, " of ", CloneTagName(token->tag), " is no number"));
  }
  return absl::OkStatus();
}

bool IsSurrogate(std::string_view text) {
  return text.size() >= kSurrogateBytes && text[0] == '\xED' &&
         (static_cast<uint8_t>(text[1]) & 0xE0) == 0xA0 &&
         (static_cast<uint8_t>(text[2]) & 0xC0) == 0x80;
}

// How many characters of ASCII there are at the front, about: in steps of eight.
size_t AsciiPrefix(std::string_view text) {
  size_t at = 0;
  for (uint64_t eight; text.size() - at >= sizeof(eight); at += sizeof(eight)) {
    std::memcpy(&eight, text.data() + at, sizeof(eight));
    if ((eight & 0x8080808080808080u) != 0) break;
  }
  return at;
}

}  // namespace

absl::Status ReadCloneToken(std::string_view value, size_t* offset, CloneToken* token) {
  Cursor cursor(value, *offset);
  *token = {.offset = kCloneHeaderBytes + *offset};
  uint8_t byte;
  if (!cursor.Byte(&byte)) return Wrong("the clone ends where a value should follow");
  token->numbered = (byte & kCloneNumbered) != 0;
  byte &= static_cast<uint8_t>(~kCloneNumbered);
  if (byte >= kCloneTagCount) return Wrong(absl::StrCat("there is no tag ", byte));
  token->tag = CloneTag{byte};
  if (token->numbered && !IsNumbered(token->tag)) {
    return Wrong(absl::StrCat(CloneTagName(token->tag), " is numbered"));
  }
  absl::Status status = absl::OkStatus();
  if (token->tag <= CloneTag::kNotImplemented) {
    // Nothing follows.
  } else if (token->tag <= CloneTag::kInt64) {
    status = ReadInt(&cursor, token);
  } else if (token->tag <= CloneTag::kBytearray) {
    status = ReadContent(&cursor, token);
  } else {
    if (token->tag == CloneTag::kObject) {
      if (!cursor.Byte(&byte)) return CutShort(token->tag);
      if (byte >= kCloneKindCount) return Wrong(absl::StrCat("there is no kind ", byte));
      token->kind = CloneKind{byte};
    }
    status = ReadNumber(&cursor, token);
  }
  *offset = cursor.at();
  return status;
}

void AppendCloneToken(const CloneToken& token, std::string* value) {
  value->push_back(
      static_cast<char>(static_cast<uint8_t>(token.tag) | (token.numbered ? kCloneNumbered : 0)));
  if (token.tag <= CloneTag::kNotImplemented) return;
  if (token.tag <= CloneTag::kInt64) {
    for (size_t i = 0; i < IntBytes(token.tag); ++i) {
      value->push_back(static_cast<char>(token.number >> (8 * i)));
    }
    return;
  }
  if (token.tag <= CloneTag::kBytearray) {
    const bool fixed = token.tag == CloneTag::kFloat || token.tag == CloneTag::kComplex;
    if (!fixed) AppendVarint(token.bytes.size(), value);
    value->append(token.bytes);
    return;
  }
  if (token.tag == CloneTag::kObject) value->push_back(static_cast<char>(token.kind));
  AppendVarint(token.number, value);
}

CloneTag IntTag(int64_t number) {
  if (number >= std::numeric_limits<int8_t>::min() &&
      number <= std::numeric_limits<int8_t>::max()) {
    return CloneTag::kInt8;
  }
  const bool fits = number >= std::numeric_limits<int32_t>::min() &&
                    number <= std::numeric_limits<int32_t>::max();
  return fits ? CloneTag::kInt32 : CloneTag::kInt64;
}

std::string_view ShortestBigInt(std::string_view bytes) {
  const char sign = (bytes.back() & '\x80') != 0 ? '\xFF' : '\0';
  while (bytes.size() > 1 && bytes.back() == sign &&
         ((bytes[bytes.size() - 2] ^ sign) & '\x80') == 0) {
    bytes.remove_suffix(1);
  }
  return bytes;
}

std::optional<CloneTag> TextTag(std::string_view text) {
  CloneTag tag = CloneTag::kAscii;
  text.remove_prefix(AsciiPrefix(text));
  while (!text.empty()) {
    size_t length = Utf8CharacterBytes(text);
    if (length == 0) {
      if (!IsSurrogate(text)) return std::nullopt;
      length = kSurrogateBytes;
      tag = CloneTag::kWtf8;
    } else if (length > 1 && tag == CloneTag::kAscii) {
      tag = CloneTag::kUtf8;
    }
    text.remove_prefix(length);
  }
  return tag;
}

const char* CloneTagName(CloneTag tag) {
  static constexpr const char* kNames[kCloneTagCount] = {
      "NONE",      "FALSE",      "TRUE",   "ELLIPSIS", "NOT_IMPLEMENTED",
      "INT8",      "INT32",      "INT64",  "BIG_INT",  "FLOAT",
      "COMPLEX",   "ASCII",      "UTF8",   "WTF8",     "BYTES",
      "BYTEARRAY", "TUPLE",      "LIST",   "SET",      "FROZENSET",
      "DICT",      "FROZENDICT", "OBJECT", "BUFFER",   "REFERENCE"};
  return kNames[static_cast<uint8_t>(tag)];
}

const char* CloneKindName(CloneKind kind) {
  static constexpr const char* kNames[kCloneKindCount] = {
      "RANGE",     "SLICE",       "DEQUE",      "ORDERED_DICT", "DEFAULT_DICT", "COUNTER",
      "NAMESPACE", "ARRAY",       "MEMORYVIEW", "NDARRAY",      "DATE",         "TIME",
      "DATETIME",  "TIMEDELTA",   "TIMEZONE",   "ZONE_INFO",    "DECIMAL",      "FRACTION",
      "UUID",      "PATH",        "IP",         "PATTERN",      "GLOBAL",       "ENUM_MEMBER",
      "DATACLASS", "NAMED_TUPLE", "EXCEPTION",  "REMOTE_ERROR", "REGISTERED",   "SHARED_BUFFER",
      "PORT",      "SHARED_LOCK"};
  return kNames[static_cast<uint8_t>(kind)];
}

}  // namespace cloister::sandbox
