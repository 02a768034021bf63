#include "service/rpc/map_requests.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"
#include "sandbox/base/compiled_program.h"
#include "sandbox/base/status_macros.h"
#include "service/rpc/program_values.h"
#include "service/rpc/violations.h"

namespace cloister::rpc {
namespace {

constexpr int kMaximumInputs = 10'000;
constexpr int kDefaultConcurrency = 8;
constexpr int kMaximumConcurrency = 64;
// A sandbox takes as long as a program of some hundred lines to compile.
constexpr size_t kCompileFirstFrom = 8;
// What the programs of all runs at a time may take together; one may always run.
constexpr int64_t kMaximumCopiesBytes = int64_t{64} << 20;

absl::Status Check(const v1::MapCodeRequest& request, int64_t maximum_stdin_bytes) {
  Violations violations;
  if (request.inputs().empty()) violations.Add("inputs", "is empty; give at least one");
  if (request.inputs_size() > kMaximumInputs) {
    violations.Add("inputs", absl::StrCat("has ", request.inputs_size(), " entries; at most ",
                                          kMaximumInputs, " are allowed"));
    return violations.ToStatus();
  }
  if (request.concurrency() < 0 || request.concurrency() > kMaximumConcurrency) {
    violations.Add("concurrency",
                   absl::StrCat("is ", request.concurrency(), "; 0, which means ",
                                kDefaultConcurrency, ", to ", kMaximumConcurrency, " are allowed"));
  }
  if (!v1::MapCodeRequest::Order_IsValid(request.order())) {
    violations.Add("order", absl::StrCat("has no value ", request.order()));
  }
  for (int i = 0; i < request.inputs_size(); ++i) {
    const v1::MapInput& input = request.inputs(i);
    const std::string field = absl::StrCat("inputs[", i, "]");
    CheckVariables(input.variables(), absl::StrCat(field, ".variables"), &violations);
    if (static_cast<int64_t>(input.stdin().size()) > maximum_stdin_bytes) {
      violations.Add(absl::StrCat(field, ".stdin"),
                     absl::StrCat("is ", input.stdin().size(), " bytes; at most ",
                                  maximum_stdin_bytes, " are allowed"));
    }
    if (!input.arguments().empty() && !request.program().has_call()) {
      violations.Add(absl::StrCat(field, ".arguments"), "is for a call; set program.call");
    }
  }
  return violations.ToStatus();
}

}  // namespace

absl::StatusOr<MapPlan> MapPlan::Take(const Backend& backend, v1::MapCodeRequest* request) {
  CLOISTER_RETURN_IF_ERROR(Check(*request, backend.validator->bounds().stdin_bytes));
  MapPlan plan;
  // While it is taken apart.
  CLOISTER_ASSIGN_OR_RETURN(
      const core::RequestMemory::Share parsed,
      backend.request_memory->Take(static_cast<int64_t>(request->SpaceUsedLong())));
  plan.options_ = {
      .count = request->inputs_size(),
      .concurrency = request->concurrency() == 0 ? kDefaultConcurrency : request->concurrency(),
      .in_order = request->order() != v1::MapCodeRequest::ORDER_COMPLETION,
      .stop_on_failure = request->stop_on_failure()};
  plan.template_name_ =
      request->template_().empty() ? backend.default_template : request->template_();

  // What every run has in common is judged as RunCode would.
  v1::RunCodeRequest run;
  run.set_template_(request->template_());
  *run.mutable_program() = std::move(*request->mutable_program());
  if (request->has_limits()) *run.mutable_limits() = std::move(*request->mutable_limits());
  CLOISTER_ASSIGN_OR_RETURN(plan.limits_, backend.validator->Check(run));
  CLOISTER_ASSIGN_OR_RETURN(plan.program_,
                            TakeProgram(std::move(*run.mutable_program()), "program.call"));

  plan.inputs_.resize(static_cast<size_t>(request->inputs_size()));
  for (int i = 0; i < request->inputs_size(); ++i) {
    v1::MapInput& input = *request->mutable_inputs(i);
    Input& taken = plan.inputs_[static_cast<size_t>(i)];
    CLOISTER_RETURN_IF_ERROR(TakeInputValues(input, absl::StrCat("inputs[", i, "]"),
                                             plan.program_.clones, &taken.variables,
                                             &taken.arguments));
    taken.stdin_bytes = std::move(*input.mutable_stdin());
    input.Clear();
  }
  CLOISTER_ASSIGN_OR_RETURN(plan.memory_, backend.map_memory->Take(plan.Bound()));
  return plan;
}

int64_t MapPlan::Bound() {
  int64_t bytes = BytesOf(program_);
  const int64_t copies = std::max<int64_t>(1, kMaximumCopiesBytes / bytes);
  options_.concurrency = static_cast<int>(std::min<int64_t>(options_.concurrency, copies));
  bytes *= 1 + options_.concurrency;
  if (IsCompiledFirst()) {
    bytes += static_cast<int64_t>(sandbox::MaxCompiledBytes(program_.program.code().size()));
  }
  for (const Input& input : inputs_) {
    bytes += static_cast<int64_t>(sizeof(input) + input.variables.size() + input.arguments.size() +
                                  input.stdin_bytes.size());
  }
  return bytes;
}

bool MapPlan::IsCompiledFirst() const {
  return inputs_.size() >= kCompileFirstFrom && !program_.program.code().empty();
}

core::ExecutionRequest MapPlan::CommonRequest(absl::Time deadline) const {
  core::ExecutionRequest request;
  request.template_name = template_name_;
  request.limits = limits_;
  request.deadline = deadline;
  return request;
}

std::optional<core::ExecutionRequest> MapPlan::CompilationRequest(absl::Time deadline) const {
  if (!IsCompiledFirst()) return std::nullopt;
  core::ExecutionRequest request = CommonRequest(deadline);
  request.program.compile_only = true;
  request.program.program.set_code(program_.program.code());
  request.program.program.set_file_name(program_.program.file_name());
  request.program.program.set_return_value(program_.program.return_value());
  return request;
}

core::ExecutionRequest MapPlan::RequestFor(int index, absl::Time deadline) const {
  const Input& input = inputs_[static_cast<size_t>(index)];
  core::ExecutionRequest request = CommonRequest(deadline);
  request.program = program_;
  if (!input.variables.empty()) request.program.clones.add_variables(input.variables);
  if (!input.arguments.empty()) request.program.clones.set_arguments(input.arguments);
  if (!input.stdin_bytes.empty()) request.program.program.set_stdin(input.stdin_bytes);
  return request;
}

}  // namespace cloister::rpc
