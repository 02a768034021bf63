// The way to a live sandbox's files.

#include <utility>

#include "service/core/live_sandbox.h"

namespace cloister::core {

void LiveSandbox::AwaitFiles(StartCallback ready) {
  const auto open = [this, ready = std::move(ready)](const absl::Status& status) {
    if (status.ok()) files_.Open(main_->incarnation()->sandbox());
    ready(status);
  };
  if (state_ == v1::Sandbox::STATE_STARTING) return AwaitStart(open);
  open(CheckUsable());
}

}  // namespace cloister::core
