#include "service/rpc/execution_requests.h"

#include <utility>

#include "sandbox/base/status_macros.h"
#include "service/rpc/request_digest.h"

namespace cloister::rpc {
namespace {

template <typename Request>
absl::StatusOr<core::ExecutionRequest> Take(const Backend& backend, core::ExecutionMode mode,
                                            Request* request) {
  CLOISTER_ASSIGN_OR_RETURN(const sandbox::Limits limits, backend.validator->Check(*request));
  core::ExecutionRequest taken;
  // As it lies in memory, which for many small things is far more than on the wire.
  CLOISTER_ASSIGN_OR_RETURN(
      taken.memory,
      backend.request_memory->Take(static_cast<int64_t>(request->program().SpaceUsedLong())));
  TakeRequestId(mode == core::ExecutionMode::kCollect ? "RunCode" : "Execute", *request, &taken);
  if (request->interpreter().empty()) {
    taken.template_name =
        request->template_().empty() ? backend.default_template : request->template_();
  } else {
    taken.interpreter = std::move(*request->mutable_interpreter());
    taken.cell.options = std::move(*request->mutable_cell());
    if (request->limits().has_wall_time()) taken.cell.wall_time = limits.wall_time;
    if (request->limits().has_cpu_time()) taken.cell.cpu_time = limits.cpu_time;
    if (request->limits().has_output_bytes()) taken.cell.output_bytes = limits.output_bytes;
  }
  taken.program = std::move(*request->mutable_program());
  taken.limits = limits;
  taken.mode = mode;
  return taken;
}

}  // namespace

absl::StatusOr<core::ExecutionRequest> TakeRequest(const Backend& backend,
                                                   v1::RunCodeRequest* request) {
  return Take(backend, core::ExecutionMode::kCollect, request);
}

absl::StatusOr<core::ExecutionRequest> TakeRequest(const Backend& backend,
                                                   v1::ExecuteRequest* request) {
  const bool allow_input = request->allow_input();
  const bool detach = request->on_disconnect() == v1::ExecuteRequest::ON_DISCONNECT_DETACH;
  CLOISTER_ASSIGN_OR_RETURN(core::ExecutionRequest taken,
                            Take(backend, core::ExecutionMode::kStream, request));
  taken.on_disconnect = detach ? core::OnDisconnect::kDetach : core::OnDisconnect::kInterrupt;
  taken.cell.allow_input = allow_input;
  return taken;
}

}  // namespace cloister::rpc
