// The process of a live sandbox that holds its interpreters with threads of their own (interpreters.proto),
// from the host's side: what is said on the process's own channel, and whose end is whose.
//
// One process holds them all. What ends it ends them all, so whoever has it killed is remembered.
//
// Thread-safety: the loop's thread only. Ownership: of the process. Shared by its interpreters; with the
// last one it is killed.

#ifndef CLOISTER_SANDBOX_HOST_INTERPRETERS_PROCESS_H_
#define CLOISTER_SANDBOX_HOST_INTERPRETERS_PROCESS_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cloister/internal/v1/guest.pb.h"
#include "sandbox/base/limits.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/host/member_process.h"
#include "sandbox/host/output_reader.h"

namespace cloister::sandbox {

class InterpretersProcess final : public std::enable_shared_from_this<InterpretersProcess>,
                                  private MemberProcess::User {
 public:
  // How long an interpreter may take to end; then all of the process is killed.
  static constexpr absl::Duration kEndTimeout = absl::Seconds(5);
  // How many the process is prepared for.
  static constexpr int kMostInterpreters = 64;

  // One interpreter, as the process tells it. Each call may destroy it.
  class Resident {
   public:
    virtual ~Resident() = default;
    // Whether a cell of it runs.
    virtual bool IsRunning() const = 0;
    // The guest could not make it.
    virtual void OnFailed(const absl::Status& status) = 0;
    // So many of the interrupts asked for were sent.
    virtual void OnInterrupted(int count) = 0;
    // It has ended as it was asked to.
    virtual void OnEnded() = 0;
    // The process has ended by itself, or because of this interpreter.
    virtual void OnProcessExited(const internal::v1::SandboxExited& exit) = 0;
    // The process has ended for a reason that is none of this interpreter's.
    virtual void OnProcessLost(HostStop stop, const std::string& detail) = 0;
    // All of the sandbox has.
    virtual void OnSandboxEnded(HostStop stop, const std::string& detail) = 0;
  };

  InterpretersProcess(std::unique_ptr<MemberProcess> process, const Limits& limits);
  InterpretersProcess(const InterpretersProcess&) = delete;
  InterpretersProcess& operator=(const InterpretersProcess&) = delete;
  ~InterpretersProcess() override;

  // Makes it what it is to be; `opened` follows once, never inline. UNIMPLEMENTED: this Python offers no such
  // interpreters.
  void Open(std::function<void(const absl::Status&)> opened);
  // Whether interpreters can be made in it.
  bool is_usable() const { return phase_ == Phase::kOpen && culprit_ == 0; }
  bool is_empty() const { return slots_.empty(); }
  // Called when its last interpreter has ended.
  void SetOnEmpty(std::function<void()> on_empty) { on_empty_ = std::move(on_empty); }

  MemberProcess& process() { return *process_; }

  // Makes an interpreter; the guest's ends are handed over. Returns its number. Whoever asks calls Leave.
  int64_t Add(internal::v1::CreateInterpreter request, std::vector<UniqueFd> guest_ends,
              Resident* resident);
  void Interrupt(int64_t number);
  void End(int64_t number);
  // Kills the process for this interpreter's sake, unless that is ending and has time left.
  void Kill(int64_t number);
  // Its resident goes; what is left of it is ended.
  void Leave(int64_t number);
  // It has nothing more to say.
  bool HasEnded(int64_t number) const { return !slots_.contains(number) || phase_ == Phase::kEnded; }

  // Processor time of an interpreter. What other threads of the process than the interpreters' own use (those
  // that cells start) nobody can tell whose it is: all that run a cell pay it, or all, where none does. Only
  // differences mean anything.
  absl::Duration CpuTime(int64_t number);

  // What the process writes for no interpreter is dropped; from now on, a bounded amount again.
  void RenewDiscard();

 private:
  enum class Phase { kNew, kOpening, kOpen, kEnded };
  struct Slot {
    Resident* resident = nullptr;  // null once it left
    bool is_made = false;
    int interrupts = 0;  // asked for, and not known to have been sent
    bool end_asked = false;
    absl::Time end_deadline = absl::InfiniteFuture();
    Loop::TimerId end_timer = 0;
    pid_t thread = 0;  // 0: not known
    absl::Duration thread_cpu;
    absl::Duration other_cpu;  // its share of other threads'
  };
  struct Outgoing {
    std::string frame;
    std::vector<UniqueFd> descriptors;
  };

  void Say(const internal::v1::HostFrame& frame, std::vector<UniqueFd> descriptors = {});
  void SendNext();
  void AwaitFrame();
  void OnFrame(const GuestChannel::FrameOrError& frame);
  absl::Status TakeFrame(const internal::v1::GuestFrame& frame);
  absl::Status OnCreated(const internal::v1::InterpreterCreated& created);
  absl::Status OnFailed(const internal::v1::InterpreterFailed& failed);
  absl::Status OnInterrupted(int64_t number);
  absl::Status OnEnded(int64_t number);
  void ReportOpened(const absl::Status& status);
  void Break(const std::string& what);
  void Forget(int64_t number);
  bool KnowsThread(pid_t thread) const;
  void ReadThreadClock(Slot* slot);
  void Charge();
  // Of each that is there still; `told` may destroy others and this.
  void TellAll(const std::function<void(int64_t number, Resident*)>& told);

  // MemberProcess::User.
  void OnExited(const internal::v1::SandboxExited& exit) override;
  void OnSandboxEnded(HostStop stop, const std::string& detail) override;

  const std::unique_ptr<MemberProcess> process_;
  const Limits limits_;
  Phase phase_ = Phase::kNew;
  std::function<void(const absl::Status&)> opened_;
  std::function<void()> on_empty_;
  Loop::TimerId open_timer_ = 0;
  std::map<int64_t, Slot> slots_;
  int64_t next_number_ = 1;
  int64_t culprit_ = 0;   // for whose sake the process is killed
  std::deque<Outgoing> outgoing_;
  absl::Duration ended_cpu_;    // of interpreters' threads that are gone
  absl::Duration charged_cpu_;  // of other threads
  std::unique_ptr<ExecutionObserver> sink_;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_HOST_INTERPRETERS_PROCESS_H_
