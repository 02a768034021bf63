// From MapCode's message to what the core starts.

#ifndef CLOISTER_SERVICE_RPC_MAP_REQUESTS_H_
#define CLOISTER_SERVICE_RPC_MAP_REQUESTS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cloister/v1/execution_service.pb.h"
#include "service/core/execution_request.h"
#include "service/core/program_map.h"
#include "service/rpc/backend.h"

namespace cloister::rpc {

// A checked MapCodeRequest.
class MapPlan {
 public:
  // What one run has of its own; empty where it is as the program says.
  struct Input {
    std::string variables;  // a clone
    std::string arguments;  // a clone
    std::string stdin_bytes;
  };

  // Takes the request apart. Errors: FIELD_INVALID; OVERLOADED where waiting requests hold too many
  // bytes already.
  static absl::StatusOr<MapPlan> Take(const Backend& backend, v1::MapCodeRequest* request);

  const core::ProgramMapOptions& options() const { return options_; }

  // What compiles the program for all of them; nothing where that is not worth a sandbox of its
  // own.
  std::optional<core::ExecutionRequest> CompilationRequest(absl::Time deadline) const;

  // The request of an input that Forget was not told of.
  core::ExecutionRequest RequestFor(int index, absl::Time deadline) const;
  // It runs: what it has of its own is not needed any more.
  void Forget(int index) { inputs_[static_cast<size_t>(index)] = {}; }

 private:
  // Lets no more run at a time than their copies of the program may take. What all of it may hold,
  // in bytes.
  int64_t Bound();
  bool IsCompiledFirst() const;
  core::ExecutionRequest CommonRequest(absl::Time deadline) const;

  core::ProgramMapOptions options_;
  std::string template_name_;
  sandbox::GuestProgram program_;
  sandbox::Limits limits_;
  std::vector<Input> inputs_;
  core::RequestMemory::Share memory_;
};

}  // namespace cloister::rpc

#endif  // CLOISTER_SERVICE_RPC_MAP_REQUESTS_H_
