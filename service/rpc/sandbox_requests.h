// From SandboxService's messages to what the core makes.

#ifndef CLOISTER_SERVICE_RPC_SANDBOX_REQUESTS_H_
#define CLOISTER_SERVICE_RPC_SANDBOX_REQUESTS_H_

#include "absl/status/statusor.h"
#include "cloister/v1/sandbox_service.pb.h"
#include "service/core/fork_manager.h"
#include "service/core/sandbox_manager.h"
#include "service/rpc/backend.h"

namespace cloister::rpc {

// Validates and translates; takes the files out of `request`, so that megabytes are not copied. The
// deadline is left to the caller. Errors: FIELD_INVALID, OVERLOADED.
absl::StatusOr<core::CreateSandboxRequest> TakeRequest(const Backend& backend,
                                                       v1::CreateSandboxRequest* request);

absl::StatusOr<core::ForkRequest> TakeRequest(const Backend& backend,
                                              const v1::ForkSandboxRequest& request);
absl::StatusOr<core::SnapshotRequest> TakeRequest(const Backend& backend,
                                                  const v1::CreateSnapshotRequest& request);

}  // namespace cloister::rpc

#endif  // CLOISTER_SERVICE_RPC_SANDBOX_REQUESTS_H_
