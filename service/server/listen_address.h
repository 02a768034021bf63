// Addresses the server serves.

#ifndef CLOISTER_SERVICE_SERVER_LISTEN_ADDRESS_H_
#define CLOISTER_SERVICE_SERVER_LISTEN_ADDRESS_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace cloister::server {

// Thread-safety: a value.
struct ListenAddress {
  // Of a unix socket; empty for a TCP address.
  std::string path;
  // "host:port" as gRPC and the metrics endpoint take it; empty for a unix socket.
  std::string host_and_port;
  // Whether it reaches no further than this machine.
  bool is_local = false;

  bool is_unix() const { return !path.empty(); }
};

// Whether `text` is "host:port", wherever that can be reached from. Errors: INVALID_ARGUMENT.
absl::Status CheckHostAndPort(const std::string& text);

// "unix:/absolute/path" or "host:port". Errors: INVALID_ARGUMENT with the reason.
absl::StatusOr<ListenAddress> ParseListenAddress(const std::string& text);

}  // namespace cloister::server

#endif  // CLOISTER_SERVICE_SERVER_LISTEN_ADDRESS_H_
