// One protobuf message per packet of a Unix SOCK_SEQPACKET pair, with descriptors beside it
// (SCM_RIGHTS): how cloisterd, the spawner and the zygotes talk. Both ends are trusted, yet every
// size is bounded, so that a defect on one side stays a defect on that side.
//
// Thread-safety: functions without state; one thread at a time per direction of a socket.
// Errors, of both directions:
//   UNAVAILABLE   a non-blocking call would have to wait
//   OUT_OF_RANGE  the other end is closed; nothing will ever come again
//   DATA_LOSS     a packet was too long, carried too many descriptors or does not parse; it is
//   consumed
//                 and its descriptors are closed
//   INVALID_ARGUMENT  the message to send is empty, too long or has too many descriptors
// and what errno of the call said otherwise.

#ifndef CLOISTER_SANDBOX_WIRE_PACKET_SOCKET_H_
#define CLOISTER_SANDBOX_WIRE_PACKET_SOCKET_H_

#include <cstddef>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "google/protobuf/message_lite.h"
#include "sandbox/base/unique_fd.h"

namespace cloister::sandbox {

// A serialised message. Warm-up imports and environments are the largest things sent.
inline constexpr size_t kMaxPacketBytes = size_t{256} << 10;
inline constexpr size_t kMaxPacketDescriptors = 16;

// Where cloister-spawner finds its end of the pair that leads to cloisterd.
inline constexpr int kSpawnerSocketDescriptor = 3;

// The two ends of a connection, both close-on-exec and blocking.
struct PacketPair {
  UniqueFd first;
  UniqueFd second;
};

// A connected pair whose buffers hold at least one packet of kMaxPacketBytes.
absl::StatusOr<PacketPair> MakePacketPair();

// Sends `message` with `descriptors`, whose ownership stays with the caller. The message must not
// be empty on the wire (an unset oneof), for an empty packet means the end. `flags` as of
// sendmsg(2): MSG_DONTWAIT not to block. Raises no SIGPIPE.
absl::Status SendPacket(int socket, const google::protobuf::MessageLite& message,
                        absl::Span<const int> descriptors = {}, int flags = 0);

// Receives the next packet into `message`, and its descriptors, close-on-exec and in the order
// sent, into `descriptors`; null where none are expected (any that come are closed). Both are
// cleared first. `flags` as of recvmsg(2): MSG_DONTWAIT not to block.
absl::Status ReceivePacket(int socket, google::protobuf::MessageLite* message,
                           std::vector<UniqueFd>* descriptors, int flags = 0);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_WIRE_PACKET_SOCKET_H_
