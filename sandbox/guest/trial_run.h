// Finds the hot pages of a zygote's clones by making one and watching it run a small program.

#ifndef CLOISTER_SANDBOX_GUEST_TRIAL_RUN_H_
#define CLOISTER_SANDBOX_GUEST_TRIAL_RUN_H_

#include <vector>

#include "absl/status/statusor.h"
#include "sandbox/guest/hot_pages.h"
#include "sandbox/zygote/guest_runtime.h"

namespace cloister::sandbox {

// Clones the calling process, a warmed zygote, and reaps the clone. The clone is not confined: the
// program it runs is ours.
absl::StatusOr<std::vector<PageRange>> LearnHotPages(GuestRuntime& runtime);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_TRIAL_RUN_H_
