#include "service/server/exit_events.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <utility>

#include "sandbox/base/syscall_status.h"

namespace cloister::server {

using sandbox::SyscallError;
using sandbox::UniqueFd;

absl::StatusOr<ExitEvents> ExitEvents::Create() {
  sigset_t signals;
  ::sigemptyset(&signals);
  ::sigaddset(&signals, SIGTERM);
  ::sigaddset(&signals, SIGINT);
  ::sigaddset(&signals, SIGHUP);
  if (::pthread_sigmask(SIG_BLOCK, &signals, nullptr) != 0) return SyscallError("block signals");
  ::signal(SIGPIPE, SIG_IGN);  // a peer that has gone is an error of write(2), not of the process
  UniqueFd signal_fd(::signalfd(-1, &signals, SFD_CLOEXEC));
  if (!signal_fd) return SyscallError("signalfd");
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return SyscallError("pipe2");
  return ExitEvents(std::move(signal_fd), UniqueFd(ends[0]), UniqueFd(ends[1]));
}

ExitEvents::ExitEvents(UniqueFd signals, UniqueFd read_end, UniqueFd write_end)
    : signals_(std::move(signals)),
      read_end_(std::move(read_end)),
      write_end_(std::move(write_end)) {}

void ExitEvents::Notify(ExitEvent event) {
  const char byte = static_cast<char>(event);
  while (::write(write_end_.get(), &byte, 1) < 0 && errno == EINTR) {
  }
}

ExitEvent ExitEvents::Wait() {
  for (;;) {
    pollfd entries[] = {{signals_.get(), POLLIN, 0}, {read_end_.get(), POLLIN, 0}};
    if (::poll(entries, 2, -1) < 0) continue;
    if (entries[0].revents != 0) {
      signalfd_siginfo info;
      if (::read(signals_.get(), &info, sizeof(info)) == sizeof(info)) {
        return info.ssi_signo == SIGHUP ? ExitEvent::kReload : ExitEvent::kSignal;
      }
    }
    char byte = 0;
    if (entries[1].revents != 0 && ::read(read_end_.get(), &byte, 1) == 1) {
      return static_cast<ExitEvent>(byte);
    }
  }
}

}  // namespace cloister::server
