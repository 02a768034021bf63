#include "sandbox/linux/copy_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "sandbox/base/status_macros.h"
#include "sandbox/base/syscall_status.h"
#include "sandbox/base/unique_fd.h"

namespace cloister::sandbox {
namespace {

// One descriptor pair each; and whoever nests deeper does not mean well.
constexpr size_t kMaxDepth = 100;
constexpr size_t kCopyBytes = size_t{1} << 20;
constexpr mode_t kModeBits = 07777;

struct CloseDirectory {
  void operator()(DIR* directory) const { closedir(directory); }
};
using Directory = std::unique_ptr<DIR, CloseDirectory>;

bool IsDots(const char* name) {
  return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

absl::StatusOr<Directory> OpenDirectory(int fd) {
  // Another open file, so that the caller's position stays.
  UniqueFd own(openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!own) return SyscallError("open a directory to copy");
  Directory directory(fdopendir(own.get()));
  if (directory == nullptr) return SyscallError("read a directory to copy");
  (void)own.release();
  return directory;
}

class TreeCopier {
 public:
  TreeCopier(int root, const TreeOwner& owner) : root_(root), owner_(owner) {}

  absl::Status Copy(int from) { return CopyEntries(from, root_); }

 private:
  using Buffer = std::array<char, kCopyBytes>;

  absl::Status Error(const char* what) const { return SyscallError(absl::StrCat(what, " ", path_)); }

  absl::Status CopyEntries(int from, int to) {
    if (depth_ >= kMaxDepth) {
      return absl::ResourceExhaustedError(
          absl::StrCat("directories are nested more than ", kMaxDepth, " deep: ", path_));
    }
    ++depth_;
    CLOISTER_ASSIGN_OR_RETURN(const Directory directory, OpenDirectory(from));
    const size_t length = path_.size();
    while (const dirent* entry = readdir(directory.get())) {
      if (IsDots(entry->d_name)) continue;
      path_.resize(length);
      absl::StrAppend(&path_, length == 0 ? "" : "/", entry->d_name);
      const std::string name = entry->d_name;
      CLOISTER_RETURN_IF_ERROR(CopyEntry(from, to, name.c_str()));
    }
    path_.resize(length);
    --depth_;
    return absl::OkStatus();
  }

  absl::Status CopyEntry(int from, int to, const char* name) {
    struct stat info;
    if (fstatat(from, name, &info, AT_SYMLINK_NOFOLLOW) != 0) return Error("stat");
    switch (info.st_mode & S_IFMT) {
      case S_IFDIR:
        return CopyDirectory(from, to, name, info);
      case S_IFREG:
        return CopyFileOrLink(from, to, name, info);
      case S_IFLNK:
        return CopySymbolicLink(from, to, name, info);
      case S_IFIFO:
        if (mkfifoat(to, name, info.st_mode & kModeBits) != 0) return Error("make fifo");
        return Own(to, name, info);
      default:
        return absl::OkStatus();
    }
  }

  absl::Status CopyDirectory(int from, int to, const char* name, const struct stat& info) {
    const UniqueFd source(openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!source) return Error("open");
    if (mkdirat(to, name, S_IRWXU) != 0) return Error("make directory");
    const UniqueFd target(openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!target) return Error("open the copy of");
    CLOISTER_RETURN_IF_ERROR(CopyEntries(source.get(), target.get()));
    return Own(to, name, info);
  }

  absl::Status CopyFileOrLink(int from, int to, const char* name, const struct stat& info) {
    if (info.st_nlink > 1) {
      const auto [first, is_new] = links_.try_emplace({info.st_dev, info.st_ino}, path_);
      if (!is_new) {
        if (linkat(root_, first->second.c_str(), to, name, 0) == 0) return absl::OkStatus();
        return Error("link");
      }
    }
    // It may have become something else meanwhile, a fifo without a writer say.
    const UniqueFd source(openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    struct stat now;
    if (!source || fstat(source.get(), &now) != 0) return Error("open");
    if (!S_ISREG(now.st_mode)) return absl::AbortedError(absl::StrCat(path_, " changes meanwhile"));
    const UniqueFd target(openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                                 S_IRUSR | S_IWUSR));
    if (!target) return Error("make");
    CLOISTER_RETURN_IF_ERROR(CopyContents(source.get(), target.get()));
    return Own(to, name, info);
  }

  // Hole by hole: a sparse file would fill the target otherwise.
  absl::Status CopyContents(int source, int target) {
    struct stat info;
    if (fstat(source, &info) != 0) return Error("stat");
    if (ftruncate(target, info.st_size) != 0) return Error("size the copy of");
    off_t begin = 0;
    while (begin < info.st_size) {
      begin = lseek(source, begin, SEEK_DATA);
      if (begin < 0) return errno == ENXIO ? absl::OkStatus() : Error("seek in");
      const off_t end = lseek(source, begin, SEEK_HOLE);
      if (end < 0) return Error("seek in");
      CLOISTER_RETURN_IF_ERROR(CopyRange(source, target, begin, std::min(end, info.st_size)));
      begin = end;
    }
    return absl::OkStatus();
  }

  absl::Status CopyRange(int source, int target, off_t begin, off_t end) {
    if (buffer_ == nullptr) buffer_ = std::make_unique<Buffer>();
    while (begin < end) {
      const size_t wanted = std::min(static_cast<size_t>(end - begin), kCopyBytes);
      const ssize_t got = pread(source, buffer_->data(), wanted, begin);
      if (got < 0) return Error("read");
      if (got == 0) return absl::OkStatus();  // it has become shorter
      if (pwrite(target, buffer_->data(), static_cast<size_t>(got), begin) != got) {
        return Error("write the copy of");
      }
      begin += got;
    }
    return absl::OkStatus();
  }

  absl::Status CopySymbolicLink(int from, int to, const char* name, const struct stat& info) {
    char text[PATH_MAX + 1];
    const ssize_t length = readlinkat(from, name, text, PATH_MAX);
    if (length < 0) return Error("read link");
    text[length] = '\0';
    if (symlinkat(text, to, name) != 0) return Error("make link");
    return Own(to, name, info);
  }

  absl::Status Own(int to, const char* name, const struct stat& info) {
    if (fchownat(to, name, owner_.user, owner_.group, AT_SYMLINK_NOFOLLOW) != 0) {
      return Error("give away");
    }
    // No link of this name: the tree is the copier's own until it is done. Nothing here needs
    // set-user-id bits, which the mount ignores anyway.
    if (!S_ISLNK(info.st_mode) && fchmodat(to, name, info.st_mode & kModeBits, 0) != 0) {
      return Error("set the mode of");
    }
    const timespec times[] = {info.st_atim, info.st_mtim};
    return utimensat(to, name, times, AT_SYMLINK_NOFOLLOW) == 0 ? absl::OkStatus()
                                                                 : Error("set the times of");
  }

  const int root_;  // of the copy
  const TreeOwner owner_;
  std::string path_;  // of the entry at hand, relative to the root
  size_t depth_ = 0;
  std::map<std::pair<dev_t, ino_t>, std::string> links_;
  std::unique_ptr<Buffer> buffer_;
};

}  // namespace

absl::Status CopyTree(int from, int to, const TreeOwner& owner) {
  return TreeCopier(to, owner).Copy(from);
}

absl::StatusOr<bool> IsEmptyDirectory(int directory) {
  CLOISTER_ASSIGN_OR_RETURN(const Directory entries, OpenDirectory(directory));
  while (const dirent* entry = readdir(entries.get())) {
    if (!IsDots(entry->d_name)) return false;
  }
  return true;
}

}  // namespace cloister::sandbox
