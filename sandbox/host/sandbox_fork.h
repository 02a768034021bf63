// One call of Sandbox::Fork: asks for the copies, a few at a time, and gathers them.
//
// Thread-safety: the loop's thread only. Ownership: shared by the answers that are still to come; the
// control outlives it.

#ifndef CLOISTER_SANDBOX_HOST_SANDBOX_FORK_H_
#define CLOISTER_SANDBOX_HOST_SANDBOX_FORK_H_

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "sandbox/host/sandbox_parts.h"
#include "sandbox/sandbox.h"

namespace cloister::sandbox {

class SandboxFork : public std::enable_shared_from_this<SandboxFork> {
 public:
  // Of one call: a large one lets the copies of others through. Enough for the zygote to have work while
  // others finish what it made.
  static constexpr int kCopiesAtOnce = 8;

  // `done` follows, never inline: with all copies, or with why one of them failed and no more were made.
  static void Run(SandboxControl* control, SandboxControl::CopyOrder order, int count,
                  Sandbox::ForkCallback done) {
    std::shared_ptr<SandboxFork>(new SandboxFork(control, std::move(order), count, std::move(done)))
        ->AskForSome();
  }

 private:
  SandboxFork(SandboxControl* control, SandboxControl::CopyOrder order, int count,
              Sandbox::ForkCallback done)
      : control_(control), order_(std::move(order)), missing_(count), done_(std::move(done)) {}

  void AskForSome() {
    for (; missing_ > 0 && asked_ < kCopiesAtOnce; --missing_, ++asked_) {
      control_->Copy(order_, [self = shared_from_this()](auto copy) { self->Add(std::move(copy)); });
    }
  }

  void Add(absl::StatusOr<std::unique_ptr<Sandbox>> copy) {
    --asked_;
    if (copy.ok()) {
      copies_.push_back(*std::move(copy));
    } else {
      status_.Update(copy.status());
      missing_ = 0;
    }
    AskForSome();
    if (asked_ > 0) return;
    if (status_.ok()) return done_(std::move(copies_));
    copies_.clear();
    done_(status_);
  }

  SandboxControl* const control_;
  const SandboxControl::CopyOrder order_;
  int missing_;    // not asked for yet
  int asked_ = 0;  // and not answered
  const Sandbox::ForkCallback done_;
  std::vector<std::unique_ptr<Sandbox>> copies_;
  absl::Status status_;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_HOST_SANDBOX_FORK_H_
