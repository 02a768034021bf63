#include "clients/cli/commands/local_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "clients/cli/commands/execution_view.h"

namespace cloister::cli {
namespace {

std::string DirectoryOf(const std::string& path) {
  const std::string parent = std::filesystem::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

// A name in the directory of `path` that nobody has, made a file. -1 and errno.
int MakeTemporary(const std::string& path, std::string* name) {
  *name = DirectoryOf(path) + "/.cloister-XXXXXX";
  return mkostemp(name->data(), O_CLOEXEC);
}

mode_t NewFileMode(bool executable) {
  const mode_t mask = umask(0);
  umask(mask);
  return (executable ? 0777 : 0666) & ~mask;
}

// What a link names at last; anything else is itself.
absl::StatusOr<std::string> BehindLinks(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_symlink(path, error)) return path;
  std::filesystem::path target = std::filesystem::canonical(path, error);
  if (!error) return target.string();
  return absl::FailedPreconditionError(
      absl::StrCat(path, ": is a symbolic link that leads nowhere: ", error.message()));
}

}  // namespace

std::string LocalTarget(const std::string& local, const std::string& name) {
  if (local.empty()) return name;
  std::error_code error;
  const bool is_directory = local != "-" && std::filesystem::is_directory(local, error);
  return is_directory ? (std::filesystem::path(local) / name).string() : local;
}

absl::StatusOr<LocalFile> LocalFile::Create(const std::string& name) {
  const absl::StatusOr<std::string> target = BehindLinks(name);
  if (!target.ok()) return target.status();
  const std::string& path = *target;
  struct stat there;
  if (stat(path.c_str(), &there) == 0 && !S_ISREG(there.st_mode)) {
    if (S_ISDIR(there.st_mode)) return absl::ErrnoToStatus(EISDIR, name);
    if (S_ISSOCK(there.st_mode)) return absl::FailedPreconditionError(name + ": is a socket");
    const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) return absl::ErrnoToStatus(errno, name);
    return LocalFile(path, fd, "", /*in_place=*/true);
  }
  std::string temporary;
  int fd = open(DirectoryOf(path).c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
  if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR)) fd = MakeTemporary(path, &temporary);
  if (fd < 0) return absl::ErrnoToStatus(errno, path);
  return LocalFile(path, fd, std::move(temporary), /*in_place=*/false);
}

LocalFile::LocalFile(LocalFile&& other) noexcept
    : path_(std::move(other.path_)),
      fd_(std::exchange(other.fd_, -1)),
      temporary_(std::exchange(other.temporary_, "")),
      in_place_(other.in_place_) {}

LocalFile::~LocalFile() {
  if (fd_ >= 0) close(fd_);
  if (!temporary_.empty()) unlink(temporary_.c_str());
}

absl::Status LocalFile::Error() const { return absl::ErrnoToStatus(errno, path_); }

absl::Status LocalFile::Write(absl::string_view bytes) {
  return WriteAll(fd_, bytes) ? absl::OkStatus() : Error();
}

absl::Status LocalFile::Keep(bool executable) {
  if (in_place_) return absl::OkStatus();
  if (fchmod(fd_, NewFileMode(executable)) != 0) return Error();
  if (temporary_.empty()) {
    // Takes the place of an empty file, since a link replaces nothing.
    const int taken = MakeTemporary(path_, &temporary_);
    if (taken < 0) return Error();
    close(taken);
    const std::string own = absl::StrCat("/proc/self/fd/", fd_);
    if (unlink(temporary_.c_str()) != 0 ||
        linkat(AT_FDCWD, own.c_str(), AT_FDCWD, temporary_.c_str(), AT_SYMLINK_FOLLOW) != 0) {
      return Error();
    }
  }
  if (rename(temporary_.c_str(), path_.c_str()) != 0) return Error();
  temporary_.clear();
  return absl::OkStatus();
}

}  // namespace cloister::cli
