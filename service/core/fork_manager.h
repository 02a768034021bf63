// Copies of live sandboxes, and snapshots: makes both from a sandbox whose turn has come, keeps the
// snapshots, and copies them when sandboxes are made from them.

#ifndef CLOISTER_SERVICE_CORE_FORK_MANAGER_H_
#define CLOISTER_SERVICE_CORE_FORK_MANAGER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cloister/v1/sandbox.pb.h"
#include "sandbox/base/loop.h"
#include "sandbox/sandbox.h"
#include "service/core/live_sandbox.h"
#include "service/core/observer.h"
#include "service/core/request_ids.h"
#include "service/core/reservation.h"
#include "service/core/sandbox_manager.h"
#include "service/core/tenant_quota.h"

namespace cloister::core {

struct ForkRequest {
  // Empty: no idempotence.
  std::string request_id;
  std::string payload_digest;
  // `sandboxes/{sandbox}`
  std::string parent;
  int count = 1;
  // Fills in what is unset from the parent's.
  std::function<sandbox::Limits(const sandbox::Limits& parent)> limits;
  absl::Duration ttl;
  absl::Duration idle_timeout;
  // The parent's turn must have come by then; on the loop's clock.
  absl::Time deadline = absl::InfiniteFuture();
};

struct SnapshotRequest {
  std::string request_id;
  std::string payload_digest;
  std::string sandbox;
  absl::Duration ttl;
  absl::Time deadline = absl::InfiniteFuture();
};

struct SnapshotPage {
  std::vector<v1::Snapshot> snapshots;
  std::string next_page_token;
};

struct ForkManagerOptions {
  // Alive at once, of all managers that share `server_snapshots`.
  int maximum_snapshots = 64;
  SharedCount server_snapshots = std::make_shared<int>(0);
  // The tenant's own bounds.
  std::shared_ptr<TenantQuota> quota = std::make_shared<TenantQuota>();
};

// Thread-safety: loop thread only.
// Ownership: `loop`, `sandboxes` and `observer` must outlive it. It makes itself the manager's source of
// snapshots.
class ForkManager final : public SnapshotSource {
 public:
  // Requests whose forks and snapshots are all gone.
  static constexpr size_t kRememberedRequests = 10'000;

  using ForkCallback = std::function<void(absl::StatusOr<std::vector<v1::Sandbox>>)>;
  using SnapshotCallback = std::function<void(absl::StatusOr<v1::Snapshot>)>;

  ForkManager(sandbox::Loop* loop, SandboxManager* sandboxes, ServiceObserver* observer,
              ForkManagerOptions options = {});
  ~ForkManager() override;
  ForkManager(const ForkManager&) = delete;
  ForkManager& operator=(const ForkManager&) = delete;

  // `done` follows, inline for what a request_id names already; for a request that is under way, with
  // that. Errors, at once or through `done`: as in sandbox_service.proto. Goes on where the caller has
  // gone.
  absl::Status Fork(ForkRequest request, ForkCallback done);
  absl::Status CreateSnapshot(SnapshotRequest request, SnapshotCallback done);

  absl::StatusOr<v1::Snapshot> GetSnapshot(const std::string& name) const;
  absl::StatusOr<SnapshotPage> ListSnapshots(int page_size, const std::string& page_token) const;
  absl::Status DeleteSnapshot(const std::string& name);
  int snapshot_count() const { return static_cast<int>(snapshots_.size()); }
  // SnapshotSource
  absl::StatusOr<LiveSandboxSpec> SpecOf(const std::string& name) const override;
  absl::Status CopySnapshot(const std::string& name, const sandbox::Limits& limits,
                            Callback done) override;

  // Ends all snapshots.
  void EndAll();

 private:
  struct Snapshot {
    std::shared_ptr<sandbox::Sandbox> sandbox;  // and those who copy it
    LiveSandboxSpec spec;
    v1::Snapshot proto;
    absl::Time expiry;
    int64_t last_cell = 0;
    int64_t last_history = 0;
    sandbox::Loop::TimerId timer = 0;
    RequestIds::Hold request;
    std::shared_ptr<Reservation> of_server;
  };
  using Copies = absl::StatusOr<std::vector<std::unique_ptr<sandbox::Sandbox>>>;

  using Names = std::vector<std::string>;

  absl::StatusOr<std::vector<v1::Sandbox>> Forks(const Names& names) const;
  // A repetition: `tell` gets the names that the request made, now or when it has.
  static absl::Status Repeat(const std::string& request_id, RequestIds* ids,
                     const RequestIds::Earlier& earlier, RequestIds::Waiter tell);
  std::vector<v1::Sandbox> AddForks(const LiveSandbox& parent, const ForkRequest& request,
                                    const sandbox::Limits& limits,
                                    std::vector<std::unique_ptr<sandbox::Sandbox>> copies,
                                    const RequestIds::Hold& hold);
  absl::Status CopyInTurn(const std::shared_ptr<LiveSandbox>& parent, sandbox::ForkSpec spec,
                          absl::Time deadline, std::function<void(Copies)> done);
  absl::Status ErrorOf(const std::string& sandbox, const absl::Status& why) const;
  v1::Snapshot AddSnapshot(const LiveSandbox& parent, std::unique_ptr<sandbox::Sandbox> copy,
                           absl::Duration ttl, RequestIds::Hold hold);
  absl::Status CheckRoomForSnapshot() const;
  static absl::Status NoSnapshotError(const std::string& name);

  sandbox::Loop* const loop_;
  SandboxManager* const sandboxes_;
  ServiceObserver* const observer_;
  const ForkManagerOptions options_;
  int64_t last_ordinal_ = 0;
  std::map<int64_t, std::unique_ptr<Snapshot>> snapshots_;
  std::unordered_map<std::string, int64_t> by_name_;
  const Reservation::Total reserved_snapshots_ = std::make_shared<int>(0);
  RequestIds fork_ids_;
  RequestIds snapshot_ids_;
  const std::shared_ptr<char> alive_ = std::make_shared<char>();  // expires with the object
};

}  // namespace cloister::core

#endif  // CLOISTER_SERVICE_CORE_FORK_MANAGER_H_
