// The values that come with a program: checked, and turned into the clones that guests read.

#ifndef CLOISTER_SERVICE_RPC_PROGRAM_VALUES_H_
#define CLOISTER_SERVICE_RPC_PROGRAM_VALUES_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "cloister/v1/execution_service.pb.h"
#include "cloister/v1/program.pb.h"
#include "sandbox/guest_program.h"
#include "service/rpc/violations.h"

namespace cloister::rpc {

// What can be said of value_form, variables and call without looking into the values.
void CheckValues(const v1::Program& program, Violations* violations);

// Why `name` may not name a variable or a function of the client's; empty where it may.
std::string_view VariableProblem(std::string_view name);

// Of a call that requests have in the field `field`; a part of CheckValues.
void CheckCall(const v1::FunctionCall& call, const std::string& field, Violations* violations);

// Of variables that requests have in the field `field`; a part of CheckValues.
void CheckVariables(const google::protobuf::Map<std::string, v1::Value>& variables,
                    const std::string& field, Violations* violations);

// Takes the values out of a program that has been checked, and says which form a call's result
// has. `call_field` names its call in errors.
// FIELD_INVALID, with the way to the culprit, where one is broken or they are too large.
absl::StatusOr<sandbox::GuestProgram> TakeProgram(v1::Program program,
                                                  const std::string& call_field);

// In memory, for budgets.
int64_t BytesOf(const sandbox::GuestProgram& program);

// The clones of what one run of a map has of its own, where it has any; together with the `common`
// ones of the program within their bounds. `field` names the input in errors.
absl::Status TakeInputValues(const v1::MapInput& input, const std::string& field,
                             const internal::v1::ProgramClones& common, std::string* variables,
                             std::string* arguments);

}  // namespace cloister::rpc

#endif  // CLOISTER_SERVICE_RPC_PROGRAM_VALUES_H_
