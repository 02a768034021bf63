#include "sandbox/guest/workspace_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/guest/write_all.h"

namespace cloister::sandbox {
namespace {

enum class Parents { kMustExist, kMake };

// Where a path ends: its last segment, and the directory that has it.
struct Place {
  UniqueFd directory;
  std::string name;
};

// Walks to the directory of `path`. False with errno set where there is no way, EINVAL for a path
// that is not one below the workspace.
bool FindPlace(int workspace, std::string_view path, Parents parents, Place* place) {
  if (path.find('\0') != path.npos) return errno = EINVAL, false;
  std::vector<std::string> segments =
      absl::StrSplit(absl::string_view(path.data(), path.size()), '/');
  for (const std::string& segment : segments) {
    if (segment.empty() || segment == "." || segment == "..") return errno = EINVAL, false;
  }
  place->name = std::move(segments.back());
  segments.pop_back();
  place->directory.reset(openat(workspace, ".", O_PATH | O_DIRECTORY | O_CLOEXEC));
  for (const std::string& segment : segments) {
    if (!place->directory) return false;
    const int parent = place->directory.get();
    if (parents == Parents::kMake && mkdirat(parent, segment.c_str(), 0755) != 0 &&
        errno != EEXIST) {
      return false;
    }
    place->directory.reset(
        openat(parent, segment.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  }
  return static_cast<bool>(place->directory);
}

// Reads `size` bytes, or up to the end where the file has shrunk meanwhile.
bool ReadUpTo(int fd, size_t size, std::string* bytes) {
  bytes->resize(size);
  size_t filled = 0;
  while (filled < size) {
    const ssize_t count = read(fd, bytes->data() + filled, size - filled);
    if (count < 0 && errno != EINTR) return false;
    if (count == 0) break;
    if (count > 0) filled += static_cast<size_t>(count);
  }
  bytes->resize(filled);
  return true;
}

std::string DescribeOpenError(int error_number) {
  switch (error_number) {
    case ENOENT:
      return "missing";
    case EINVAL:
      return "not a path below the workspace";
    case ELOOP:
    case ENOTDIR:
    case ENXIO:
      return "not a regular file";
    default:
      return absl::StrCat("unreadable: ", strerror(error_number));
  }
}

// Reads one file of at most `limit` bytes; returns what is wrong, or "".
std::string ReadFile(int workspace, std::string_view path, int64_t limit, std::string* content) {
  Place place;
  if (!FindPlace(workspace, path, Parents::kMustExist, &place)) return DescribeOpenError(errno);
  // Not blocking: what is there may be a pipe.
  UniqueFd fd(openat(place.directory.get(), place.name.c_str(),
                     O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (!fd) return DescribeOpenError(errno);
  struct stat status;
  if (fstat(fd.get(), &status) != 0) return DescribeOpenError(errno);
  if (!S_ISREG(status.st_mode)) return "not a regular file";
  if (status.st_size > limit) {
    return absl::StrCat("too large: ", status.st_size, " bytes, ", limit, " of ",
                        kMaxReturnedFileBytes, " are left for returned files");
  }
  if (!ReadUpTo(fd.get(), static_cast<size_t>(status.st_size), content)) {
    const std::string error = DescribeOpenError(errno);
    content->clear();
    return error;
  }
  return "";
}

}  // namespace

FileError PlaceFile(int workspace, const v1::File& file) {
  Place place;
  if (!FindPlace(workspace, file.path(), Parents::kMake, &place)) return {errno, file.path()};
  UniqueFd fd(openat(place.directory.get(), place.name.c_str(),
                     O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
                     file.executable() ? 0755 : 0644));
  if (!fd || !WriteAll(fd.get(), file.content())) return {errno, file.path()};
  return {};
}

void CollectFiles(int workspace, const google::protobuf::RepeatedPtrField<std::string>& paths,
                  google::protobuf::RepeatedPtrField<v1::ReturnedFile>* files) {
  int64_t left = kMaxReturnedFileBytes;
  for (const std::string& path : paths) {
    v1::ReturnedFile* file = files->Add();
    file->set_path(path);
    file->set_error(ReadFile(workspace, path, left, file->mutable_content()));
    left -= static_cast<int64_t>(file->content().size());
  }
}

}  // namespace cloister::sandbox
