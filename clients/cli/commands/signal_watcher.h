// Turns a signal into a function call on a thread of its own, where locks and RPCs are allowed.

#ifndef CLOISTER_CLIENTS_CLI_COMMANDS_SIGNAL_WATCHER_H_
#define CLOISTER_CLIENTS_CLI_COMMANDS_SIGNAL_WATCHER_H_

#include <signal.h>

#include <functional>
#include <thread>

namespace cloister::cli {

// Keeps `signal` from this thread and from those it makes. To be called before there are others: a
// thread that does not block the signal would take it, and the process die of it.
void BlockSignal(int signal);

// Lets the signal do what it does by default to this thread, as long as it lives: while something is waited for
// that only the signal can end.
class SignalUnblocked {
 public:
  explicit SignalUnblocked(int signal);
  ~SignalUnblocked();
  SignalUnblocked(const SignalUnblocked&) = delete;
  SignalUnblocked& operator=(const SignalUnblocked&) = delete;

 private:
  sigset_t before_;
};

// Calls `on_signal` for each blocked `signal` the process gets, until destroyed.
class SignalWatcher {
 public:
  SignalWatcher(int signal, std::function<void()> on_signal);
  ~SignalWatcher();
  SignalWatcher(const SignalWatcher&) = delete;
  SignalWatcher& operator=(const SignalWatcher&) = delete;

 private:
  int signal_fd_;
  int stop_fd_;
  std::thread thread_;
};

}  // namespace cloister::cli

#endif  // CLOISTER_CLIENTS_CLI_COMMANDS_SIGNAL_WATCHER_H_
