#include "service/rpc/message_requests.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "sandbox/base/status_macros.h"
#include "sandbox/clone/value.h"
#include "service/base/proto_time.h"
#include "service/rpc/program_values.h"
#include "service/rpc/remote_error.h"
#include "service/rpc/request_validator.h"
#include "service/rpc/violations.h"

namespace cloister::rpc {
namespace {

constexpr int kMaximumFunctions = 256;
constexpr size_t kMaximumFunctionBytes = 64;
constexpr int kMaximumCalls = 64;
constexpr absl::Duration kMaximumTimeout = absl::Hours(1);

absl::Status Invalid(std::string_view field, std::string_view description) {
  Violations violations;
  violations.Add(field, description);
  return violations.ToStatus();
}

absl::StatusOr<std::string> CloneOf(const v1::Value& value, std::string_view field) {
  absl::StatusOr<std::string> clone = sandbox::CloneFromValue(value, sandbox::kValueCloneLimits);
  if (clone.ok()) return clone;
  return Invalid(field, std::string(clone.status().message()));
}

absl::StatusOr<TakenMessage> TakeMessage(const v1::Value& value) {
  TakenMessage message;
  CLOISTER_ASSIGN_OR_RETURN(message.clone, CloneOf(value, "post"));
  message.credit_bytes =
      static_cast<int64_t>(value.ByteSizeLong()) + core::MessageConnection::kPostOverheadBytes;
  return message;
}

void CheckFunctions(const v1::OpenConnection& open, Violations* violations) {
  if (open.host_functions_size() > kMaximumFunctions) {
    violations->Add("open.host_functions", absl::StrCat("has ", open.host_functions_size(),
                                                        " entries; at most ", kMaximumFunctions));
    return;
  }
  for (int i = 0; i < open.host_functions_size(); ++i) {
    const std::string& name = open.host_functions(i);
    const std::string problem(name.size() > kMaximumFunctionBytes ? "is longer than 64 bytes"
                                                                  : VariableProblem(name));
    if (!problem.empty()) {
      violations->Add(absl::StrCat("open.host_functions[", i, "]"),
                      absl::StrCat("is ", Quoted(name), ", which ", problem));
    }
  }
}

absl::StatusOr<TakenOpening> TakeOpening(const v1::OpenConnection& open) {
  Violations violations;
  CheckName(open.interpreter(), "open.interpreter", &violations);
  CheckFunctions(open, &violations);
  if (open.maximum_host_calls() < 0 || open.maximum_host_calls() > kMaximumCalls) {
    violations.Add("open.maximum_host_calls",
                   absl::StrCat("is ", open.maximum_host_calls(), "; must be 1 to ", kMaximumCalls,
                                ", or 0 for 16"));
  }
  TakenOpening taken;
  if (open.has_host_call_timeout()) {
    taken.options.timeout = base::FromProto(open.host_call_timeout());
    if (taken.options.timeout <= absl::ZeroDuration() || taken.options.timeout > kMaximumTimeout) {
      violations.Add("open.host_call_timeout", "must be more than 0 and at most 1 h");
    }
  }
  if (!violations.empty()) return violations.ToStatus();
  taken.interpreter = open.interpreter();
  taken.options.functions = {open.host_functions().begin(), open.host_functions().end()};
  if (open.maximum_host_calls() > 0) taken.options.maximum = open.maximum_host_calls();
  return taken;
}

bool IsException(const v1::Value& value) {
  const v1::Object::Kind kind = value.object_value().kind();
  return kind == v1::Object::KIND_EXCEPTION || kind == v1::Object::KIND_REMOTE_ERROR;
}

absl::StatusOr<TakenAnswer> TakeAnswer(const v1::HostCallResult& result) {
  TakenAnswer taken;
  taken.number = result.number();
  switch (result.result_case()) {
    case v1::HostCallResult::kValue: {
      CLOISTER_ASSIGN_OR_RETURN(*taken.reply.mutable_value(),
                                CloneOf(result.value(), "host_call_result.value"));
      return taken;
    }
    case v1::HostCallResult::kException: {
      constexpr char kField[] = "host_call_result.exception";
      const v1::Value& error = result.exception();
      if (!error.has_text() && !IsException(error)) {
        return Invalid(
            kField,
            "is no exception: neither `text` nor an Object of kind EXCEPTION or REMOTE_ERROR");
      }
      CLOISTER_ASSIGN_OR_RETURN(
          *taken.reply.mutable_exception(),
          CloneOf(error.has_text() ? RemoteError(error.text()) : error, kField));
      return taken;
    }
    default:
      return Invalid("host_call_result", "has neither `value` nor `exception`");
  }
}

}  // namespace

absl::StatusOr<TakenMessage> TakePost(const v1::PostMessageRequest& request,
                                      core::RequestMemory* memory) {
  Violations violations;
  CheckName(request.interpreter(), "interpreter", &violations);
  if (!request.has_value()) violations.Add("value", "is not set; say what to send");
  if (!violations.empty()) return violations.ToStatus();
  TakenMessage message;
  CLOISTER_ASSIGN_OR_RETURN(message.clone, CloneOf(request.value(), "value"));
  CLOISTER_ASSIGN_OR_RETURN(message.memory, memory->Take(message.memory_bytes()));
  return message;
}

absl::StatusOr<std::variant<TakenOpening, TakenMessage, TakenAnswer>> TakeRequest(
    const v1::ConnectRequest& request) {
  switch (request.request_case()) {
    case v1::ConnectRequest::kOpen:
      return TakeOpening(request.open());
    case v1::ConnectRequest::kPost:
      return TakeMessage(request.post());
    case v1::ConnectRequest::kHostCallResult:
      return TakeAnswer(request.host_call_result());
    default:
      return Invalid("request", "is not set; send `open`, `post` or `host_call_result`");
  }
}

}  // namespace cloister::rpc
