// Turns the bytes of a hostile guest's frame into a message, at a bounded cost.
//
// A protobuf message can be a hundred times larger in memory than on the wire (two bytes make an
// empty submessage), so the fields are counted before anything is built. Errors: DATA_LOSS, saying
// what is wrong with the frame.

#ifndef CLOISTER_SANDBOX_HOST_GUEST_FRAME_H_
#define CLOISTER_SANDBOX_HOST_GUEST_FRAME_H_

#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cloister/internal/v1/guest.pb.h"
#include "google/protobuf/message.h"

namespace cloister::sandbox {

// Fields a frame may hold, those of its submessages included. The largest honest frame, an
// exception chain 16 deep with 64 frames each, has some 8,000.
inline constexpr int kMaxGuestFrameFields = 65'536;

// How deep submessages may nest.
inline constexpr int kMaxGuestFrameDepth = 64;

absl::StatusOr<internal::v1::GuestFrame> ParseGuestFrame(std::string_view bytes);

// The same for whatever else guests say.
absl::Status ParseGuestMessage(std::string_view bytes, google::protobuf::Message* message);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_HOST_GUEST_FRAME_H_
