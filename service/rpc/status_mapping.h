// From the core's errors to what gRPC clients get: the one place where the two meet.

#ifndef CLOISTER_SERVICE_RPC_STATUS_MAPPING_H_
#define CLOISTER_SERVICE_RPC_STATUS_MAPPING_H_

#include "absl/status/status.h"
#include "grpcpp/support/status.h"

namespace cloister::rpc {

// The same code and message, with every google.rpc detail of `status` in the error-details trailer.
// A status without ErrorInfo is a fault of ours: the caller gets INTERNAL (SANDBOX_SETUP_FAILED)
// without the message, which belongs into the server's log. CANCELLED passes as it is: nobody waits
// for it.
grpc::Status ToGrpcStatus(const absl::Status& status);

}  // namespace cloister::rpc

#endif  // CLOISTER_SERVICE_RPC_STATUS_MAPPING_H_
