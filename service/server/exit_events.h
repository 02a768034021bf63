// What the main thread waits for: signals from outside, and events from within.

#ifndef CLOISTER_SERVICE_SERVER_EXIT_EVENTS_H_
#define CLOISTER_SERVICE_SERVER_EXIT_EVENTS_H_

#include "absl/status/statusor.h"
#include "sandbox/base/unique_fd.h"

namespace cloister::server {

enum class ExitEvent {
  kSignal = 1,       // SIGTERM or SIGINT
  kDrained = 2,      // nothing is left to wait for
  kSpawnerLost = 3,  // nothing can be made or torn down any more
  kReload = 4,       // SIGHUP
};

// Thread-safety: Notify from any thread, Wait from one.
class ExitEvents {
 public:
  // Blocks these signals in the calling thread; threads made later inherit that, so call it before
  // there are any. Children inherit it as well.
  static absl::StatusOr<ExitEvents> Create();

  void Notify(ExitEvent event);
  ExitEvent Wait();

 private:
  ExitEvents(sandbox::UniqueFd signals, sandbox::UniqueFd read_end, sandbox::UniqueFd write_end);

  sandbox::UniqueFd signals_;
  sandbox::UniqueFd read_end_;
  sandbox::UniqueFd write_end_;
};

}  // namespace cloister::server

#endif  // CLOISTER_SERVICE_SERVER_EXIT_EVENTS_H_
