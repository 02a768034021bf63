// One call of Sandbox::Fork: asks for the copies and gathers them.
//
// Thread-safety: the loop's thread only. Ownership: shared by the answers that are still to come.

#ifndef CLOISTER_SANDBOX_HOST_SANDBOX_FORK_H_
#define CLOISTER_SANDBOX_HOST_SANDBOX_FORK_H_

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "sandbox/sandbox.h"

namespace cloister::sandbox {

class SandboxFork {
 public:
  SandboxFork(int count, Sandbox::ForkCallback done) : missing_(count), done_(std::move(done)) {}

  // One copy, or why there is none. The last one calls `done`.
  void Add(absl::StatusOr<std::unique_ptr<Sandbox>> copy) {
    if (copy.ok()) {
      copies_.push_back(*std::move(copy));
    } else {
      status_.Update(copy.status());
    }
    if (--missing_ > 0) return;
    if (status_.ok()) return done_(std::move(copies_));
    copies_.clear();
    done_(status_);
  }

 private:
  int missing_;
  const Sandbox::ForkCallback done_;
  std::vector<std::unique_ptr<Sandbox>> copies_;
  absl::Status status_;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_HOST_SANDBOX_FORK_H_
