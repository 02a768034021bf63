// A unix socket to serve on, bound before privileges are given up, so that it may be in a directory
// that only root may write.
//
// The socket's mode is 0660 and it belongs to the service user's group: root and that group may
// connect. A socket left behind by a dead server is replaced; one that somebody listens on is not.

#ifndef CLOISTER_SERVICE_SERVER_UNIX_LISTENER_H_
#define CLOISTER_SERVICE_SERVER_UNIX_LISTENER_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/host/asio_loop.h"
#include "sandbox/host/fd_watcher.h"
#include "service/server/service_user.h"

namespace cloister::server {

// Ownership: of the socket; tries to remove its name when destroyed.
// Thread-safety: none; from Accept on the loop's thread only.
class UnixListener {
 public:
  // Binds and listens; makes the directory (0755, the service user's) where only the last part of
  // its path is missing. Errors: FAILED_PRECONDITION with the reason.
  static absl::StatusOr<std::unique_ptr<UnixListener>> Bind(const std::string& path,
                                                            const ServiceUser& user);
  UnixListener(const UnixListener&) = delete;
  UnixListener& operator=(const UnixListener&) = delete;
  ~UnixListener();

  // Hands every connection to `take` from now on.
  absl::Status Accept(sandbox::AsioLoop* loop, std::function<void(sandbox::UniqueFd)> take);

  const std::string& path() const { return path_; }

 private:
  UnixListener(std::string path, sandbox::UniqueFd fd)
      : path_(std::move(path)), unwatched_(std::move(fd)) {}

  void AcceptAll();

  const std::string path_;
  sandbox::UniqueFd unwatched_;  // until Accept
  sandbox::AsioLoop* loop_ = nullptr;
  std::unique_ptr<sandbox::FdWatcher> watcher_;
  std::function<void(sandbox::UniqueFd)> take_;
  sandbox::Loop::TimerId retry_timer_ = 0;
};

}  // namespace cloister::server

#endif  // CLOISTER_SERVICE_SERVER_UNIX_LISTENER_H_
