// Judges requests before anything is spent on them. Pure: every bound of program.proto and of the
// configuration, no side effects. All errors are FIELD_INVALID and name every bad field, at
// most 20.

#ifndef CLOISTER_SERVICE_RPC_REQUEST_VALIDATOR_H_
#define CLOISTER_SERVICE_RPC_REQUEST_VALIDATOR_H_

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

  // The limits that will hold.
  absl::StatusOr<sandbox::Limits> Check(const v1::RunCodeRequest& request) const;
  absl::StatusOr<sandbox::Limits> Check(const v1::ExecuteRequest& request) const;

  absl::Status Check(const v1::AttachExecutionRequest& request) const;

  // The grace time.
  absl::StatusOr<absl::Duration> Check(const v1::InterruptExecutionRequest& request) const;

  const RequestBounds& bounds() const { return bounds_; }
  const LimitsPolicy& policy() const { return policy_; }

 private:
  absl::StatusOr<sandbox::Limits> CheckProgramRequest(std::string_view request_id,
                                                      std::string_view template_name,
                                                      const v1::Program& program,
                                                      const v1::Limits& limits,
                                                      Violations violations) const;
  void CheckProgram(const v1::Program& program, const sandbox::Limits& limits,
                    Violations* violations) const;
  void CheckArguments(const v1::Program& program, Violations* violations) const;
  void CheckEnvironment(const v1::Program& program, Violations* violations) const;
  void CheckFiles(const v1::Program& program, const sandbox::Limits& limits,
                  Violations* violations) const;
  void CheckReturnFiles(const v1::Program& program, Violations* violations) const;

  const RequestBounds bounds_;
  const LimitsPolicy policy_;
};

// Why `path` may not name something below /workspace; empty where it may.
std::string_view PathProblem(std::string_view path);

}  // namespace cloister::rpc

#endif  // CLOISTER_SERVICE_RPC_REQUEST_VALIDATOR_H_
