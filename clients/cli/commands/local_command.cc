#include "clients/cli/commands/local_command.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>

#include "absl/strings/str_cat.h"

extern char** environ;  // NOLINT: POSIX has no header for it

namespace cloister::cli {
namespace {

constexpr size_t kMaximumBytes = size_t{16} << 20;

// Both ends of a pair, closed with it.
struct Ends {
  ~Ends() {
    CloseOurs();
    CloseTheirs();
  }
  // A socket, so that writing to a command that reads nothing raises no signal.
  bool Open() { return ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0; }
  void CloseOurs() { Close(&fds[0]); }
  void CloseTheirs() { Close(&fds[1]); }
  static void Close(int* fd) {
    if (*fd >= 0) ::close(*fd);
    *fd = -1;
  }
  int fds[2] = {-1, -1};
};

// Takes what there is; false at the end.
bool ReadSome(Ends* ends, std::string* text) {
  char piece[64 << 10];
  const ssize_t got = ::read(ends->fds[0], piece, sizeof(piece));
  if (got < 0 && errno == EINTR) return true;
  if (got <= 0) {
    ends->CloseOurs();
    return false;
  }
  text->append(piece, static_cast<size_t>(got));
  return true;
}

void WriteSome(Ends* ends, std::string_view* left) {
  const ssize_t put = ::send(ends->fds[0], left->data(), left->size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (put >= 0) left->remove_prefix(static_cast<size_t>(put));
  if (left->empty() || (put < 0 && errno != EAGAIN && errno != EINTR)) ends->CloseOurs();
}

}  // namespace

absl::StatusOr<pid_t> LocalCommand::Start(const std::string& command, int stdin_fd, int stdout_fd,
                                          int stderr_fd) {
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, stdin_fd, STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, stdout_fd, STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, stderr_fd, STDERR_FILENO);
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  ::posix_spawnattr_setflags(
      &attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  ::posix_spawnattr_setpgroup(&attributes, 0);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setsigdefault(&attributes, &all);
  const char* argv[] = {"sh", "-c", command.c_str(), nullptr};
  pid_t pid = 0;
  const int error =
      ::posix_spawn(&pid, "/bin/sh", &actions, &attributes, const_cast<char**>(argv), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  ::posix_spawnattr_destroy(&attributes);
  if (error != 0)
    return absl::InternalError(absl::StrCat("\"", command, "\" could not be started"));
  return pid;
}

absl::StatusOr<LocalCommand::Result> LocalCommand::Run(const std::string& command,
                                                       const std::string& input) {
  Ends in, out, err;
  if (!in.Open() || !out.Open() || !err.Open()) return absl::InternalError("no more sockets");
  pid_t pid = 0;
  {
    const absl::MutexLock lock(&mutex_);
    if (is_killed_) return absl::InternalError("it was cancelled");
    const absl::StatusOr<pid_t> started = Start(command, in.fds[1], out.fds[1], err.fds[1]);
    if (!started.ok()) return started.status();
    pid = pid_ = *started;
  }
  for (Ends* ends : {&in, &out, &err}) ends->CloseTheirs();
  Result result;
  std::string_view left = input;
  if (left.empty()) in.CloseOurs();
  bool is_too_much = false;
  while (out.fds[0] >= 0 || err.fds[0] >= 0) {
    pollfd polled[] = {{in.fds[0], POLLOUT, 0}, {out.fds[0], POLLIN, 0}, {err.fds[0], POLLIN, 0}};
    if (::poll(polled, 3, -1) < 0 && errno != EINTR) break;
    if (polled[0].revents != 0) WriteSome(&in, &left);
    if (polled[1].revents != 0) ReadSome(&out, &result.out);
    if (polled[2].revents != 0) ReadSome(&err, &result.err);
    if (result.out.size() + result.err.size() > kMaximumBytes && !is_too_much) {
      is_too_much = true;
      Kill();
    }
    if (is_too_much) result.out.clear(), result.err.clear();
  }
  int status = 0;
  siginfo_t ended;
  while (::waitid(P_PID, static_cast<id_t>(pid), &ended, WEXITED | WNOWAIT) < 0 && errno == EINTR) {
  }
  {
    // Until it is reaped its number is nobody else's.
    const absl::MutexLock lock(&mutex_);
    ::waitpid(pid, &status, 0);
    pid_ = 0;
  }
  if (is_too_much) return absl::ResourceExhaustedError("it wrote more than 16 MiB");
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

void LocalCommand::Kill() {
  const absl::MutexLock lock(&mutex_);
  is_killed_ = true;
  if (pid_ > 0) ::kill(-pid_, SIGKILL);
}

}  // namespace cloister::cli
