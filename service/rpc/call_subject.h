// The names that a request or an answer tells, for the record of who did what: no code, no data.

#ifndef CLOISTER_SERVICE_RPC_CALL_SUBJECT_H_
#define CLOISTER_SERVICE_RPC_CALL_SUBJECT_H_

#include <string>

#include "cloister/v1/execution_service.pb.h"
#include "cloister/v1/interpreter_service.pb.h"
#include "cloister/v1/sandbox_service.pb.h"
#include "service/rpc/message_requests.h"

namespace cloister::rpc {

// A client may send longer ones, which name nothing.
inline constexpr size_t kMaximumSubjectBytes = 256;

inline void AppendName(const std::string& name, std::string* names) {
  if (name.empty() || names->size() >= kMaximumSubjectBytes) return;
  if (!names->empty()) names->push_back(',');
  names->append(name, 0, kMaximumSubjectBytes);
}

// Of the fields that name something in all requests alike.
template <typename Request>
std::string SubjectOf(const Request& request) {
  std::string names;
  if constexpr (requires { AppendName(request.name(), &names); }) {
    AppendName(request.name(), &names);
  }
  if constexpr (requires { AppendName(request.sandbox(), &names); }) {
    AppendName(request.sandbox(), &names);
  }
  if constexpr (requires { AppendName(request.interpreter(), &names); }) {
    AppendName(request.interpreter(), &names);
  }
  if constexpr (requires { AppendName(request.execution(), &names); }) {
    AppendName(request.execution(), &names);
  }
  if constexpr (requires { AppendName(request.snapshot(), &names); }) {
    AppendName(request.snapshot(), &names);
  }
  return names;
}

inline std::string SubjectOf(const TakenOpening& opening) {
  std::string names;
  AppendName(opening.interpreter, &names);
  return names;
}

// Of what a call has made.
inline std::string MadeBy(const v1::RunCodeResponse& response) { return response.execution(); }
inline std::string MadeBy(const v1::CallFunctionResponse& response) { return response.execution(); }
inline std::string MadeBy(const v1::CreateSandboxResponse& response) {
  return response.sandbox().name();
}
inline std::string MadeBy(const v1::ForkSandboxResponse& response) {
  std::string names;
  for (const v1::Sandbox& sandbox : response.sandboxes()) AppendName(sandbox.name(), &names);
  return names;
}
inline std::string MadeBy(const v1::CreateSnapshotResponse& response) {
  return response.snapshot().name();
}
inline std::string MadeBy(const v1::CreateInterpreterResponse& response) {
  return response.interpreter().name();
}

}  // namespace cloister::rpc

#endif  // CLOISTER_SERVICE_RPC_CALL_SUBJECT_H_
