#include "service/server/unix_listener.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "sandbox/base/status_macros.h"

namespace cloister::server {
namespace {

using sandbox::UniqueFd;

constexpr int kBacklog = 1024;
// After accept(2) failed for want of descriptors or memory.
constexpr absl::Duration kRetry = absl::Milliseconds(100);

absl::Status Failed(const std::string& path, const std::string& what, int error_number) {
  return absl::FailedPreconditionError(
      absl::StrCat("cannot listen on unix:", path, ": ", what, ": ", std::strerror(error_number)));
}

sockaddr_un AddressOf(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  return address;
}

UniqueFd NewSocket() {
  return UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

absl::Status MakeDirectory(const std::string& path, const ServiceUser& user) {
  const std::string directory = std::filesystem::path(path).parent_path().string();
  if (::mkdir(directory.c_str(), 0755) != 0) {
    if (errno == EEXIST) return absl::OkStatus();
    return Failed(path, absl::StrCat("make its directory ", directory, " first"), errno);
  }
  if (::geteuid() == 0 && ::chown(directory.c_str(), user.uid, user.gid) != 0) {
    return Failed(path, "chown its directory", errno);
  }
  return absl::OkStatus();
}

// Removes a socket nobody listens on.
absl::Status ClearStaleSocket(const std::string& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) {
    return errno == ENOENT ? absl::OkStatus() : Failed(path, "look at it", errno);
  }
  if (!S_ISSOCK(info.st_mode)) {
    return absl::FailedPreconditionError(
        absl::StrCat("cannot listen on unix:", path, ": something that is no socket is there"));
  }
  const UniqueFd probe = NewSocket();
  const sockaddr_un address = AddressOf(path);
  const int connected =
      ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  if (connected == 0 || errno != ECONNREFUSED) {
    return absl::FailedPreconditionError(
        absl::StrCat("cannot listen on unix:", path, ": another server listens there"));
  }
  if (::unlink(path.c_str()) != 0) return Failed(path, "remove the stale socket", errno);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<UnixListener>> UnixListener::Bind(const std::string& path,
                                                                 const ServiceUser& user) {
  CLOISTER_RETURN_IF_ERROR(MakeDirectory(path, user));
  CLOISTER_RETURN_IF_ERROR(ClearStaleSocket(path));
  UniqueFd fd = NewSocket();
  const sockaddr_un address = AddressOf(path);
  // By the mask, because changing the mode by name would follow a link that somebody may have put
  // there meanwhile. There is one thread yet.
  const mode_t mask = ::umask(0117);
  const int bound = ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  const int bind_error = errno;
  ::umask(mask);
  if (bound != 0) return Failed(path, "bind", bind_error);
  if (::geteuid() == 0 && ::lchown(path.c_str(), user.uid, user.gid) != 0) {
    return Failed(path, "chown", errno);
  }
  if (::listen(fd.get(), kBacklog) != 0) return Failed(path, "listen", errno);
  return std::unique_ptr<UnixListener>(new UnixListener(path, std::move(fd)));
}

UnixListener::~UnixListener() {
  if (retry_timer_ != 0) loop_->Cancel(retry_timer_);
  // Fails where only root may; the next start then finds it stale.
  ::unlink(path_.c_str());
}

absl::Status UnixListener::Accept(sandbox::AsioLoop* loop, std::function<void(UniqueFd)> take) {
  loop_ = loop;
  take_ = std::move(take);
  watcher_ = std::make_unique<sandbox::FdWatcher>(loop, std::move(unwatched_));
  CLOISTER_RETURN_IF_ERROR(watcher_->Open());
  watcher_->WaitReadable([this] { AcceptAll(); });
  return absl::OkStatus();
}

void UnixListener::AcceptAll() {
  for (;;) {
    UniqueFd connection(::accept4(watcher_->fd(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (connection) {
      take_(std::move(connection));
      continue;
    }
    if (errno == EINTR || errno == ECONNABORTED) continue;
    if (errno == EAGAIN) {
      watcher_->WaitReadable([this] { AcceptAll(); });
      return;
    }
    retry_timer_ = loop_->CallAfter(kRetry, [this] {
      retry_timer_ = 0;
      AcceptAll();
    });
    return;
  }
}

}  // namespace cloister::server
