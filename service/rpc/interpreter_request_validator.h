// Judges requests for interpreters before anything is spent on them. Pure; all errors are FIELD_INVALID
// and name every bad field.

#ifndef CLOISTER_SERVICE_RPC_INTERPRETER_REQUEST_VALIDATOR_H_
#define CLOISTER_SERVICE_RPC_INTERPRETER_REQUEST_VALIDATOR_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "cloister/v1/interpreter_service.pb.h"
#include "service/rpc/request_validator.h"

namespace cloister::rpc {

absl::Status CheckRequest(const v1::CreateInterpreterRequest& request,
                          const RequestValidator& programs);

// For requests that hold no more than a name, in `field`.
absl::Status CheckNameAlone(const std::string& name, std::string_view field);

}  // namespace cloister::rpc

#endif  // CLOISTER_SERVICE_RPC_INTERPRETER_REQUEST_VALIDATOR_H_
