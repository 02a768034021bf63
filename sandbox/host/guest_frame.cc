#include "sandbox/host/guest_frame.h"

#include <cstdint>

#include "google/protobuf/descriptor.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/wire_format_lite.h"
#include "sandbox/base/status_macros.h"

namespace cloister::sandbox {
namespace {

using ::google::protobuf::Descriptor;
using ::google::protobuf::FieldDescriptor;
using ::google::protobuf::internal::WireFormatLite;
using ::google::protobuf::io::CodedInputStream;

// Walks a message without building it.
class FieldCounter {
 public:
  explicit FieldCounter(std::string_view bytes)
      : input_(reinterpret_cast<const uint8_t*>(bytes.data()), static_cast<int>(bytes.size())) {}

  absl::Status CheckMessage(const Descriptor& type, int depth) {
    if (depth > kMaxGuestFrameDepth) return absl::DataLossError("a frame nests too deep");
    while (uint32_t tag = input_.ReadTag()) {
      if (++fields_ > kMaxGuestFrameFields) {
        return absl::DataLossError("a frame has too many fields");
      }
      CLOISTER_RETURN_IF_ERROR(CheckField(type, tag, depth));
    }
    if (!input_.ConsumedEntireMessage()) return Malformed();
    return absl::OkStatus();
  }

 private:
  static absl::Status Malformed() { return absl::DataLossError("a frame is not well formed"); }

  absl::Status CheckField(const Descriptor& type, uint32_t tag, int depth) {
    // Groups are what no honest guest sends.
    const WireFormatLite::WireType wire_type = WireFormatLite::GetTagWireType(tag);
    if (wire_type != WireFormatLite::WIRETYPE_LENGTH_DELIMITED) {
      const bool scalar = wire_type == WireFormatLite::WIRETYPE_VARINT ||
                          wire_type == WireFormatLite::WIRETYPE_FIXED32 ||
                          wire_type == WireFormatLite::WIRETYPE_FIXED64;
      return scalar && WireFormatLite::SkipField(&input_, tag) ? absl::OkStatus() : Malformed();
    }
    uint32_t length;
    if (!input_.ReadVarint32(&length) || length > INT32_MAX) return Malformed();
    const FieldDescriptor* field = type.FindFieldByNumber(WireFormatLite::GetTagFieldNumber(tag));
    if (field == nullptr || field->message_type() == nullptr) {
      return input_.Skip(static_cast<int>(length)) ? absl::OkStatus() : Malformed();
    }
    if (static_cast<int>(length) > input_.BytesUntilLimit() && input_.BytesUntilLimit() >= 0) {
      return Malformed();
    }
    const CodedInputStream::Limit outer = input_.PushLimit(static_cast<int>(length));
    CLOISTER_RETURN_IF_ERROR(CheckMessage(*field->message_type(), depth + 1));
    // The end of the bytes also ends a message, one that promised more.
    if (input_.BytesUntilLimit() != 0) return Malformed();
    input_.PopLimit(outer);
    return absl::OkStatus();
  }

  CodedInputStream input_;
  int fields_ = 0;
};

}  // namespace

absl::StatusOr<internal::v1::GuestFrame> ParseGuestFrame(std::string_view bytes) {
  internal::v1::GuestFrame frame;
  CLOISTER_RETURN_IF_ERROR(ParseGuestMessage(bytes, &frame));
  return frame;
}

absl::Status ParseGuestMessage(std::string_view bytes, google::protobuf::Message* message) {
  CLOISTER_RETURN_IF_ERROR(FieldCounter(bytes).CheckMessage(*message->GetDescriptor(), 0));
  if (!message->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return absl::DataLossError("a frame does not parse");
  }
  return absl::OkStatus();
}

}  // namespace cloister::sandbox
