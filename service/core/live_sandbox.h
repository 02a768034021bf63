// A sandbox that stays with its user: its name, its time, its start, and its interpreters. Its state is
// theirs: STARTING and LOST with `main`, BUSY while any of them is.
//
// Thread-safety: loop thread only.
// Ownership: the manager's. What `Context` names must outlive it.

#ifndef CLOISTER_SERVICE_CORE_LIVE_SANDBOX_H_
#define CLOISTER_SERVICE_CORE_LIVE_SANDBOX_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cloister/v1/sandbox.pb.h"
#include "sandbox/base/loop.h"
#include "sandbox/sandbox.h"
#include "service/core/error.h"
#include "service/core/file_gate.h"
#include "service/core/further_interpreters.h"
#include "service/core/incarnation.h"
#include "service/core/live_interpreter.h"
#include "service/core/observer.h"
#include "service/core/request_memory.h"
#include "service/core/sandbox_source.h"

namespace cloister::core {

// What a live sandbox is made from; enough to make its interpreter again.
struct LiveSandboxSpec {
  std::string template_name;
  // `snapshots/{snapshot}` that it is a copy of, if any.
  std::string snapshot;
  sandbox::Limits limits;
  std::vector<std::pair<std::string, std::string>> environment;
  // With `snapshot`: what it has beyond that of the snapshot, which is in `environment`.
  std::vector<std::pair<std::string, std::string>> added_environment;

  // Of a copy of such a sandbox, which starts anew from the template.
  LiveSandboxSpec OfCopy(const sandbox::Limits& limits) const;
};

// A copy of a live sandbox that no LiveSandbox has yet.
struct CopiedSession {
  std::unique_ptr<sandbox::Sandbox> sandbox;
  // As the copied one had come.
  int64_t last_cell = 0;
  int64_t last_history = 0;
};

// Copies snapshots.
class SnapshotSource {
 public:
  using Callback = std::function<void(absl::StatusOr<CopiedSession>)>;
  virtual ~SnapshotSource() = default;
  // The template and limits of a sandbox made from it. SNAPSHOT_NOT_FOUND.
  virtual absl::StatusOr<LiveSandboxSpec> SpecOf(const std::string& name) const = 0;
  // Errors, at once or through `done`, which is never called inline: SNAPSHOT_NOT_FOUND,
  // SANDBOX_SETUP_FAILED.
  virtual absl::Status CopySnapshot(const std::string& name, const sandbox::Limits& limits,
                                    Callback done) = 0;
};

// Files that wait to be placed, and what they hold of the server's memory meanwhile.
struct StartFiles {
  std::vector<v1::File> files;
  RequestMemory::Share memory;
};

// The last part of the name of the interpreter that every sandbox has.
inline constexpr char kMainInterpreter[] = "main";

class LiveSandbox final : private InterpreterOwner {
 public:
  struct Context {
    sandbox::Loop* loop;
    SandboxSource* source;
    SnapshotSource* snapshots;
    ServiceObserver* observer;
    size_t maximum_queued;
    int maximum_interpreters;
    // Its time is over: the manager is to end it.
    std::function<void(LiveSandbox&, LiveEnd)> on_expired;
    GuestRequests* requests = nullptr;
  };
  using StartCallback = std::function<void(const absl::Status&)>;

  LiveSandbox(Context context, LiveSandboxSpec spec, int64_t ordinal);
  ~LiveSandbox() override;

  // Asks for an interpreter; `done` follows, never inline, unless it is ended before. After an
  // error it is LOST. Not while it starts already: see AwaitStart. Errors at once: as
  // SandboxSource.
  absl::Status Start(StartFiles files, absl::Time deadline, StartCallback done);
  // Another one who wants to know; only while it starts. OVERLOADED where as many wait as may.
  absl::Status AwaitStart(StartCallback done, size_t maximum = kMaximumWaiters);
  // Ends the interpreters it has, and starts.
  absl::Status Restart(absl::Time deadline, StartCallback done);

  // Instead of Start: it is this copy of `parent`, and ready.
  void Adopt(CopiedSession copy, const std::string& parent);

  // A turn of `main` for what is no cell: calls `work` with the sandbox when it has come, and keeps the
  // turn until the work calls its second argument, once; no further interpreter is made meanwhile.
  // `refused` is called instead where the turn does not come, and as well where the sandbox is lost
  // under the work. Errors at once, and through `refused`: as RequestTurn, and FORK_REFUSED while
  // there are further interpreters.
  using Work = std::function<void(sandbox::Sandbox&, std::function<void()> over)>;
  using Refused = LiveInterpreter::Refused;
  absl::Status RequestWork(Work work, absl::Time deadline, Refused refused);
  // For calls about its files: `ready` follows, inline or when it has started, with OK (then the
  // gate is open) or why not. In live_sandbox_files.cc.
  void AwaitFiles(StartCallback ready);
  FileGate& files() { return files_; }
  int64_t last_cell() const { return main_->last_cell(); }
  int64_t last_history() const { return main_->last_history(); }

  // Infinite: never.
  void SetLifetime(absl::Duration ttl) { SetTimes(context_.loop->Now() + ttl, idle_timeout_); }
  void SetIdleTimeout(absl::Duration idle_timeout) { SetTimes(expiry_, idle_timeout); }

  // Kills what runs, refuses what waits with `why`. The object is of no use any more.
  void End(LiveEnd how, const absl::Status& why);

  v1::Sandbox ToProto() const;

  // Interpreters, by the last part of their names. Errors: INTERPRETER_NOT_FOUND.
  const std::shared_ptr<LiveInterpreter>& main() const { return main_; }
  absl::StatusOr<std::shared_ptr<LiveInterpreter>> FindInterpreter(const std::string& id) const;
  absl::StatusOr<v1::Interpreter> GetInterpreter(const std::string& id) const;
  // `main` first, then oldest first.
  std::vector<v1::Interpreter> ListInterpreters() const;
  // Use of the further ones. SANDBOX_LOST.
  absl::Status CheckUsable() const;
  void CountUse() { last_used_ = context_.loop->Now(); }
  FurtherInterpreters& further() { return further_; }

  const std::string& name() const { return name_; }
  int64_t ordinal() const { return ordinal_; }
  const LiveSandboxSpec& spec() const { return spec_; }
  const sandbox::Limits& limits() const { return spec_.limits; }
  v1::Sandbox::State state() const { return state_; }
  v1::StartKind start_kind() const { return main_->start_kind(); }

 private:
  LiveInterpreter::Context InterpreterContext();
  void OnLease(StartFiles files, absl::StatusOr<Lease> lease);
  void BeginStart(StartCallback done);
  absl::Status StartFromSnapshot(StartFiles files);
  void ResumeCopy(CopiedSession copy);
  void BeginWork(const Work& work, const Refused& refused, std::function<void()> over);
  // Places files and environment in what ResumeCopy resumed, by a cell of ours.
  void SetUpCopy(std::vector<v1::File> files);
  void OnCopySetUp(const sandbox::ExecutionEnd& end);
  // Told with why there is no session.
  void FailStart(const absl::Status& why);
  void FinishStart(const absl::Status& status);
  void EndParts(sandbox::StopReason reason, const absl::Status& why);
  void Lose(v1::Outcome::Kind cause, const std::string& detail);
  // Becomes LOST, whatever the reason.
  void LetGo(v1::Outcome::Kind cause, const std::string& detail);
  void UpdateState();
  void SetState(v1::Sandbox::State state);
  v1::Interpreter MainToProto() const;

  void SetTimes(absl::Time expiry, absl::Duration idle_timeout);
  absl::Time IdleExpiry() const;
  void ScheduleExpiry();
  void OnExpiryTimer();

  // InterpreterOwner
  void OnInterpreterState(v1::Interpreter::State from, v1::Interpreter::State to) override;
  void OnInterpreterOpened(const absl::Status& status) override;
  void OnInterpreterLost(LiveInterpreter& interpreter, v1::Outcome::Kind cause,
                         const std::string& detail) override;
  void OnInterpreterUsed() override { CountUse(); }

  const Context context_;
  const LiveSandboxSpec spec_;
  const std::string name_;
  const int64_t ordinal_;
  const google::protobuf::Timestamp create_time_;
  v1::Sandbox::State state_ = v1::Sandbox::STATE_UNSPECIFIED;
  bool ended_ = false;
  int busy_ = 0;  // interpreters

  SandboxSource::Ticket lease_ticket_ = 0;
  absl::Time start_requested_;
  std::vector<StartCallback> start_callbacks_;
  int restart_count_ = 0;
  std::string parent_;
  std::unique_ptr<sandbox::ExecutionObserver> copy_set_up_;  // while SetUpCopy is at work

  absl::Time expiry_ = absl::InfiniteFuture();
  absl::Duration idle_timeout_ = absl::InfiniteDuration();
  absl::Time last_used_;
  FileGate files_{[this] { CountUse(); }};
  sandbox::Loop::TimerId expiry_timer_ = 0;

  const std::shared_ptr<LiveInterpreter> main_;
  FurtherInterpreters further_;
  const std::shared_ptr<char> alive_ = std::make_shared<char>();  // expires with the object
};

}  // namespace cloister::core

#endif  // CLOISTER_SERVICE_CORE_LIVE_SANDBOX_H_
