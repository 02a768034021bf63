// The arguments of a call of a client's function: clones inside, Values for the client.

#ifndef CLOISTER_SERVICE_RPC_HOST_CALL_VALUES_H_
#define CLOISTER_SERVICE_RPC_HOST_CALL_VALUES_H_

#include "absl/status/status.h"
#include "cloister/internal/v1/mailbox.pb.h"
#include "cloister/v1/message_service.pb.h"

namespace cloister::rpc {

// Each argument is a Value by itself, so that what several share is told with each.
// INVALID_ARGUMENT, for the caller: it cannot be told so.
absl::Status FillHostCall(const internal::v1::CallHost& call, v1::HostCall* host_call);

}  // namespace cloister::rpc

#endif  // CLOISTER_SERVICE_RPC_HOST_CALL_VALUES_H_
