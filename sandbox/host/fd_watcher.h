// Waits, on the loop, until a descriptor can be read or written; the reading and writing itself is
// the caller's, with ordinary non-blocking calls.
//
// Thread-safety: the loop's thread only.
// Ownership: owns the descriptor. After the watcher is destroyed none of its functions runs.

#ifndef CLOISTER_SANDBOX_HOST_FD_WATCHER_H_
#define CLOISTER_SANDBOX_HOST_FD_WATCHER_H_

#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/host/asio_loop.h"

namespace cloister::sandbox {

class FdWatcher {
 public:
  FdWatcher(AsioLoop* loop, UniqueFd fd);
  FdWatcher(const FdWatcher&) = delete;
  FdWatcher& operator=(const FdWatcher&) = delete;
  ~FdWatcher();

  // Makes the descriptor non-blocking and known to the loop. Before anything else. An error is the
  // kernel's refusal: out of memory, or past a limit on watches.
  absl::Status Open();

  // -1 before Open and after a failed one.
  int fd() const;

  // Calls `function` once, never inline, when a read would not wait (data, end or error). A second
  // call before that replaces the function; CancelReadable forgets it.
  void WaitReadable(std::function<void()> function);
  void CancelReadable();

  // The same for a write.
  void WaitWritable(std::function<void()> function);

 private:
  struct State;

  UniqueFd unopened_;
  std::shared_ptr<State> state_;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_HOST_FD_WATCHER_H_
