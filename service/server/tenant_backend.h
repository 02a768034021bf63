// All that belongs to one tenant: its managers know its sandboxes, snapshots, interpreters,
// executions, files and request_ids, and nobody else's. So what others have is not hidden from it;
// it is not there.

#ifndef CLOISTER_SERVICE_SERVER_TENANT_BACKEND_H_
#define CLOISTER_SERVICE_SERVER_TENANT_BACKEND_H_

#include <functional>
#include <memory>

#include "absl/time/time.h"
#include "cloister/internal/v1/config.pb.h"
#include "cloister/v1/info_service.pb.h"
#include "sandbox/base/loop.h"
#include "service/core/call_observer.h"
#include "service/core/execution_manager.h"
#include "service/core/file_manager.h"
#include "service/core/fork_manager.h"
#include "service/core/interpreter_manager.h"
#include "service/core/interpreter_requests.h"
#include "service/core/message_manager.h"
#include "service/core/observer.h"
#include "service/core/request_memory.h"
#include "service/core/sandbox_manager.h"
#include "service/core/sandbox_source.h"
#include "service/rpc/backend.h"
#include "service/rpc/request_validator.h"
#include "service/rpc/sandbox_request_validator.h"

namespace cloister::server {

// What tenants share. Ownership: all must outlive them.
struct TenantContext {
  const internal::v1::ServerConfig* config;
  sandbox::Loop* loop;
  core::SandboxSource* source;
  core::ServiceObserver* observer;
  core::CallObserver* call_observer;
  // Of the server, without what is the tenant's. Called on the loop.
  std::function<v1::GetInfoResponse()> info;
};

// Thread-safety: loop thread only, but for backend(). Ownership: as TenantContext; must outlive the
// calls it is used by, and what they have left to the loop.
class TenantBackend {
 public:
  explicit TenantBackend(const TenantContext& context);
  TenantBackend(const TenantBackend&) = delete;
  TenantBackend& operator=(const TenantBackend&) = delete;

  const rpc::Backend& backend() const { return backend_; }

  // Queued or running executions.
  int active_count() const { return executions_->active_count(); }

  // Refuses new work. `drained` follows, never inline, when what runs has ended, or was stopped
  // because `timeout` passed. Once.
  void Drain(absl::Duration timeout, std::function<void()> drained);
  // Ends all sandboxes and snapshots.
  void EndAll();
  // Lets go of all but what memory requests hold, users before what they use. No calls come any
  // more.
  void Close();

 private:
  v1::GetInfoResponse Info() const;

  const std::function<v1::GetInfoResponse()> server_info_;
  const rpc::RequestValidator validator_;
  const rpc::SandboxRequestValidator sandbox_validator_;
  core::RequestMemory request_memory_;
  core::RequestMemory map_memory_;
  core::RequestMemory message_memory_;
  std::unique_ptr<core::SandboxManager> sandboxes_;
  std::unique_ptr<core::ForkManager> forks_;
  std::unique_ptr<core::InterpreterManager> interpreters_;
  std::unique_ptr<core::FileManager> files_;
  std::unique_ptr<core::MessageManager> messages_;
  std::unique_ptr<core::ExecutionManager> executions_;
  std::unique_ptr<core::InterpreterRequests> interpreter_requests_;
  rpc::Backend backend_;
};

}  // namespace cloister::server

#endif  // CLOISTER_SERVICE_SERVER_TENANT_BACKEND_H_
