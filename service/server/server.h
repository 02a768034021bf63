// The whole server, put together: loop, pools, executions, gRPC, metrics; its start, its end.

#ifndef CLOISTER_SERVICE_SERVER_SERVER_H_
#define CLOISTER_SERVICE_SERVER_SERVER_H_

#include <atomic>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cloister/internal/v1/config.pb.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/host/asio_loop.h"
#include "sandbox/host/spawner_client.h"
#include "service/observability/audit_log.h"
#include "service/observability/logging.h"
#include "service/observability/metrics.h"
#include "service/observability/metrics_endpoint.h"
#include "service/observability/service_log.h"
#include "service/observability/service_metrics.h"
#include "service/pool/pool_set.h"
#include "service/rpc/grpc_server.h"
#include "service/server/credentials.h"
#include "service/server/exit_events.h"
#include "service/server/image_catalog.h"
#include "service/server/observers.h"
#include "service/server/readiness.h"
#include "service/server/tenant_gate.h"
#include "service/server/tenants.h"
#include "service/server/unix_listener.h"

namespace cloister::server {

using UnixListeners = std::vector<std::unique_ptr<UnixListener>>;

// Thread-safety: Start, Drain, Reload and the destructor from one thread, the main one.
// Ownership: `log` and `exit_events` must outlive it.
class Server {
 public:
  Server(const internal::v1::ServerConfig& config, std::vector<Image> images,
         observability::Log* log, ExitEvents* exit_events);
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  // Ends whatever still runs.
  ~Server();

  // Privileges are gone and there are no threads yet. Waits for the spawner, refuses to start below
  // the isolation floor, then serves. Readiness follows with the first sandbox.
  absl::Status Start(sandbox::UniqueFd spawner_socket, UnixListeners listeners);

  // Refuses new work and says kDrained when what runs has ended, or has been stopped because
  // drain_timeout passed.
  void Drain();

  // Reads tokens again, and opens the file of audit lines anew, as after it was moved away.
  void Reload();

 private:
  absl::Status CheckFloor() const;
  absl::Status Serve(UnixListeners listeners);
  std::function<v1::GetInfoResponse()> MakeInfo();
  void LogStart() const;
  void SetInfoMetrics();
  void OnReadyChanged(bool ready);
  // Runs `function` on the loop and waits for it.
  void RunOnLoop(const std::function<void()>& function);

  const internal::v1::ServerConfig config_;
  const std::vector<Image> images_;
  observability::Log& log_;
  ExitEvents& exit_events_;

  observability::Metrics metrics_;
  observability::ServiceMetrics service_metrics_;
  observability::ServiceLog service_log_;
  Readiness readiness_;
  const std::unique_ptr<core::ServiceObserver> spawner_watch_;
  ServiceObservers observers_;
  observability::AuditLog audit_log_;
  CallObservers call_observers_;
  Credentials credentials_;
  // Before the loop, which may hold what counts against them.
  core::RequestMemory request_memory_;
  core::RequestMemory map_memory_;
  core::RequestMemory message_memory_;
  std::unique_ptr<Tenants> tenants_;
  std::unique_ptr<observability::MetricsEndpoint> metrics_endpoint_;

  sandbox::AsioLoop loop_;
  std::thread loop_thread_;
  // Of the loop, once it runs.
  std::unique_ptr<sandbox::SpawnerClient> factory_;
  std::unique_ptr<pool::PoolSet> pools_;
  UnixListeners listeners_;

  std::atomic<bool> drained_ = false;  // no execution is left

  std::unique_ptr<TenantGate> gate_;
  std::unique_ptr<rpc::GrpcServer> grpc_server_;
};

}  // namespace cloister::server

#endif  // CLOISTER_SERVICE_SERVER_SERVER_H_
