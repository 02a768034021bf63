// The way to a live sandbox's files.

#include <cstddef>
#include <utility>

#include "absl/time/time.h"
#include "service/core/error.h"
#include "service/core/live_sandbox.h"

namespace cloister::core {
namespace {

// More than may use the files of one sandbox at once: those who have gone are known here until it
// has started.
constexpr size_t kMaxAwaiting = 256;
constexpr absl::Duration kRetryDelay = absl::Milliseconds(100);

}  // namespace

void LiveSandbox::AwaitFiles(StartCallback ready) {
  const auto open = [this, ready = std::move(ready)](const absl::Status& status) {
    if (status.ok()) files_.Open(main_->incarnation()->sandbox());
    ready(status);
  };
  if (state_ == v1::Sandbox::STATE_STARTING) {
    if (start_callbacks_.size() < kMaxAwaiting) return AwaitStart(open);
    return open(WithRetryDelay(
        MakeError(v1::ERROR_REASON_OVERLOADED, "too many calls wait for the sandbox to start"),
        kRetryDelay));
  }
  open(CheckUsable());
}

}  // namespace cloister::core
