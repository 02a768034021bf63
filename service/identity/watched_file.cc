#include "service/identity/watched_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "sandbox/base/unique_fd.h"

namespace cloister::identity {
namespace {

}  // namespace

absl::Status WatchedFile::CannotRead(int error) {
  // What is there was not read, and may be by the next look: descriptors come back, for example.
  if (error != ENOENT) read_.fill(-1);
  return absl::ErrnoToStatus(error, absl::StrCat("cannot read ", path_));
}

WatchedFile::Look WatchedFile::LookAt() const {
  struct stat info {};
  if (::stat(path_.c_str(), &info) != 0) return {};
  return {static_cast<int64_t>(info.st_dev),
          static_cast<int64_t>(info.st_ino),
          static_cast<int64_t>(info.st_size),
          info.st_mtim.tv_sec,
          info.st_mtim.tv_nsec,
          info.st_ctim.tv_sec,
          info.st_ctim.tv_nsec};
}

absl::StatusOr<std::string> WatchedFile::Read(size_t maximum) {
  // Before it is opened: what changes meanwhile differs from this.
  read_ = last_ = LookAt();
  // A pipe in its place must not hold the server up.
  const sandbox::UniqueFd file(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!file) return CannotRead(errno);
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) return CannotRead(errno);
  if (!S_ISREG(info.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat(path_, " is no regular file"));
  }
  std::string bytes(maximum + 1, '\0');
  size_t size = 0;
  while (size < bytes.size()) {
    const ssize_t count = ::read(file.get(), bytes.data() + size, bytes.size() - size);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return CannotRead(errno);
    if (count == 0) break;
    size += static_cast<size_t>(count);
  }
  if (size > maximum) {
    return absl::InvalidArgumentError(absl::StrCat(path_, " has more than ", maximum, " bytes"));
  }
  bytes.resize(size);
  return bytes;
}

bool WatchedFile::HasSettledAnew() {
  const Look now = LookAt();
  return std::exchange(last_, now) == now && now != read_;
}

}  // namespace cloister::identity
