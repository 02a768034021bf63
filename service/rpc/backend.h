// What the gRPC services stand on, for the calls of one tenant. Only a Gate hands it out.

#ifndef CLOISTER_SERVICE_RPC_BACKEND_H_
#define CLOISTER_SERVICE_RPC_BACKEND_H_

#include <functional>
#include <string>

#include "absl/time/time.h"
#include "cloister/v1/info_service.pb.h"
#include "sandbox/base/loop.h"
#include "service/core/execution_manager.h"
#include "service/core/file_manager.h"
#include "service/core/fork_manager.h"
#include "service/core/interpreter_manager.h"
#include "service/core/message_manager.h"
#include "service/core/request_memory.h"
#include "service/core/sandbox_manager.h"
#include "service/rpc/request_validator.h"
#include "service/rpc/sandbox_request_validator.h"

namespace cloister::rpc {

// Ownership: nothing is owned; all must outlive the server.
struct Backend {
  sandbox::Loop* loop;
  core::ExecutionManager* executions;
  core::SandboxManager* sandboxes;
  core::ForkManager* forks;
  core::InterpreterManager* interpreters;
  core::FileManager* files;
  core::MessageManager* messages;
  const RequestValidator* validator;
  const SandboxRequestValidator* sandbox_validator;
  core::RequestMemory* request_memory;
  // Of maps, which hold theirs for as long as they run.
  core::RequestMemory* map_memory;
  // Of messages that wait in inboxes, for as long as nobody reads them there.
  core::RequestMemory* message_memory;
  // What an empty RunCodeRequest.template means.
  std::string default_template;
  absl::Duration keep_alive_interval = absl::Seconds(15);
  // Of Connect: until its first request; to take what is left for it at its end.
  absl::Duration opening_patience = absl::Seconds(10);
  absl::Duration leaving_patience = absl::Seconds(30);
  // Called on the loop.
  std::function<v1::GetInfoResponse()> info;
};

}  // namespace cloister::rpc

#endif  // CLOISTER_SERVICE_RPC_BACKEND_H_
