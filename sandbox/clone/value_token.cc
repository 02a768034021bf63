#include "sandbox/clone/value_token.h"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace cloister::sandbox {
namespace {

using v1::Value;

absl::Status Wrong(absl::string_view what) { return absl::InvalidArgumentError(what); }

absl::Status MakeSingleton(v1::Singleton singleton, CloneToken* token) {
  switch (singleton) {
    case v1::SINGLETON_NONE:
      token->tag = CloneTag::kNone;
      return absl::OkStatus();
    case v1::SINGLETON_ELLIPSIS:
      token->tag = CloneTag::kEllipsis;
      return absl::OkStatus();
    case v1::SINGLETON_NOT_IMPLEMENTED:
      token->tag = CloneTag::kNotImplemented;
      return absl::OkStatus();
    default:
      return Wrong(absl::StrCat("there is no singleton ", static_cast<int>(singleton)));
  }
}

void MakeInt(int64_t number, CloneToken* token) {
  token->tag = IntTag(number);
  token->number = static_cast<uint64_t>(number);
}

absl::Status MakeText(std::string_view text, bool may_have_surrogates, CloneToken* token) {
  const std::optional<CloneTag> tag = TextTag(text);
  if (!tag.has_value() || (*tag == CloneTag::kWtf8 && !may_have_surrogates)) {
    return Wrong(may_have_surrogates
                     ? "surrogate_string_value is no UTF-8, with or without surrogates"
                     : "string_value is no UTF-8");
  }
  token->tag = *tag;
  token->bytes = text;
  return absl::OkStatus();
}

void MakeItems(CloneTag tag, const v1::Items& items, CloneToken* token) {
  token->tag = tag;
  token->number = static_cast<uint64_t>(items.items_size());
}

absl::Status MakeEntries(CloneTag tag, const v1::Entries& entries, CloneToken* token) {
  if (entries.keys_size() != entries.values_size()) {
    return Wrong(
        absl::StrCat("has ", entries.keys_size(), " keys and ", entries.values_size(), " values"));
  }
  token->tag = tag;
  token->number = static_cast<uint64_t>(entries.keys_size());
  return absl::OkStatus();
}

absl::Status MakeObject(const v1::Object& object, CloneToken* token) {
  const int kind = static_cast<int>(object.kind()) - 1;  // value.proto
  if (kind < 0 || kind >= kCloneKindCount || IsHandle(static_cast<CloneKind>(kind))) {
    return Wrong(absl::StrCat("there is no kind ", static_cast<int>(object.kind()), " of objects"));
  }
  token->tag = CloneTag::kObject;
  token->kind = static_cast<CloneKind>(kind);
  token->number = static_cast<uint64_t>(object.fields_size());
  return absl::OkStatus();
}

void MakeBytes(CloneTag tag, std::string_view bytes, CloneToken* token) {
  token->tag = tag;
  token->bytes = bytes;
}

// Of what has Values inside, and of what is no Value to send.
absl::Status MakeOther(const Value& value, CloneToken* token) {
  switch (value.kind_case()) {
    case Value::kTupleValue:
      MakeItems(CloneTag::kTuple, value.tuple_value(), token);
      return absl::OkStatus();
    case Value::kListValue:
      MakeItems(CloneTag::kList, value.list_value(), token);
      return absl::OkStatus();
    case Value::kSetValue:
      MakeItems(CloneTag::kSet, value.set_value(), token);
      return absl::OkStatus();
    case Value::kFrozensetValue:
      MakeItems(CloneTag::kFrozenset, value.frozenset_value(), token);
      return absl::OkStatus();
    case Value::kDictValue:
      return MakeEntries(CloneTag::kDict, value.dict_value(), token);
    case Value::kFrozendictValue:
      return MakeEntries(CloneTag::kFrozendict, value.frozendict_value(), token);
    case Value::kObjectValue:
      return MakeObject(value.object_value(), token);
    case Value::kText:
    case Value::kBundle:
      return Wrong("`text` and `bundle` are for results only");
    case Value::kReference:
      return Wrong("an entry of `shared` is a `reference` itself");
    default:
      return Wrong("the Value is empty");
  }
}

}  // namespace

ValueChildren ChildrenOf(const Value& value) {
  switch (value.kind_case()) {
    case Value::kTupleValue:
      return {&value.tuple_value().items()};
    case Value::kListValue:
      return {&value.list_value().items()};
    case Value::kSetValue:
      return {&value.set_value().items()};
    case Value::kFrozensetValue:
      return {&value.frozenset_value().items()};
    case Value::kDictValue:
      return {&value.dict_value().values(), &value.dict_value().keys()};
    case Value::kFrozendictValue:
      return {&value.frozendict_value().values(), &value.frozendict_value().keys()};
    case Value::kObjectValue:
      return {&value.object_value().fields()};
    default:
      return {};
  }
}

absl::Status ValueToken::Make(const Value& value, CloneToken* token) {
  *token = {};
  switch (value.kind_case()) {
    case Value::kSingleton:
      return MakeSingleton(value.singleton(), token);
    case Value::kBoolValue:
      token->tag = value.bool_value() ? CloneTag::kTrue : CloneTag::kFalse;
      break;
    case Value::kIntValue:
      MakeInt(value.int_value(), token);
      break;
    case Value::kBigIntValue:
      return MakeBigInt(value.big_int_value(), token);
    case Value::kFloatValue: {
      const double number = value.float_value();
      MakeFloats(&number, 1, token);
      break;
    }
    case Value::kComplexValue: {
      const double numbers[] = {value.complex_value().real(), value.complex_value().imaginary()};
      MakeFloats(numbers, 2, token);
      break;
    }
    case Value::kStringValue:
      return MakeText(value.string_value(), false, token);
    case Value::kSurrogateStringValue:
      return MakeText(value.surrogate_string_value(), true, token);
    case Value::kBytesValue:
      MakeBytes(CloneTag::kBytes, value.bytes_value(), token);
      break;
    case Value::kBytearrayValue:
      MakeBytes(CloneTag::kBytearray, value.bytearray_value(), token);
      break;
    case Value::kBufferValue:
      token->tag = CloneTag::kBuffer;
      break;
    default:
      return MakeOther(value, token);
  }
  return absl::OkStatus();
}

absl::Status ValueToken::MakeBigInt(std::string_view bytes, CloneToken* token) {
  if (bytes.empty()) return Wrong("big_int_value is empty");
  bytes = ShortestBigInt(bytes);
  if (bytes.size() > sizeof(int64_t)) {
    MakeBytes(CloneTag::kBigInt, bytes, token);
    return absl::OkStatus();
  }
  uint64_t bits = (bytes.back() & '\x80') != 0 ? ~uint64_t{0} : 0;
  for (size_t i = bytes.size(); i-- > 0;) bits = bits << 8 | static_cast<uint8_t>(bytes[i]);
  MakeInt(static_cast<int64_t>(bits), token);
  return absl::OkStatus();
}

void ValueToken::MakeFloats(const double* numbers, size_t count, CloneToken* token) {
  for (size_t i = 0; i < count; ++i) {
    uint64_t bits;
    std::memcpy(&bits, &numbers[i], sizeof(bits));
    for (size_t j = 0; j < sizeof(bits); ++j) {
      floats_[sizeof(bits) * i + j] = static_cast<char>(bits >> (8 * j));
    }
  }
  const CloneTag tag = count == 1 ? CloneTag::kFloat : CloneTag::kComplex;
  MakeBytes(tag, std::string_view(floats_, count * sizeof(uint64_t)), token);
}

}  // namespace cloister::sandbox
