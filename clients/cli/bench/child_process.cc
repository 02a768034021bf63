#include "clients/cli/bench/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"

extern char** environ;

namespace cloister::cli::bench {
namespace {

constexpr int kPatienceMilliseconds = 10'000;

// Starts a program with `in` and `out` (-1: /dev/null) as its stdin and stdout.
absl::StatusOr<pid_t> Spawn(const std::vector<std::string>& argv, int in, int out,
                            bool keep_stderr) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  const auto connect = [&actions](int fd, int target, int flags) {
    if (fd < 0) {
      posix_spawn_file_actions_addopen(&actions, target, "/dev/null", flags, 0);
    } else {
      posix_spawn_file_actions_adddup2(&actions, fd, target);
    }
  };
  connect(in, STDIN_FILENO, O_RDONLY);
  connect(out, STDOUT_FILENO, O_WRONLY);
  if (!keep_stderr) connect(-1, STDERR_FILENO, O_WRONLY);
  std::vector<char*> arguments;
  for (const std::string& argument : argv) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  pid_t pid = -1;
  const int error =
      ::posix_spawnp(&pid, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return absl::ErrnoToStatus(error, absl::StrCat("cannot start ", argv[0]));
  return pid;
}

int WaitFor(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

// All that comes until end of file.
std::string Drain(int fd) {
  std::string text;
  char buffer[4096];
  while (true) {
    const ssize_t count = ::read(fd, buffer, sizeof(buffer));
    if (count > 0) text.append(buffer, static_cast<size_t>(count));
    if (count == 0 || (count < 0 && errno != EINTR)) return text;
  }
}

}  // namespace

absl::StatusOr<ProgramOutput> RunToEnd(const std::vector<std::string>& argv, bool capture) {
  int pipe_fds[2] = {-1, -1};
  if (capture && ::pipe2(pipe_fds, O_CLOEXEC) != 0) return absl::ErrnoToStatus(errno, "pipe2");
  const absl::StatusOr<pid_t> pid = Spawn(argv, -1, pipe_fds[1], /*keep_stderr=*/false);
  if (capture) ::close(pipe_fds[1]);
  ProgramOutput output;
  if (pid.ok() && capture) output.out = Drain(pipe_fds[0]);
  if (capture) ::close(pipe_fds[0]);
  if (!pid.ok()) return pid.status();
  output.exit_code = WaitFor(*pid);
  return output;
}

absl::StatusOr<ChildProcess> ChildProcess::Start(const std::vector<std::string>& argv) {
  int in[2];
  int out[2];
  if (::pipe2(in, O_CLOEXEC) != 0) return absl::ErrnoToStatus(errno, "pipe2");
  if (::pipe2(out, O_CLOEXEC) != 0) {
    ::close(in[0]);
    ::close(in[1]);
    return absl::ErrnoToStatus(errno, "pipe2");
  }
  const absl::StatusOr<pid_t> pid = Spawn(argv, in[0], out[1], /*keep_stderr=*/true);
  ::close(in[0]);
  ::close(out[1]);
  if (pid.ok()) return ChildProcess(*pid, in[1], out[0]);
  ::close(in[1]);
  ::close(out[0]);
  return pid.status();
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      stdin_fd_(std::exchange(other.stdin_fd_, -1)),
      stdout_fd_(std::exchange(other.stdout_fd_, -1)) {}

ChildProcess::~ChildProcess() {
  if (pid_ < 0) return;
  ::close(stdin_fd_);
  ::close(stdout_fd_);
  const int pidfd = static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0));
  ::kill(pid_, SIGTERM);
  pollfd ended = {pidfd, POLLIN, 0};
  if (pidfd < 0 || ::poll(&ended, 1, kPatienceMilliseconds) != 1) ::kill(pid_, SIGKILL);
  if (pidfd >= 0) ::close(pidfd);
  WaitFor(pid_);
}

absl::StatusOr<std::string> ChildProcess::ReadLine() {
  std::string line;
  char c = 0;
  while (::read(stdout_fd_, &c, 1) == 1) {
    if (c == '\n') return line;
    line += c;
  }
  return absl::UnavailableError(
      absl::StrCat("the process ended, or closed its output, after \"", line, "\""));
}

bool ChildProcess::IsAlive() const {
  siginfo_t info = {};
  return ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
         info.si_pid == 0;
}

}  // namespace cloister::cli::bench
