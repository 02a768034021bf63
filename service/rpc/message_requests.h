// What clients say in MessageService, judged and turned into what the core passes on.

#ifndef CLOISTER_SERVICE_RPC_MESSAGE_REQUESTS_H_
#define CLOISTER_SERVICE_RPC_MESSAGE_REQUESTS_H_

#include <cstdint>
#include <string>
#include <variant>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cloister/internal/v1/mailbox.pb.h"
#include "cloister/v1/message_service.pb.h"
#include "service/core/host_calls.h"
#include "service/core/message_connection.h"
#include "service/core/request_memory.h"

namespace cloister::rpc {

// A message for an inbox.
struct TakenMessage {
  std::string clone;
  core::RequestMemory::Share
      memory;                // what it holds of the server's; on a stream, the loop takes that
  int64_t credit_bytes = 0;  // on a stream
  int64_t memory_bytes() const {
    return static_cast<int64_t>(clone.size()) + core::MessageConnection::kPostOverheadBytes;
  }
};
struct TakenOpening {
  std::string interpreter;
  core::HostCallOptions options;
};
struct TakenAnswer {
  int64_t number = 0;
  internal::v1::MailboxReply reply;
};

// Errors, of both: FIELD_INVALID, with the way to what is wrong; of the first also OVERLOADED.
absl::StatusOr<TakenMessage> TakePost(const v1::PostMessageRequest& request,
                                      core::RequestMemory* memory);
absl::StatusOr<std::variant<TakenOpening, TakenMessage, TakenAnswer>> TakeRequest(
    const v1::ConnectRequest& request);

}  // namespace cloister::rpc

#endif  // CLOISTER_SERVICE_RPC_MESSAGE_REQUESTS_H_
