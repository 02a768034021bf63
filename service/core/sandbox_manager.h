// All live sandboxes of the server: makes them, finds them again, lists them, and ends them when
// they are deleted, when their time is over, and when the server stops.

#ifndef CLOISTER_SERVICE_CORE_SANDBOX_MANAGER_H_
#define CLOISTER_SERVICE_CORE_SANDBOX_MANAGER_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cloister/v1/sandbox.pb.h"
#include "sandbox/base/loop.h"
#include "service/core/live_sandbox.h"
#include "service/core/observer.h"
#include "service/core/request_ids.h"
#include "service/core/request_memory.h"
#include "service/core/reservation.h"
#include "service/core/sandbox_source.h"
#include "service/core/tenant_quota.h"
#include "service/core/turn_source.h"

namespace cloister::core {

struct SandboxManagerOptions {
  // Alive at once, of all managers that share `server_count`.
  int maximum_count = 256;
  SharedCount server_count = std::make_shared<int>(0);
  // The tenant's own bounds.
  std::shared_ptr<TenantQuota> quota = std::make_shared<TenantQuota>();
  size_t maximum_queued = 64;
  // In one sandbox, `main` among them.
  int maximum_interpreters = 16;
  // For how many that are gone the reason is known; and of how many their request_ids.
  size_t remembered = 10'000;
};

struct CreateSandboxRequest {
  // Empty: no idempotence.
  std::string request_id;
  std::string payload_digest;
  LiveSandboxSpec spec;
  // With spec.snapshot, which knows the rest of the spec: the limits, from the snapshot's.
  std::function<sandbox::Limits(const sandbox::Limits&)> limits_of_copy;
  std::vector<v1::File> files;
  // What the files hold of the server's memory until they are sent.
  RequestMemory::Share memory;
  absl::Duration ttl;
  absl::Duration idle_timeout;
  // It must have started by then; on the loop's clock.
  absl::Time deadline = absl::InfiniteFuture();
};

// One page of a list.
struct SandboxPage {
  std::vector<v1::Sandbox> sandboxes;
  // Empty: there are no more.
  std::string next_page_token;
};

// Of an interpreter: its sandbox's name, and the last part of its own. A sandbox's name stands for `main`.
struct InterpreterName {
  std::string sandbox;
  std::string id;
};
InterpreterName SplitInterpreterName(const std::string& name);

// Thread-safety: loop thread only.
// Ownership: `loop`, `source` and `observer` must outlive it.
class SandboxManager final : public InterpreterDirectory {
 public:
  using Callback = std::function<void(absl::StatusOr<v1::Sandbox>)>;

  SandboxManager(sandbox::Loop* loop, SandboxSource* source, ServiceObserver* observer,
                 SandboxManagerOptions options);
  ~SandboxManager() override;
  SandboxManager(const SandboxManager&) = delete;
  SandboxManager& operator=(const SandboxManager&) = delete;

  // Makes a sandbox, or joins the creation with the same request_id. `done` follows, inline where
  // it is there already. Returns its name, for Abandon. Errors, at once or through `done`: as
  // CreateSandbox in sandbox_service.proto.
  absl::StatusOr<std::string> Create(CreateSandboxRequest request, Callback done);

  // One who waited for a creation has gone; the last one takes the sandbox along, if it is not
  // ready.
  void Abandon(const std::string& name);

  // Errors, of all that take a name: SANDBOX_NOT_FOUND, SANDBOX_EXPIRED.
  absl::StatusOr<v1::Sandbox> Get(const std::string& name) const;
  absl::StatusOr<v1::Sandbox> Update(const std::string& name, std::optional<absl::Duration> ttl,
                                     std::optional<absl::Duration> idle_timeout);
  absl::Status Delete(const std::string& name);
  absl::Status Restart(const std::string& name, absl::Time deadline, Callback done);

  // FIELD_INVALID for a token that is none.
  absl::StatusOr<SandboxPage> List(int page_size, const std::string& page_token) const;

  // InterpreterDirectory
  absl::StatusOr<std::shared_ptr<TurnSource>> FindInterpreter(const std::string& name) override;
  absl::StatusOr<std::shared_ptr<LiveInterpreter>> FindLive(const std::string& interpreter) const;
  // `executions/{execution}` that runs there now; empty for none.
  absl::StatusOr<std::string> CurrentExecution(const std::string& interpreter) const;

  // For sandboxes made from snapshots; outlives it.
  void SetSnapshots(SnapshotSource* snapshots) { snapshots_ = snapshots; }
  // For code in the sandboxes made from here on; outlives it.
  void SetGuestRequests(GuestRequests* requests) { requests_ = requests; }
  // For copies; to be held until they are added. Errors: SERVER_DRAINING, SANDBOX_COUNT_EXCEEDED,
  // TENANT_MEMORY_EXCEEDED.
  struct Room {
    std::shared_ptr<Reservation> own, of_server;
    TenantQuota::MemoryShare memory;
  };
  absl::StatusOr<std::shared_ptr<Room>> Reserve(int count, int64_t memory_bytes_each);
  absl::StatusOr<std::shared_ptr<LiveSandbox>> Find(const std::string& name) const;
  // A copy, ready.
  struct Copy {
    LiveSandboxSpec spec;
    CopiedSession session;
    std::string parent;
    absl::Duration ttl;
    absl::Duration idle_timeout;
    // Of the request that asked for it.
    RequestIds::Hold request = nullptr;
  };
  v1::Sandbox AddCopy(Copy copy);

  // SERVER_DRAINING.
  absl::Status CheckNotDraining() const;
  // No new ones from here on, and none started anew.
  void BeginDrain() { draining_ = true; }
  // Ends all.
  void EndAll();

  int count() const { return static_cast<int>(by_ordinal_.size()); }
  const SandboxManagerOptions& options() const { return options_; }

 private:
  struct Entry {
    std::shared_ptr<LiveSandbox> sandbox;
    std::string request_id = {};  // of its own creation
    RequestIds::Hold request = nullptr;
    int waiting = 0;  // callers of Create that wait for it
    std::shared_ptr<Reservation> of_server = nullptr;
    TenantQuota::MemoryShare memory = {};
  };

  absl::StatusOr<std::string> Repeat(const std::string& name, Callback done);
  void Await(Entry& entry, const absl::Status& started, const Callback& done);
  absl::Status CheckRoom(int count = 1) const;
  LiveSandbox::Context MakeContext();
  // Ends it and forgets it, but for the reason.
  void End(const std::string& name, LiveEnd how);
  absl::Status GoneError(const std::string& name, LiveEnd how) const;

  sandbox::Loop* const loop_;
  SandboxSource* const source_;
  SnapshotSource* snapshots_ = nullptr;
  GuestRequests* requests_ = nullptr;
  ServiceObserver* const observer_;
  const SandboxManagerOptions options_;
  int64_t last_ordinal_ = 0;
  std::map<int64_t, std::shared_ptr<LiveSandbox>> by_ordinal_;
  std::unordered_map<std::string, Entry> by_name_;
  RequestIds request_ids_;
  std::deque<std::string> gone_;  // oldest first
  std::unordered_map<std::string, LiveEnd> gone_names_;
  const Reservation::Total reserved_ = std::make_shared<int>(0);
  bool draining_ = false;
};

}  // namespace cloister::core

#endif  // CLOISTER_SERVICE_CORE_SANDBOX_MANAGER_H_
