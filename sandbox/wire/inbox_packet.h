// Packets of an inbox: a Unix SOCK_SEQPACKET pair whose receiving end one interpreter has, and
// whose sending end the host and other interpreters of the same sandbox share. Channels between
// interpreters use the same packets.
//
//     packet = header payload               descriptors beside it (SCM_RIGHTS)
//
// A message of an interpreter is one packet, so that messages of several senders never mix: a clone
// of at most kMaxInlineBytes is the payload; a longer one lies in a sealed memfd, the last of the
// packet's descriptors, and the payload is empty. The clone's descriptors (proto/CLONE.md) come
// first, in their order. The host is one sender and does not die before its interpreters: it cuts
// long clones into packets with kMore, all but the last of kMaxInlineBytes, and sends no
// descriptors.

#ifndef CLOISTER_SANDBOX_WIRE_INBOX_PACKET_H_
#define CLOISTER_SANDBOX_WIRE_INBOX_PACKET_H_

#include <cstddef>
#include <cstdint>

namespace cloister::sandbox {

struct InboxPacketHeader {
  static constexpr uint8_t kVersion = 1;
  enum Flag : uint8_t {
    kFromHost = 1,
    kMore = 2,      // the rest of the clone follows in the host's next packet
    kInMemory = 4,  // the clone is the content of the last descriptor
  };

  uint8_t version = kVersion;
  uint8_t flags = 0;
  uint16_t descriptor_count = 0;  // with that of kInMemory
  uint32_t reserved = 0;
  uint64_t clone_bytes = 0;  // of the whole clone
};
static_assert(sizeof(InboxPacketHeader) == 16);

inline constexpr size_t kMaxInlineBytes = size_t{32} << 10;
inline constexpr size_t kMaxInboxDescriptors = 64;

// How many messages a channel may be made for. More would be no bound: the kernel's buffer holds
// fewer.
inline constexpr uint32_t kMaxChannelCapacity = 1u << 20;

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_WIRE_INBOX_PACKET_H_
