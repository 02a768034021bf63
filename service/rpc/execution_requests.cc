#include "service/rpc/execution_requests.h"

#include <utility>

#include "sandbox/base/status_macros.h"
#include "service/rpc/program_values.h"
#include "service/rpc/request_digest.h"

namespace cloister::rpc {
namespace {

// `call_field` names Program.call in errors.
template <typename Request>
absl::StatusOr<core::ExecutionRequest> Take(const Backend& backend, std::string_view method,
                                            const std::string& call_field, Request* request) {
  CLOISTER_ASSIGN_OR_RETURN(const sandbox::Limits limits, backend.validator->Check(*request));
  core::ExecutionRequest taken;
  // As it lies in memory, which for many small things is far more than on the wire.
  CLOISTER_ASSIGN_OR_RETURN(
      taken.memory,
      backend.request_memory->Take(static_cast<int64_t>(request->program().SpaceUsedLong())));
  TakeRequestId(method, *request, &taken);
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
  CLOISTER_ASSIGN_OR_RETURN(taken.program,
                            TakeProgram(std::move(*request->mutable_program()), call_field));
  if (taken.program.HasClones()) {
    // From here on it holds those in place of values.
    taken.memory = {};
    CLOISTER_ASSIGN_OR_RETURN(taken.memory, backend.request_memory->Take(BytesOf(taken.program)));
  }
  taken.limits = limits;
  return taken;
}

}  // namespace

absl::StatusOr<core::ExecutionRequest> TakeRequest(const Backend& backend,
                                                   v1::RunCodeRequest* request) {
  return Take(backend, "RunCode", "program.call", request);
}

absl::StatusOr<core::ExecutionRequest> TakeRequest(const Backend& backend,
                                                   v1::CallFunctionRequest* request) {
  Violations violations;
  if (!request->has_call()) violations.Add("call", "is not set; say which function to call");
  if (request->program().has_call()) {
    violations.Add("program.call", "is set; CallFunction makes the call that `call` describes");
  }
  CheckCall(request->call(), "call", &violations);
  if (!violations.empty()) return violations.ToStatus();
  v1::RunCodeRequest run;
  run.set_request_id(std::move(*request->mutable_request_id()));
  run.set_template_(std::move(*request->mutable_template_()));
  run.set_interpreter(std::move(*request->mutable_interpreter()));
  if (request->has_limits()) *run.mutable_limits() = std::move(*request->mutable_limits());
  *run.mutable_program() = std::move(*request->mutable_program());
  *run.mutable_program()->mutable_call() = std::move(*request->mutable_call());
  return Take(backend, "CallFunction", "call", &run);
}

absl::StatusOr<core::ExecutionRequest> TakeRequest(const Backend& backend,
                                                   v1::ExecuteRequest* request) {
  const bool allow_input = request->allow_input();
  const bool detach = request->on_disconnect() == v1::ExecuteRequest::ON_DISCONNECT_DETACH;
  CLOISTER_ASSIGN_OR_RETURN(core::ExecutionRequest taken,
                            Take(backend, "Execute", "program.call", request));
  taken.mode = core::ExecutionMode::kStream;
  taken.on_disconnect = detach ? core::OnDisconnect::kDetach : core::OnDisconnect::kInterrupt;
  taken.cell.allow_input = allow_input;
  return taken;
}

}  // namespace cloister::rpc
