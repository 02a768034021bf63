// All that belongs to one tenant: its managers know its sandboxes, snapshots, interpreters,
// executions, files and request_ids, and nobody else's. So what others have is not hidden from it;
// it is not there.

#ifndef CLOISTER_SERVICE_SERVER_TENANT_BACKEND_H_
#define CLOISTER_SERVICE_SERVER_TENANT_BACKEND_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cloister/internal/v1/config.pb.h"
#include "cloister/v1/info_service.pb.h"
#include "sandbox/base/loop.h"
#include "service/core/execution_manager.h"
#include "service/core/file_manager.h"
#include "service/core/fork_manager.h"
#include "service/core/interpreter_manager.h"
#include "service/core/interpreter_requests.h"
#include "service/core/message_manager.h"
#include "service/core/observer.h"
#include "service/core/rate_limit.h"
#include "service/core/request_memory.h"
#include "service/core/sandbox_manager.h"
#include "service/core/sandbox_source.h"
#include "service/core/tenant_quota.h"
#include "service/pool/pool_set.h"
#include "service/rpc/backend.h"
#include "service/rpc/request_validator.h"
#include "service/rpc/sandbox_request_validator.h"

namespace cloister::server {

// What tenants share. Ownership: all must outlive them.
struct TenantContext {
  const internal::v1::ServerConfig* config;
  sandbox::Loop* loop;
  pool::PoolSet* pools;
  core::ServiceObserver* observer;
  // Of the server, without what is the tenant's. Called on the loop.
  std::function<v1::GetInfoResponse()> info;
  // What requests of all of them hold.
  core::RequestMemory* request_memory;
  core::RequestMemory* map_memory;
  core::RequestMemory* message_memory;
  // What they have together.
  core::SharedCount live_count = std::make_shared<int>(0);
  core::SharedCount snapshot_count = std::make_shared<int>(0);
  core::SharedCount file_stream_count = std::make_shared<int>(0);
  core::SharedCount file_call_count = std::make_shared<int>(0);
};

// Thread-safety: loop thread only, but for backend() and AdmitCall(). Ownership: as TenantContext;
// must outlive the calls it is used by.
class TenantBackend {
 public:
  // `number`: no other tenant's.
  TenantBackend(const TenantContext& context, const std::string& name, int number);
  TenantBackend(const TenantBackend&) = delete;
  TenantBackend& operator=(const TenantBackend&) = delete;

  const rpc::Backend& backend() const { return backend_; }

  // One more call. Errors: RATE_EXCEEDED.
  absl::Status AdmitCall() const;

  // Queued or running executions.
  int active_count() const { return executions_->active_count(); }

  // Refuses new work. `drained` follows, never inline, when what runs has ended, or was stopped
  // because `timeout` passed. Once.
  void Drain(absl::Duration timeout, std::function<void()> drained);
  // Ends all sandboxes and snapshots.
  void EndAll();
  // Lets go of all, users before what they use. No calls come any more.
  void Close();

 private:
  v1::GetInfoResponse Info() const;

  const std::string name_;
  const internal::v1::TenantLimits limits_;
  const std::shared_ptr<core::TenantQuota> quota_;
  const std::unique_ptr<core::RateLimit> rate_;  // null: none
  const std::function<v1::GetInfoResponse()> server_info_;
  const rpc::RequestValidator validator_;
  const rpc::SandboxRequestValidator sandbox_validator_;
  std::unique_ptr<core::SandboxSource> source_;
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
