// A cloisterd that a benchmark starts for itself, from beside this program, and that ends with the object.

#ifndef CLOISTER_CLIENTS_CLI_BENCH_OWN_SERVER_H_
#define CLOISTER_CLIENTS_CLI_BENCH_OWN_SERVER_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "clients/cli/bench/child_process.h"
#include "clients/cli/bench/scratch_directory.h"
#include "cloister/internal/v1/config.pb.h"

namespace cloister::cli::bench {

class OwnServer {
 public:
  // With this configuration, on a socket of its own; it may not be ready yet.
  static absl::StatusOr<OwnServer> Start(internal::v1::ServerConfig config);

  const std::string& address() const { return address_; }
  bool IsAlive() const { return process_.IsAlive(); }
  static absl::Status EndedError() {
    return absl::FailedPreconditionError("cloisterd ended; it says why above");
  }

 private:
  OwnServer(ScratchDirectory directory, std::string address, ChildProcess process)
      : directory_(std::move(directory)),
        address_(std::move(address)),
        process_(std::move(process)) {}

  ScratchDirectory directory_;
  std::string address_;
  ChildProcess process_;  // ends before its files go
};

}  // namespace cloister::cli::bench

#endif  // CLOISTER_CLIENTS_CLI_BENCH_OWN_SERVER_H_
