// The interpreters of all live sandboxes, by name: makes, finds, restarts and ends the further ones.
// They belong to their sandboxes; what is kept here is which request made which.

#ifndef CLOISTER_SERVICE_CORE_INTERPRETER_MANAGER_H_
#define CLOISTER_SERVICE_CORE_INTERPRETER_MANAGER_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cloister/v1/interpreter.pb.h"
#include "service/core/further_interpreters.h"
#include "service/core/observer.h"
#include "service/core/request_ids.h"
#include "service/core/sandbox_manager.h"

namespace cloister::core {

struct CreateInterpreterRequest {
  // Empty: no idempotence.
  std::string request_id;
  std::string payload_digest;
  // `sandboxes/{sandbox}`
  std::string sandbox;
  // Without an id: one is chosen.
  FurtherInterpreterSpec spec;
  // It must have started by then; on the loop's clock.
  absl::Time deadline = absl::InfiniteFuture();
};

// Thread-safety: loop thread only.
// Ownership: `sandboxes` and `observer` must outlive it.
class InterpreterManager {
 public:
  // Requests whose interpreters are gone.
  static constexpr size_t kRememberedRequests = 10'000;

  using Callback = std::function<void(absl::StatusOr<v1::Interpreter>)>;
  using DeleteCallback = FurtherInterpreters::EndCallback;
  // Names a creation somebody waits for.
  using Creation = std::weak_ptr<LiveInterpreter>;

  InterpreterManager(SandboxManager* sandboxes, ServiceObserver* observer)
      : sandboxes_(sandboxes), request_ids_(observer, kRememberedRequests) {}
  InterpreterManager(const InterpreterManager&) = delete;
  InterpreterManager& operator=(const InterpreterManager&) = delete;

  // Makes one, or joins the creation with the same request_id. `done` follows, inline where it is
  // there already. Errors, at once or through `done`: as in interpreter_service.proto.
  absl::StatusOr<Creation> Create(CreateInterpreterRequest request, Callback done);
  // One who waited for it has gone; the last one takes it along, if it is not ready.
  void Abandon(const Creation& creation);

  absl::StatusOr<v1::Interpreter> Get(const std::string& name) const;
  absl::StatusOr<std::vector<v1::Interpreter>> List(const std::string& sandbox) const;
  // `done` follows where OK is returned. Goes on where the caller has gone. Not of `main`.
  absl::Status Restart(const std::string& name, absl::Time deadline, Callback done);
  absl::Status Delete(const std::string& name, DeleteCallback done);

 private:
  absl::StatusOr<Creation> Repeat(const std::string& name, const std::string& request_id,
                                  Callback done);
  absl::StatusOr<Creation> Begin(LiveSandbox& sandbox, CreateInterpreterRequest request,
                                 const std::string& name, Callback done);
  // What tells `done` of `live` when it has started.
  FurtherInterpreters::StartCallback Told(const std::string& name, Callback done) const;

  SandboxManager* const sandboxes_;
  RequestIds request_ids_;
};

}  // namespace cloister::core

#endif  // CLOISTER_SERVICE_CORE_INTERPRETER_MANAGER_H_
