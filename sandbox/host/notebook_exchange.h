// One question of a notebook's to a live sandbox: sent, waited for, interrupted when it takes too long.
//
// Thread-safety: the loop's thread only.
// Ownership: borrows the sandbox's parts. May be destroyed at any time; then nobody is told.

#ifndef CLOISTER_SANDBOX_HOST_NOTEBOOK_EXCHANGE_H_
#define CLOISTER_SANDBOX_HOST_NOTEBOOK_EXCHANGE_H_

#include <functional>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cloister/internal/v1/guest.pb.h"
#include "sandbox/base/loop.h"
#include "sandbox/host/interrupt_ladder.h"
#include "sandbox/host/sandbox_parts.h"
#include "sandbox/sandbox.h"

namespace cloister::sandbox {

class NotebookExchange {
 public:
  // What an answer may take before KeyboardInterrupt, and after the first one.
  static constexpr absl::Duration kPatience = absl::Seconds(2);
  static constexpr absl::Duration kGrace = absl::Seconds(2);

  // `done` is called once, unless this is destroyed before; `wedged`, where no interrupt helped, before
  // it.
  NotebookExchange(SandboxParts* parts, NotebookQuestion question, NotebookCallback done,
                   std::function<void()> wedged);
  NotebookExchange(const NotebookExchange&) = delete;
  NotebookExchange& operator=(const NotebookExchange&) = delete;
  ~NotebookExchange();

  void Start();

  // The answer in a frame of the guest's; nothing where the frame is none. DATA_LOSS where it answers
  // something else, or past its caps.
  absl::StatusOr<std::optional<absl::StatusOr<NotebookAnswer>>> Read(
      internal::v1::GuestFrame frame) const;

  // For who ends it: what to call.
  NotebookCallback TakeCallback() { return std::move(done_); }

 private:
  void OnTimer();

  SandboxParts* const parts_;
  const NotebookQuestion question_;
  NotebookCallback done_;
  std::function<void()> wedged_;
  InterruptLadder ladder_;
  Loop::TimerId timer_ = 0;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_HOST_NOTEBOOK_EXCHANGE_H_
