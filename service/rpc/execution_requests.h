// From RunCode's and Execute's messages to what the core starts.

#ifndef CLOISTER_SERVICE_RPC_EXECUTION_REQUESTS_H_
#define CLOISTER_SERVICE_RPC_EXECUTION_REQUESTS_H_

#include <string>

#include "absl/status/statusor.h"
#include "cloister/v1/execution_service.pb.h"
#include "service/core/execution_request.h"
#include "service/rpc/request_validator.h"

namespace cloister::rpc {

// Validates and translates; takes the program out of `request`, so that megabytes of files are not
// copied. The deadline is left to the caller. Errors: FIELD_INVALID.
absl::StatusOr<core::ExecutionRequest> TakeRequest(const RequestValidator& validator,
                                                   const std::string& default_template,
                                                   v1::RunCodeRequest* request);
absl::StatusOr<core::ExecutionRequest> TakeRequest(const RequestValidator& validator,
                                                   const std::string& default_template,
                                                   v1::ExecuteRequest* request);

}  // namespace cloister::rpc

#endif  // CLOISTER_SERVICE_RPC_EXECUTION_REQUESTS_H_
