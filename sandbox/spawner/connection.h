// A packet socket in the spawner's loop. Sending never blocks: what the peer cannot take yet waits
// here, so that two processes which send to each other at once cannot stop each other.

#ifndef CLOISTER_SANDBOX_SPAWNER_CONNECTION_H_
#define CLOISTER_SANDBOX_SPAWNER_CONNECTION_H_

#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "google/protobuf/message_lite.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/spawner/poller.h"

namespace cloister::sandbox {

// Thread-safety: none. Ownership: of the socket; the poller outlives it.
class Connection {
 public:
  // `on_readable` runs when Receive has something to say; it may destroy the connection.
  Connection(Poller& poller, UniqueFd socket, std::function<void()> on_readable);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection();

  // Sends now or later, in order. Descriptors stay the caller's. Errors of a dead peer are dropped:
  // reading will tell.
  void Send(const google::protobuf::MessageLite& message, absl::Span<const int> descriptors = {});

  // As ReceivePacket, never waiting.
  absl::Status Receive(google::protobuf::MessageLite* message, std::vector<UniqueFd>* descriptors);

 private:
  struct Packet {
    std::unique_ptr<google::protobuf::MessageLite> message;
    std::vector<UniqueFd> descriptors;
  };

  void HandleEvents(uint32_t events);
  void Flush();

  Poller& poller_;
  const UniqueFd socket_;
  const std::function<void()> on_readable_;
  Poller::Token token_;
  std::deque<Packet> waiting_;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_SPAWNER_CONNECTION_H_
