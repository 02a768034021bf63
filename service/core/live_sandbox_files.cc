// The way to a live sandbox's files.

#include <cstddef>
#include <utility>

#include "service/core/live_sandbox.h"

namespace cloister::core {
namespace {

// More than may use the files of one sandbox at once: those who have gone are known here until it
// has started.
constexpr size_t kMaxAwaiting = 256;

}  // namespace

void LiveSandbox::AwaitFiles(StartCallback ready) {
  const auto open = [this, ready = std::move(ready)](const absl::Status& status) {
    if (status.ok()) files_.Open(main_->incarnation()->sandbox());
    ready(status);
  };
  if (state_ != v1::Sandbox::STATE_STARTING) return open(CheckUsable());
  const absl::Status waits = AwaitStart(open, kMaxAwaiting);
  if (!waits.ok()) open(waits);
}

}  // namespace cloister::core
