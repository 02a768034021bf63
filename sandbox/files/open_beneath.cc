#include "sandbox/files/open_beneath.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

namespace cloister::sandbox {
namespace {

using internal::v1::PathInfo;

constexpr mode_t kDirectoryMode = 0755;

int Open(int directory, const char* path, uint64_t flags, UniqueFd* opened) {
  open_how how = {};
  how.flags = flags | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  const long fd = syscall(SYS_openat2, directory, path, &how, sizeof(how));
  if (fd < 0) return errno;
  opened->reset(static_cast<int>(fd));
  return 0;
}

// One part of a path after another, each made where it is missing.
int MakeDirectories(int root, const std::string& path, UniqueFd* opened) {
  UniqueFd current;
  for (size_t begin = 0; begin <= path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string part = path.substr(begin, end - begin);
    const int parent = current ? current.get() : root;
    if (mkdirat(parent, part.c_str(), kDirectoryMode) != 0 && errno != EEXIST) return errno;
    UniqueFd next;
    if (const int error = Open(parent, part.c_str(), O_PATH | O_DIRECTORY, &next)) return error;
    current = std::move(next);
    begin = end + 1;
  }
  *opened = std::move(current);
  return 0;
}

PathInfo::Kind KindOf(mode_t mode) {
  switch (mode & S_IFMT) {
    case S_IFREG:
      return PathInfo::KIND_FILE;
    case S_IFDIR:
      return PathInfo::KIND_DIRECTORY;
    case S_IFLNK:
      return PathInfo::KIND_SYMBOLIC_LINK;
    default:
      return PathInfo::KIND_OTHER;
  }
}

}  // namespace

int OpenBeneath(int root, const std::string& path, int flags, UniqueFd* opened) {
  Place place;
  if (const int error = FindPlace(root, path, false, &place)) return error;
  return Open(place.directory.get(), place.name.c_str(), static_cast<uint64_t>(flags), opened);
}

int OpenDirectoryBeneath(int root, const std::string& path, UniqueFd* opened) {
  constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_NONBLOCK;
  return path.empty() ? Open(root, ".", kFlags, opened) : OpenBeneath(root, path, kFlags, opened);
}

int FindPlace(int root, const std::string& path, bool make_parents, Place* place) {
  if (path.empty()) return EINVAL;
  const size_t slash = path.rfind('/');
  place->name = slash == std::string::npos ? path : path.substr(slash + 1);
  if (slash == std::string::npos) return Open(root, ".", O_PATH | O_DIRECTORY, &place->directory);
  const std::string parent = path.substr(0, slash);
  const int error = Open(root, parent.c_str(), O_PATH | O_DIRECTORY, &place->directory);
  if (error != ENOENT || !make_parents) return error;
  return MakeDirectories(root, parent, &place->directory);
}

int Look(const Place& place, PathInfo* info) {
  struct stat status;
  const int flags = place.name.empty() ? AT_EMPTY_PATH : AT_SYMLINK_NOFOLLOW;
  if (fstatat(place.directory.get(), place.name.c_str(), &status, flags) != 0) return errno;
  Describe(status, info);
  return 0;
}

void Describe(const struct stat& status, PathInfo* info) {
  info->set_kind(KindOf(status.st_mode));
  if (S_ISREG(status.st_mode)) {
    info->set_size_bytes(status.st_size);
    info->set_is_executable((status.st_mode & S_IXUSR) != 0);
  }
  // Years that nanoseconds cannot count are the guest's joke (utimensat).
  int64_t nanoseconds = 0;
  if (!__builtin_mul_overflow(int64_t{status.st_mtim.tv_sec}, 1'000'000'000, &nanoseconds) &&
      !__builtin_add_overflow(nanoseconds, status.st_mtim.tv_nsec, &nanoseconds)) {
    info->set_modify_time_nanoseconds(nanoseconds);
  }
}

}  // namespace cloister::sandbox
