// The framing of a sandbox's own channel, a Unix SOCK_STREAM pair between cloisterd and the guest:
// a 32-bit little-endian length, then that many bytes of one protobuf message.
//
// The guest writes and reads with the blocking functions. The host never blocks: it encodes into a
// string, and decodes with FrameDecoder whatever has arrived, trusting nothing of it.
//
// Errors, of all functions:
//   OUT_OF_RANGE        the channel ended where a frame could have begun; the orderly end
//   DATA_LOSS           a length past the limit, an end inside a frame, bytes that do not parse
//   RESOURCE_EXHAUSTED  the message to send is past the limit
// and what errno of the call said otherwise.

#ifndef CLOISTER_SANDBOX_WIRE_FRAME_H_
#define CLOISTER_SANDBOX_WIRE_FRAME_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "google/protobuf/message_lite.h"
#include "sandbox/base/unique_fd.h"

namespace cloister::sandbox {

inline constexpr size_t kFrameHeaderBytes = 4;

// The longest message each side accepts, without the header: a program with its files, and returned
// files with a value and an exception.
inline constexpr size_t kMaxHostFrameBytes = size_t{84} << 20;
inline constexpr size_t kMaxGuestFrameBytes = size_t{52} << 20;

// Header and message as they go over the channel.
absl::StatusOr<std::string> EncodeFrame(const google::protobuf::MessageLite& message,
                                        size_t max_bytes);

// Writes one frame to `socket`, waiting as long as it takes. Raises no SIGPIPE.
absl::Status WriteFrame(int socket, const google::protobuf::MessageLite& message, size_t max_bytes);

// At most so many descriptors travel beside a frame.
inline constexpr size_t kMaxFrameDescriptors = 4;

// The same, with descriptors beside the frame's first byte; their ownership stays with the caller.
absl::Status WriteFrame(int socket, const google::protobuf::MessageLite& message, size_t max_bytes,
                        absl::Span<const int> descriptors);

// Reads one frame from `socket` into `message`, waiting as long as it takes. Reads not a byte past
// it. Holds no second copy of a long message.
absl::Status ReadFrame(int socket, google::protobuf::MessageLite* message, size_t max_bytes);

// The same, with the descriptors that came beside its header, close-on-exec and in the order sent;
// DATA_LOSS where there were too many. Clears `descriptors` first.
absl::Status ReadFrame(int socket, google::protobuf::MessageLite* message, size_t max_bytes,
                       std::vector<UniqueFd>* descriptors);

// Cuts the stream of a hostile writer into messages.
//
// Memory: never more than twice what has arrived, whatever length a header announces.
// Thread-safety: none.
class FrameDecoder {
 public:
  explicit FrameDecoder(size_t max_bytes) : max_bytes_(max_bytes) {}

  // From the next frame on.
  void set_max_bytes(size_t max_bytes) { max_bytes_ = max_bytes; }

  // Takes the bytes up to the end of the current frame from the front of `bytes`. Call until
  // `bytes` is empty or a message is complete. DATA_LOSS once a header announces too much; the
  // decoder is of no use then.
  absl::Status Consume(std::string_view* bytes);

  // The message whose last byte was consumed, once.
  std::optional<std::string> TakeMessage();

  // How many bytes complete the current header or, once that is known, the current message: a
  // reader who asks for no more never reads past a frame.
  size_t wanted() const {
    return header_bytes_ < kFrameHeaderBytes ? kFrameHeaderBytes - header_bytes_
                                             : length_ - message_.size();
  }

  // The length of the message under way, once its header is complete.
  std::optional<size_t> announced() const {
    return header_bytes_ < kFrameHeaderBytes ? std::nullopt : std::make_optional(length_);
  }

  // Whether the stream may end here.
  bool AtFrameStart() const { return header_bytes_ == 0; }

 private:
  // Collects the header; true when it is there.
  bool ConsumeHeader(std::string_view* bytes);

  size_t max_bytes_;
  size_t header_bytes_ = 0;  // collected of the header
  uint8_t header_[kFrameHeaderBytes] = {};
  size_t length_ = 0;  // announced by the header, once it is complete
  std::string message_;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_WIRE_FRAME_H_
