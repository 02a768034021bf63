// Where an execution gets its sandbox: what service/core needs of the pool.

#ifndef CLOISTER_SERVICE_CORE_SANDBOX_SOURCE_H_
#define CLOISTER_SERVICE_CORE_SANDBOX_SOURCE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cloister/v1/execution.pb.h"
#include "sandbox/sandbox.h"

namespace cloister::core {

// A ready sandbox for one caller. Dropping it ends the sandbox; it never goes back.
struct Lease {
  std::unique_ptr<sandbox::Sandbox> sandbox;
  v1::StartKind start_kind = v1::START_KIND_UNSPECIFIED;
  // From the request until now.
  absl::Duration waited;
};

// Thread-safety: loop thread only.
class SandboxSource {
 public:
  // Names a pending request; never 0.
  using Ticket = uint64_t;
  using LeaseCallback = std::function<void(absl::StatusOr<Lease>)>;

  virtual ~SandboxSource() = default;

  // Asks for a sandbox of the template; `done` follows, never inline, exactly once unless
  // abandoned. Requests for one template are served in the order they came. `deadline` is on the
  // loop's clock.
  //
  // Refused at once, with `done` not called: TEMPLATE_UNKNOWN, OVERLOADED (queue full),
  // SERVER_DRAINING, NOT_STARTED (deadline passed already), SANDBOX_SETUP_FAILED (spawner lost,
  // template broken). Through `done`: POOL_EXHAUSTED, NOT_STARTED, SANDBOX_SETUP_FAILED,
  // SERVER_DRAINING.
  virtual absl::StatusOr<Ticket> RequestLease(const std::string& template_name, absl::Time deadline,
                                              LeaseCallback done) = 0;

  // The same for a live sandbox, which is to be one that can be copied where the machine can.
  virtual absl::StatusOr<Ticket> RequestSessionLease(const std::string& template_name,
                                                     absl::Time deadline, LeaseCallback done) {
    return RequestLease(template_name, deadline, std::move(done));
  }

  // Of the template's interpreters, e.g. "3.14.10"; empty where it is not known yet.
  virtual std::string PythonVersion(const std::string& /*template_name*/) const { return ""; }

  // Forgets a pending request; `done` is not called any more. A past ticket is ignored.
  virtual void AbandonRequest(Ticket ticket) = 0;

  // A leased sandbox stays with its user for long: it counts against no bound of the pool any more.
  virtual void SetAside(int64_t sandbox_id) = 0;
};

}  // namespace cloister::core

#endif  // CLOISTER_SERVICE_CORE_SANDBOX_SOURCE_H_
