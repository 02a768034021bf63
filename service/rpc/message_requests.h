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
#include "service/core/request_memory.h"

namespace cloister::rpc {

// A message for an inbox, and what it holds of the server's memory.
struct TakenMessage {
  std::string clone;
  core::RequestMemory::Share memory;
};
struct TakenOpening {
  std::string interpreter;
  core::HostCallOptions options;
};
struct TakenAnswer {
  int64_t number = 0;
  internal::v1::MailboxReply reply;
};

// Errors, of all: FIELD_INVALID, with the way to what is wrong; of messages also OVERLOADED.
absl::StatusOr<TakenMessage> TakePost(const v1::PostMessageRequest& request,
                                      core::RequestMemory* memory);
absl::StatusOr<std::variant<TakenOpening, TakenMessage, TakenAnswer>> TakeRequest(
    const v1::ConnectRequest& request, core::RequestMemory* memory);

}  // namespace cloister::rpc

#endif  // CLOISTER_SERVICE_RPC_MESSAGE_REQUESTS_H_
