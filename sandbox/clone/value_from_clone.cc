#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <utility>
#include <vector>

#include "sandbox/base/status_macros.h"
#include "sandbox/clone/check.h"
#include "sandbox/clone/token.h"
#include "sandbox/clone/value.h"

namespace cloister::sandbox {
namespace {

using google::protobuf::RepeatedPtrField;

double LoadDouble(std::string_view bytes) {
  uint64_t bits = 0;
  for (size_t i = 0; i < sizeof(bits); ++i) {
    bits |= uint64_t{static_cast<uint8_t>(bytes[i])} << (8 * i);
  }
  double number;
  std::memcpy(&number, &bits, sizeof(number));
  return number;
}

// Makes a Value of a clone that was checked.
class ValueBuilder {
 public:
  ValueBuilder(std::string_view clone, const CheckedClone& checked)
      : clone_(clone), checked_(checked), shared_as_(checked.referenced.size(), kNotShared) {}

  absl::StatusOr<v1::Value> Build();

 private:
  static constexpr uint32_t kNotShared = std::numeric_limits<uint32_t>::max();

  // A Value whose children are being read: into `items`, or into `keys` and `items` in turn.
  struct Frame {
    RepeatedPtrField<v1::Value>* items = nullptr;
    RepeatedPtrField<v1::Value>* keys = nullptr;
    uint64_t left = 0;
    int depth = 0;
  };

  // Where the next value goes.
  v1::Value* NextSlot();
  // Makes `slot` what `token` is.
  void Fill(const CloneToken& token, v1::Value* slot);
  // Moves what goes into `slot` into `shared`, leaves the reference, and returns where it is now.
  v1::Value* Share(v1::Value* slot);
  void Open(const CloneToken& token, int depth, v1::Value* slot);
  static void SetLeaf(const CloneToken& token, v1::Value* slot);

  const std::string_view clone_;
  const CheckedClone& checked_;
  v1::Value root_;
  std::vector<Frame> frames_;
  // Of each reference number that a REFERENCE has, its place in `shared` once it is there.
  std::vector<uint32_t> shared_as_;
  size_t next_number_ = 0;
};

absl::StatusOr<v1::Value> ValueBuilder::Build() {
  size_t offset = 0;
  CloneToken token;
  v1::Value* slot = &root_;
  while (slot != nullptr) {
    CLOISTER_RETURN_IF_ERROR(ReadCloneToken(checked_.parts.value, &offset, &token));
    Fill(token, slot);
    slot = NextSlot();
  }
  return std::move(root_);
}

v1::Value* ValueBuilder::NextSlot() {
  while (!frames_.empty() && frames_.back().left == 0) frames_.pop_back();
  if (frames_.empty()) return nullptr;
  Frame& frame = frames_.back();
  const bool is_key = frame.keys != nullptr && frame.left % 2 == 0;
  --frame.left;
  return is_key ? frame.keys->Add() : frame.items->Add();
}

void ValueBuilder::Fill(const CloneToken& token, v1::Value* slot) {
  int depth = frames_.empty() ? 1 : frames_.back().depth + 1;
  if (token.tag == CloneTag::kReference) {
    slot->set_reference(shared_as_[token.number]);
    return;
  }
  const size_t number = next_number_;
  if (token.numbered) ++next_number_;
  const bool is_referenced = token.numbered && checked_.referenced[number];
  const bool is_deep = depth >= kMaxValueDepth && IsContainer(token.tag) && token.number > 0;
  if (is_referenced || is_deep) {
    if (is_referenced) shared_as_[number] = static_cast<uint32_t>(root_.shared_size());
    slot = Share(slot);
    depth = 2;
  }
  if (IsContainer(token.tag)) {
    Open(token, depth, slot);
  } else if (token.tag == CloneTag::kBuffer) {
    const CloneBuffer& buffer = checked_.parts.buffers[token.number];
    slot->set_buffer_value(clone_.data() + buffer.offset, buffer.size);
  } else {
    SetLeaf(token, slot);
  }
}

v1::Value* ValueBuilder::Share(v1::Value* slot) {
  // The outermost Value stays where it is, as a reference to its own first entry.
  slot->set_reference(static_cast<uint32_t>(root_.shared_size()));
  return root_.add_shared();
}

void ValueBuilder::Open(const CloneToken& token, int depth, v1::Value* slot) {
  Frame frame = {.left = token.number, .depth = depth};
  switch (token.tag) {
    case CloneTag::kTuple:
      frame.items = slot->mutable_tuple_value()->mutable_items();
      break;
    case CloneTag::kList:
      frame.items = slot->mutable_list_value()->mutable_items();
      break;
    case CloneTag::kSet:
      frame.items = slot->mutable_set_value()->mutable_items();
      break;
    case CloneTag::kFrozenset:
      frame.items = slot->mutable_frozenset_value()->mutable_items();
      break;
    case CloneTag::kDict:
    case CloneTag::kFrozendict: {
      v1::Entries* entries = token.tag == CloneTag::kDict ? slot->mutable_dict_value()
                                                          : slot->mutable_frozendict_value();
      frame.keys = entries->mutable_keys();
      frame.items = entries->mutable_values();
      frame.left = token.number * 2;
      frame.keys->Reserve(static_cast<int>(token.number));
      break;
    }
    default: {
      v1::Object* object = slot->mutable_object_value();
      object->set_kind(static_cast<v1::Object::Kind>(static_cast<int>(token.kind) + 1));
      frame.items = object->mutable_fields();
      break;
    }
  }
  frame.items->Reserve(static_cast<int>(token.number));
  frames_.push_back(frame);
}

void ValueBuilder::SetLeaf(const CloneToken& token, v1::Value* slot) {
  const char* data = token.bytes.data();
  const size_t size = token.bytes.size();
  switch (token.tag) {
    case CloneTag::kNone:
      return slot->set_singleton(v1::SINGLETON_NONE);
    case CloneTag::kEllipsis:
      return slot->set_singleton(v1::SINGLETON_ELLIPSIS);
    case CloneTag::kNotImplemented:
      return slot->set_singleton(v1::SINGLETON_NOT_IMPLEMENTED);
    case CloneTag::kFalse:
    case CloneTag::kTrue:
      return slot->set_bool_value(token.tag == CloneTag::kTrue);
    case CloneTag::kInt8:
    case CloneTag::kInt32:
    case CloneTag::kInt64:
      return slot->set_int_value(static_cast<int64_t>(token.number));
    case CloneTag::kBigInt:
      return slot->set_big_int_value(data, size);
    case CloneTag::kFloat:
      return slot->set_float_value(LoadDouble(token.bytes));
    case CloneTag::kComplex:
      slot->mutable_complex_value()->set_real(LoadDouble(token.bytes.substr(0, 8)));
      slot->mutable_complex_value()->set_imaginary(LoadDouble(token.bytes.substr(8)));
      return;
    case CloneTag::kAscii:
    case CloneTag::kUtf8:
      return slot->set_string_value(data, size);
    case CloneTag::kWtf8:
      return slot->set_surrogate_string_value(data, size);
    case CloneTag::kBytes:
      return slot->set_bytes_value(data, size);
    case CloneTag::kBytearray:
      return slot->set_bytearray_value(data, size);
    default:
      return;
  }
}

}  // namespace

absl::StatusOr<v1::Value> ValueFromClone(std::string_view clone, const CloneLimits& limits) {
  CLOISTER_ASSIGN_OR_RETURN(const CheckedClone checked,
                            CheckClone(clone, limits, CloneBuffers::kInline));
  return ValueBuilder(clone, checked).Build();
}

}  // namespace cloister::sandbox
