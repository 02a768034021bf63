#include "clients/cli/commands/signal_watcher.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace cloister::cli {
namespace {

sigset_t SetOf(int signal) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  return set;
}

void Watch(int signal_fd, int stop_fd, const std::function<void()>& on_signal) {
  pollfd fds[] = {{signal_fd, POLLIN, 0}, {stop_fd, POLLIN, 0}};
  while (true) {
    if (::poll(fds, 2, -1) < 0 && errno != EINTR) return;
    if (fds[1].revents != 0) return;
    signalfd_siginfo info;
    if (fds[0].revents != 0 && ::read(signal_fd, &info, sizeof(info)) == sizeof(info)) on_signal();
  }
}

}  // namespace

void BlockSignal(int signal) {
  const sigset_t set = SetOf(signal);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

SignalUnblocked::SignalUnblocked(int signal) {
  const sigset_t set = SetOf(signal);
  pthread_sigmask(SIG_UNBLOCK, &set, &before_);
}

SignalUnblocked::~SignalUnblocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

SignalWatcher::SignalWatcher(int signal, std::function<void()> on_signal) {
  const sigset_t set = SetOf(signal);
  signal_fd_ = ::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  stop_fd_ = ::eventfd(0, EFD_CLOEXEC);
  thread_ = std::thread(
      [this, on_signal = std::move(on_signal)] { Watch(signal_fd_, stop_fd_, on_signal); });
}

SignalWatcher::~SignalWatcher() {
  const uint64_t one = 1;
  // An eventfd that was never written takes eight bytes.
  (void)!::write(stop_fd_, &one, sizeof(one));
  thread_.join();
  ::close(signal_fd_);
  ::close(stop_fd_);
}

}  // namespace cloister::cli
