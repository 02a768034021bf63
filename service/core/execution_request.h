// What a caller wants run, validated and resolved by service/rpc.

#ifndef CLOISTER_SERVICE_CORE_EXECUTION_REQUEST_H_
#define CLOISTER_SERVICE_CORE_EXECUTION_REQUEST_H_

#include <string>

#include "absl/time/time.h"
#include "sandbox/base/limits.h"
#include "sandbox/guest_program.h"
#include "service/core/request_memory.h"
#include "service/core/turn_source.h"

namespace cloister::core {

enum class ExecutionMode {
  kCollect,  // RunCode: output is joined, no events
  kStream,   // Execute: numbered events
};

// What happens when the last owner leaves before the end.
enum class OnDisconnect { kInterrupt, kDetach };

struct ExecutionRequest {
  // Empty: no idempotence.
  std::string request_id;
  // Any digest of the whole request, method included; compared only where request_id is set.
  std::string payload_digest;
  std::string template_name;
  // The live interpreter to run in; empty: a fresh sandbox of `template_name`.
  std::string interpreter;
  // With `interpreter` only.
  CellRequest cell;
  sandbox::GuestProgram program;
  // Resolved; in a live interpreter not before it is found.
  sandbox::Limits limits;
  // Asked for by code in the sandbox itself, as often as it likes.
  bool is_inner = false;
  // What the request holds of the server's memory until it starts.
  RequestMemory::Share memory;
  ExecutionMode mode = ExecutionMode::kCollect;
  OnDisconnect on_disconnect = OnDisconnect::kInterrupt;
  // The program must have started by then; on the loop's clock.
  absl::Time deadline = absl::InfiniteFuture();
};

}  // namespace cloister::core

#endif  // CLOISTER_SERVICE_CORE_EXECUTION_REQUEST_H_
