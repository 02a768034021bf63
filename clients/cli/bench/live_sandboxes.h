// The live sandboxes of a benchmark.

#ifndef CLOISTER_CLIENTS_CLI_BENCH_LIVE_SANDBOXES_H_
#define CLOISTER_CLIENTS_CLI_BENCH_LIVE_SANDBOXES_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cloister/v1/execution_service.grpc.pb.h"
#include "cloister/v1/interpreter_service.grpc.pb.h"
#include "cloister/v1/sandbox_service.grpc.pb.h"

namespace cloister::cli::bench {

// Makes sandboxes on a server and ends them, at the latest with itself. Every call waits for its answer.
// Errors: UNAVAILABLE with what the server said, as a user would read it.
// Thread-safety: Run from any thread, the rest from one.
class LiveSandboxes {
 public:
  explicit LiveSandboxes(const std::string& address);
  LiveSandboxes(const LiveSandboxes&) = delete;
  LiveSandboxes& operator=(const LiveSandboxes&) = delete;
  ~LiveSandboxes() { DeleteFrom(0); }

  // `sandboxes/{sandbox}`
  absl::StatusOr<std::string> Create(const std::string& template_name);
  absl::Status Fork(const std::string& parent, int count);
  // `sandboxes/{sandbox}/interpreters/{interpreter}`, which the server chooses without an id; ends with its sandbox.
  absl::StatusOr<std::string> AddInterpreter(const std::string& sandbox,
                                             v1::Interpreter::Profile profile,
                                             const std::string& id = "");

  // Runs `code` in an interpreter, or in the `main` of a sandbox. INTERNAL: it did not succeed.
  absl::Status Run(const std::string& interpreter, const std::string& code);

  // All, in the order they were made.
  const std::vector<std::string>& names() const { return names_; }
  // Ends the sandboxes from names()[first] on.
  void DeleteFrom(size_t first);

 private:
  absl::Status Error(const grpc::Status& status) const;

  const std::string address_;
  const std::unique_ptr<v1::SandboxService::Stub> sandboxes_;
  const std::unique_ptr<v1::InterpreterService::Stub> interpreters_;
  const std::unique_ptr<v1::ExecutionService::Stub> executions_;
  std::vector<std::string> names_;
};

}  // namespace cloister::cli::bench

#endif  // CLOISTER_CLIENTS_CLI_BENCH_LIVE_SANDBOXES_H_
