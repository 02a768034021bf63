// Judges requests before anything is spent on them. Pure: every bound of program.proto and of the
// configuration, no side effects. All errors are FIELD_INVALID and name every bad field, at
// most 20.

#ifndef CLOISTER_SERVICE_RPC_REQUEST_VALIDATOR_H_
#define CLOISTER_SERVICE_RPC_REQUEST_VALIDATOR_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cloister/v1/execution_service.pb.h"
#include "sandbox/base/limits.h"
#include "service/rpc/limits_resolver.h"
#include "service/rpc/request_bounds.h"
#include "service/rpc/violations.h"

namespace cloister::rpc {

// Thread-safety: safe; const after construction.
class RequestValidator {
 public:
  RequestValidator(const RequestBounds& bounds, const LimitsPolicy& policy)
      : bounds_(bounds), policy_(policy) {}

  // The limits that will hold; in a live interpreter those that the request sets will.
  absl::StatusOr<sandbox::Limits> Check(const v1::RunCodeRequest& request) const;
  absl::StatusOr<sandbox::Limits> Check(const v1::ExecuteRequest& request) const;

  absl::Status Check(const v1::AttachExecutionRequest& request) const;

  // The grace time.
  absl::StatusOr<absl::Duration> Check(const v1::InterruptExecutionRequest& request) const;

  absl::Status Check(const v1::SendInputRequest& request) const;

  // Parts of other requests. `prefix` is what their field names begin with, e.g. "program.".
  void CheckEnvironment(const google::protobuf::Map<std::string, std::string>& environment,
                        const std::string& prefix, Violations* violations) const;
  void CheckFiles(const google::protobuf::RepeatedPtrField<v1::File>& files,
                  const sandbox::Limits& limits, const std::string& prefix,
                  Violations* violations) const;

  const RequestBounds& bounds() const { return bounds_; }
  const LimitsPolicy& policy() const { return policy_; }

 private:
  // What RunCode and Execute have in common.
  template <typename Request>
  absl::StatusOr<sandbox::Limits> CheckProgramRequest(const Request& request,
                                                      Violations violations) const;
  void CheckProgram(const v1::Program& program, const sandbox::Limits& limits,
                    Violations* violations) const;
  void CheckArguments(const v1::Program& program, Violations* violations) const;
  void CheckReturnFiles(const v1::Program& program, Violations* violations) const;

  const RequestBounds bounds_;
  const LimitsPolicy policy_;
};

// Bounds of names that callers choose or send back.
void CheckRequestId(std::string_view request_id, Violations* violations);
void CheckTemplateName(std::string_view template_name, Violations* violations);
// A name that the server gave out, in `field`. It is not looked up: what there is is not found there.
void CheckName(std::string_view name, std::string_view field, Violations* violations);

// Why `path` may not name something below /workspace; empty where it may.
std::string_view PathProblem(std::string_view path);
// The same for whatever length.
std::string_view PathPartsProblem(std::string_view path);

}  // namespace cloister::rpc

#endif  // CLOISTER_SERVICE_RPC_REQUEST_VALIDATOR_H_
