#include "sandbox/guest/open_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "sandbox/zygote/sandbox_process.h"

namespace cloister::sandbox {
namespace {

// More than fits into memory twice is no temporary file.
constexpr off_t kMaxContents = off_t{64} << 20;
// What open(2) is told again; what made the file is not.
constexpr int kKeptFlags =
    O_ACCMODE | O_APPEND | O_NONBLOCK | O_SYNC | O_DIRECTORY | O_PATH | O_NOFOLLOW | O_NOATIME;

std::string LinkText(int fd) {
  char text[PATH_MAX];
  const ssize_t size = readlink(absl::StrCat("/proc/self/fd/", fd).c_str(), text, sizeof(text));
  return size <= 0 ? std::string() : std::string(text, static_cast<size_t>(size));
}

bool IsSameFile(const struct stat& a, const struct stat& b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

bool LeadsTo(const std::string& path, const struct stat& info) {
  struct stat found;
  return absl::StartsWith(path, "/") && stat(path.c_str(), &found) == 0 && IsSameFile(found, info);
}

// The standard stream this is another descriptor of; -1 for none.
int StandardStreamOf(const struct stat& info) {
  for (const int stream : {STDOUT_FILENO, STDERR_FILENO}) {
    struct stat standard;
    if (S_ISFIFO(info.st_mode) && fstat(stream, &standard) == 0 && IsSameFile(standard, info)) {
      return stream;
    }
  }
  return -1;
}

}  // namespace

void OpenFiles::Record(const std::vector<int>& known, std::vector<std::string>* obstacles) {
  char directory[PATH_MAX];
  if (getcwd(directory, sizeof(directory)) != nullptr) directory_ = directory;
  umask_ = umask(0);
  umask(umask_);
  DIR* const list = opendir("/proc/self/fd");
  if (list == nullptr) {
    obstacles->push_back("the open files cannot be listed: /proc/self/fd cannot be read");
    return;
  }
  while (const dirent* entry = readdir(list)) {
    const int fd = atoi(entry->d_name);
    if (fd <= kChannelDescriptor || fd == dirfd(list)) continue;
    if (std::find(known.begin(), known.end(), fd) == known.end()) RecordFile(fd, obstacles);
  }
  closedir(list);
}

void OpenFiles::RecordFile(int fd, std::vector<std::string>* obstacles) {
  struct stat info;
  if (fstat(fd, &info) != 0) return;
  File file;
  file.fd = fd;
  file.flags = fcntl(fd, F_GETFL) & kKeptFlags;
  file.close_on_exec = (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0;
  file.same_as = StandardStreamOf(info);
  const std::string name = LinkText(fd);
  if (file.same_as < 0 && LeadsTo(name, info)) {
    file.path = name;
    if (S_ISFIFO(info.st_mode) || S_ISSOCK(info.st_mode)) {
      obstacles->push_back(absl::StrCat("descriptor ", fd, " is a pipe: ", name));
    }
    if (S_ISREG(info.st_mode)) file.offset = lseek(fd, 0, SEEK_CUR);
  } else if (file.same_as < 0 && !(S_ISREG(info.st_mode) && ReadContents(fd, info, &file))) {
    obstacles->push_back(absl::StrCat(
        "descriptor ", fd, " is no file that could be opened again: ", name, " (close it)"));
  }
  file.in_memory = absl::StartsWith(name, "/memfd:");
  files_.push_back(std::move(file));
}

bool OpenFiles::ReadContents(int fd, const struct stat& info, File* file) {
  if (info.st_size > kMaxContents) return false;
  file->offset = lseek(fd, 0, SEEK_CUR);
  file->contents.resize(static_cast<size_t>(info.st_size));
  return pread(fd, file->contents.data(), file->contents.size(), 0) ==
         static_cast<ssize_t>(file->contents.size());
}

int OpenFiles::Open(const File& file) {
  if (file.same_as >= 0) return dup(file.same_as);
  if (!file.path.empty()) return open(file.path.c_str(), file.flags | O_CLOEXEC);
  const int fd = file.in_memory ? memfd_create("copy", MFD_CLOEXEC | MFD_ALLOW_SEALING)
                                : open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, S_IRUSR | S_IWUSR);
  if (fd >= 0 && write(fd, file.contents.data(), file.contents.size()) !=
                     static_cast<ssize_t>(file.contents.size())) {
    close(fd);
    return -1;
  }
  return fd;
}

absl::Status OpenFiles::Restore() const {
  umask(umask_);
  fcntl(kChannelDescriptor, F_SETFD, FD_CLOEXEC);
  absl::Status status;
  if (!directory_.empty() && chdir(directory_.c_str()) != 0) {
    status.Update(absl::NotFoundError(absl::StrCat("no directory ", directory_)));
  }
  for (const File& file : files_) {
    const int fd = Open(file);
    const bool placed = fd == file.fd || (fd >= 0 && dup2(fd, file.fd) == file.fd);
    if (fd >= 0 && fd != file.fd) close(fd);
    if (!placed) {
      status.Update(absl::NotFoundError(absl::StrCat("descriptor ", file.fd, ": ", file.path)));
      continue;
    }
    if (file.offset > 0) lseek(file.fd, file.offset, SEEK_SET);
    fcntl(file.fd, F_SETFD, file.close_on_exec ? FD_CLOEXEC : 0);
  }
  return status;
}

}  // namespace cloister::sandbox
