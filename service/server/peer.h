// Where a call comes from, as gRPC names it.

#ifndef CLOISTER_SERVICE_SERVER_PEER_H_
#define CLOISTER_SERVICE_SERVER_PEER_H_

#include <string>

namespace cloister::server {

// Whether `peer`, as grpc::ServerContext::peer() has it, is on this machine: a unix socket's or a
// loopback address's. What is not understood is not.
bool IsLocalPeer(const std::string& peer);

}  // namespace cloister::server

#endif  // CLOISTER_SERVICE_SERVER_PEER_H_
