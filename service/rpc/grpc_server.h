// The gRPC server: listeners, bounds against hostile clients, health and reflection. Includes no
// gRPC header, so that the rest of the program need not either.

#ifndef CLOISTER_SERVICE_RPC_GRPC_SERVER_H_
#define CLOISTER_SERVICE_RPC_GRPC_SERVER_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "sandbox/base/unique_fd.h"

namespace cloister::rpc {

class Gate;

struct GrpcServerOptions {
  // As gRPC writes them, e.g. "host:port" (port 0 takes a free one) or "unix:/path". May be empty:
  // connections can come by AdoptConnection alone.
  std::vector<std::string> listen;
  bool reflection = true;
};

// Thread-safety: safe. Ownership: `gate` must outlive it.
class GrpcServer {
 public:
  // Binds every address and starts to answer; health is NOT_SERVING until SetServing. Errors:
  // FAILED_PRECONDITION naming the address that could not be bound.
  static absl::StatusOr<std::unique_ptr<GrpcServer>> Start(Gate* gate,
                                                           const GrpcServerOptions& options);
  // Shut down first.
  ~GrpcServer();

  // Serves a connected stream socket that somebody else accepted, non-blocking already.
  void AdoptConnection(sandbox::UniqueFd connection);

  // Health of "" and the services that need sandboxes.
  void SetServing(bool serving);

  // Refuses new calls, lets those under way go on for `grace`, then cancels them. Returns when the
  // last one is over, so the loop has to run meanwhile.
  void Shutdown(absl::Duration grace);

  // Of each address in its order; 0 for unix sockets.
  const std::vector<int>& ports() const;

 private:
  struct Parts;
  explicit GrpcServer(std::unique_ptr<Parts> parts);

  const std::unique_ptr<Parts> parts_;
};

}  // namespace cloister::rpc

#endif  // CLOISTER_SERVICE_RPC_GRPC_SERVER_H_
