// Bounds the processor time that a session uses while no cell of it runs: threads and tasks that cells left
// behind have, from one cell to the next, as much as one cell has.
//
// It looks now and then, so what is used may pass the bound by what all processors do in one interval.
//
// Thread-safety: the loop's thread only. Ownership: borrows the parts.

#ifndef CLOISTER_SANDBOX_HOST_IDLE_CPU_WATCH_H_
#define CLOISTER_SANDBOX_HOST_IDLE_CPU_WATCH_H_

#include <functional>
#include <utility>

#include "absl/time/time.h"
#include "sandbox/base/loop.h"
#include "sandbox/host/sandbox_parts.h"

namespace cloister::sandbox {

class IdleCpuWatch {
 public:
  // It looks no more often than the first, and no less often than the second.
  static constexpr absl::Duration kShortestInterval = absl::Milliseconds(100);
  static constexpr absl::Duration kLongestInterval = absl::Seconds(5);

  // `exceeded` is told what was used, once, and may destroy this.
  IdleCpuWatch(SandboxParts* parts, absl::Duration budget,
               std::function<void(absl::Duration used)> exceeded)
      : parts_(parts), budget_(budget), exceeded_(std::move(exceeded)) {}
  IdleCpuWatch(const IdleCpuWatch&) = delete;
  IdleCpuWatch& operator=(const IdleCpuWatch&) = delete;
  ~IdleCpuWatch() { End(); }

  // No cell runs from here on.
  void Begin();
  // One does, or there is nothing to watch any more.
  void End();

 private:
  void LookLater();
  void Look();

  SandboxParts* const parts_;
  const absl::Duration budget_;
  const std::function<void(absl::Duration used)> exceeded_;
  absl::Duration at_begin_;
  Loop::TimerId timer_ = 0;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_HOST_IDLE_CPU_WATCH_H_
