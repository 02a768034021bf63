// Makes zygotes and sandboxes by asking the spawner over its socket: the SandboxFactory of the
// server.
//
// Requests go out and events come in as single packets (spawner.proto), matched by ids that are
// never used twice. Nothing here waits, except Connect.
//
// Thread-safety: Connect before the loop runs; all else on the loop's thread.
// Ownership: owns its end of the socket; closing it makes the spawner end everything. Outlives
// every Sandbox it made. Of a spawner that was lost the keeper removes what is left.

#ifndef CLOISTER_SANDBOX_HOST_SPAWNER_CLIENT_H_
#define CLOISTER_SANDBOX_HOST_SPAWNER_CLIENT_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cloister/internal/v1/spawner.pb.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/host/asio_loop.h"
#include "sandbox/host/fd_watcher.h"
#include "sandbox/host/sandbox_parts.h"
#include "sandbox/host/spawned_process.h"
#include "sandbox/sandbox.h"

namespace cloister::sandbox {

class SpawnerClient final : public SandboxFactory, private SandboxControl {
 public:
  // How long a sandbox may take until it waits for its program.
  static constexpr absl::Duration kReadyTimeout = absl::Seconds(10);

  // The same for a copy, whose files are copied first.
  static constexpr absl::Duration kCopyTimeout = absl::Seconds(60);

  // Of one zygote, which makes one after the other, and others' clones first: more than one call has.
  static constexpr int kCopiesAtOnce = 16;

  // Waits, at most `timeout`, for the spawner to say what the machine offers. Errors: UNAVAILABLE
  // (the spawner ended; its own messages say why), DEADLINE_EXCEEDED, and what the socket said.
  static absl::StatusOr<std::unique_ptr<SpawnerClient>> Connect(AsioLoop* loop, UniqueFd socket,
                                                                absl::Duration timeout);

  ~SpawnerClient() override;

  const internal::v1::Facilities& facilities() const override { return ready_.facilities(); }
  void SetObserver(SandboxFactoryObserver* observer) override { observer_ = observer; }
  int64_t StartZygote(const internal::v1::ZygoteSpec& spec, ZygoteCallback done) override;
  void StopZygote(int64_t zygote_id) override;
  void AbortZygote(int64_t zygote_id) override;
  void CreateSandbox(int64_t zygote_id, SandboxCallback done) override;
  absl::Time LastClone(int64_t zygote_id) const override;

 private:
  struct Zygote {
    internal::v1::ZygoteSpec spec;
    ZygoteCallback done = nullptr;  // empty once it has started
    absl::Time last_clone = absl::InfinitePast();
    int copies = 0;  // asked for and not answered
    std::deque<std::pair<CopyOrder, CopyCallback>> waiting_copies = {};
  };
  // Takes what Entry::preparing is.
  using Done = std::function<void(absl::StatusOr<std::unique_ptr<SpawnedProcess>>)>;
  // One that the spawner knows, or will.
  struct Entry {
    int64_t zygote_id = 0;
    Done done;                                  // empty once called
    Loop::TimerId ready_timer = 0;              // of `done`
    std::unique_ptr<SpawnedProcess> preparing;  // from SandboxCreated until `done` takes it
    SpawnedProcess* process = nullptr;  // null before SandboxCreated and after it was destroyed
    std::optional<CopyOrder> copy;      // of another sandbox
    bool is_member = false;             // a further process of another sandbox
    bool handed_over = false;
    bool kill_sent = false;
  };

  SpawnerClient(AsioLoop* loop, UniqueFd socket, internal::v1::SpawnerReady ready);

  // SandboxControl.
  void SendSignal(int64_t sandbox_id, int signal) override;
  void Kill(int64_t sandbox_id) override;
  void SetLimits(const internal::v1::SetSandboxLimits& limits) override;
  void Copy(CopyOrder order, CopyCallback done) override;
  void AddProcess(int64_t sandbox_id, ProcessCallback done) override;
  void OnIdleLost(int64_t sandbox_id) override;
  void OnDestroyed(int64_t sandbox_id) override;

  void Send(internal::v1::SpawnerRequest request);
  void FlushRequests();
  void ReceiveEvents();
  void HandleEvent(const internal::v1::SpawnerEvent& event, std::vector<UniqueFd> descriptors);
  void OnZygoteStarted(const internal::v1::ZygoteStarted& event);
  void OnZygoteFailed(const internal::v1::ZygoteFailed& event);
  void OnZygoteExited(const internal::v1::ZygoteExited& event);
  void OnSandboxCreated(const internal::v1::SandboxCreated& event,
                        std::vector<UniqueFd> descriptors);
  void OnSandboxExited(const internal::v1::SandboxExited& event);
  absl::StatusOr<std::unique_ptr<SpawnedProcess>> MakeProcess(
      const Entry& entry, const internal::v1::SandboxCreated& event,
      std::vector<UniqueFd> descriptors);
  // One of that zygote was made, or will not be: the next one's turn.
  void OnCopyAnswered(int64_t zygote_id);
  // Nobody will make those that wait for the zygote.
  void FailWaitingCopies(Zygote& zygote, const absl::Status& status);
  void OnSandboxReady(int64_t sandbox_id, const absl::Status& status);
  // Registers one that is asked for.
  Entry& Expect(int64_t sandbox_id, int64_t zygote_id, absl::Duration timeout, Done done);
  static absl::Status SpawnerLostError();
  // Ends the making of a sandbox with an error; false where it has been handed over or is unknown.
  bool FailSandbox(int64_t sandbox_id, const absl::Status& status);
  void LoseSpawner(const std::string& reason);

  AsioLoop* const loop_;
  FdWatcher socket_;
  const internal::v1::SpawnerReady ready_;
  SandboxFactoryObserver* observer_ = nullptr;
  bool lost_ = false;
  int64_t next_id_ = 1;
  std::deque<internal::v1::SpawnerRequest> requests_;  // the socket was full
  std::unordered_map<int64_t, Zygote> zygotes_;
  std::unordered_map<int64_t, Entry> sandboxes_;
  std::shared_ptr<char> alive_ = std::make_shared<char>();  // expires with the object
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_HOST_SPAWNER_CLIENT_H_
