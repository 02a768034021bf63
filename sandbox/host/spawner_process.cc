#include "sandbox/host/spawner_process.h"

#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "sandbox/base/status_macros.h"
#include "sandbox/base/syscall_status.h"
#include "sandbox/wire/packet_socket.h"

namespace cloister::sandbox {
namespace {

// Default dispositions, no blocked signals, a process group of its own.
class SpawnAttributes {
 public:
  SpawnAttributes() {
    ::posix_spawnattr_init(&attributes_);
    sigset_t none, all;
    ::sigemptyset(&none);
    ::sigfillset(&all);
    ::posix_spawnattr_setsigmask(&attributes_, &none);
    ::posix_spawnattr_setsigdefault(&attributes_, &all);
    ::posix_spawnattr_setpgroup(&attributes_, 0);
    ::posix_spawnattr_setflags(
        &attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  }
  ~SpawnAttributes() { ::posix_spawnattr_destroy(&attributes_); }
  SpawnAttributes(const SpawnAttributes&) = delete;
  SpawnAttributes& operator=(const SpawnAttributes&) = delete;

  const posix_spawnattr_t* get() const { return &attributes_; }

 private:
  posix_spawnattr_t attributes_;
};

// This one descriptor goes along, and nothing that we ourselves were started with.
class SpawnFileActions {
 public:
  explicit SpawnFileActions(int socket) {
    ::posix_spawn_file_actions_init(&actions_);
    ::posix_spawn_file_actions_adddup2(&actions_, socket, kSpawnerSocketDescriptor);
    ::posix_spawn_file_actions_addclosefrom_np(&actions_, kSpawnerSocketDescriptor + 1);
  }
  ~SpawnFileActions() { ::posix_spawn_file_actions_destroy(&actions_); }
  SpawnFileActions(const SpawnFileActions&) = delete;
  SpawnFileActions& operator=(const SpawnFileActions&) = delete;

  const posix_spawn_file_actions_t* get() const { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_;
};

std::string DescribeEnd(int wait_status) {
  if (WIFEXITED(wait_status)) return absl::StrCat("exited with ", WEXITSTATUS(wait_status));
  return absl::StrCat("was ended by signal ", WTERMSIG(wait_status));
}

}  // namespace

absl::StatusOr<SpawnerProcess> SpawnerProcess::Start(const std::string& binary,
                                                     const std::vector<std::string>& arguments) {
  CLOISTER_ASSIGN_OR_RETURN(PacketPair sockets, MakePacketPair());
  std::vector<char*> argv = {const_cast<char*>(binary.c_str())};
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);

  pid_t pid;
  const SpawnFileActions actions(sockets.second.get());
  const SpawnAttributes attributes;
  if (int error = ::posix_spawn(&pid, binary.c_str(), actions.get(), attributes.get(), argv.data(),
                                environ)) {
    return SyscallError(absl::StrCat("start the spawner ", binary), error);
  }
  UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!pidfd) {
    absl::Status status = SyscallError("pidfd_open of the spawner");
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    return status;
  }
  return SpawnerProcess(pid, std::move(pidfd), std::move(sockets.first));
}

SpawnerProcess::SpawnerProcess(pid_t pid, UniqueFd pidfd, UniqueFd socket)
    : pid_(pid), pidfd_(std::move(pidfd)), socket_(std::move(socket)) {}

SpawnerProcess::~SpawnerProcess() {
  if (!pidfd_) return;
  socket_.reset();
  if (WaitForEnd(kEndTimeout).ok()) return;
  // Refused where the server has given up its privileges: then init inherits it.
  if (::kill(pid_, SIGKILL) == 0) (void)WaitForEnd(absl::InfiniteDuration());
}

absl::StatusOr<std::string> SpawnerProcess::WaitForEnd(absl::Duration timeout) {
  if (!pidfd_) return end_;
  pollfd exited{pidfd_.get(), POLLIN, 0};
  const int milliseconds = timeout == absl::InfiniteDuration()
                               ? -1
                               : static_cast<int>(absl::ToInt64Milliseconds(timeout));
  int ready;
  do {
    ready = ::poll(&exited, 1, milliseconds);
  } while (ready < 0 && errno == EINTR);
  if (ready == 0) return absl::DeadlineExceededError("the spawner still runs");

  int wait_status = 0;
  if (ready < 0 || ::waitpid(pid_, &wait_status, 0) != pid_) {
    return SyscallError("wait for the spawner");
  }
  pidfd_.reset();
  return end_ = DescribeEnd(wait_status);
}

}  // namespace cloister::sandbox
