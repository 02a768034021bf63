// From the messages of RunCode, CallFunction and Execute to what the core starts.

#ifndef CLOISTER_SERVICE_RPC_EXECUTION_REQUESTS_H_
#define CLOISTER_SERVICE_RPC_EXECUTION_REQUESTS_H_

#include "absl/status/statusor.h"
#include "cloister/v1/execution_service.pb.h"
#include "service/core/execution_request.h"
#include "service/rpc/backend.h"

namespace cloister::rpc {

// Validates and translates; takes the program out of `request`, so that megabytes of files are not
// copied. The deadline is left to the caller. Errors: FIELD_INVALID; OVERLOADED where waiting
// requests hold too many bytes already.
absl::StatusOr<core::ExecutionRequest> TakeRequest(const Backend& backend,
                                                   v1::RunCodeRequest* request);
absl::StatusOr<core::ExecutionRequest> TakeRequest(const Backend& backend,
                                                   v1::CallFunctionRequest* request);
absl::StatusOr<core::ExecutionRequest> TakeRequest(const Backend& backend,
                                                   v1::ExecuteRequest* request);

}  // namespace cloister::rpc

#endif  // CLOISTER_SERVICE_RPC_EXECUTION_REQUESTS_H_
