#include "sandbox/files/remove_beneath.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/files/open_beneath.h"

namespace cloister::sandbox {
namespace {

using Directory = std::unique_ptr<DIR, decltype(&closedir)>;

constexpr int kTries = 64;

int OpenChild(int parent, const char* name, Directory* opened) {
  UniqueFd fd(openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!fd) return errno;
  opened->reset(fdopendir(fd.get()));
  if (*opened == nullptr) return errno;
  (void)fd.release();
  return 0;
}

// Only ever removes names of directories it holds open, and enters none through a link: whatever
// is moved meanwhile, what goes is what somebody put below the directory.
class Removal {
 public:
  // A directory and all in it. ENOTEMPTY only where somebody fills it as fast as it empties.
  int RemoveTree(int parent, const char* name, int depth = 1) {
    for (int idle_rounds = 0; idle_rounds < kTries;) {
      Directory directory(nullptr, &closedir);
      if (const int error = OpenChild(parent, name, &directory)) return error;
      const int removed_before = removed_;
      if (depth == 1) top_ = dirfd(directory.get());
      if (const int error = Empty(directory.get(), depth)) return error;
      if (is_spent()) return 0;
      if (unlinkat(parent, name, AT_REMOVEDIR) == 0) return Count();
      if (errno != ENOTEMPTY && errno != EEXIST) return errno;
      if (removed_ == removed_before) ++idle_rounds;
    }
    return ENOTEMPTY;
  }

  // Names that went before they could be removed count as well: the guest can make and remove them
  // as fast as they are read.
  bool is_spent() const {
    return removed_ >= kMaxRemovedEntries || visited_ >= kMaxVisitsOfRemoval;
  }

 private:
  int Count() {
    ++removed_;
    return 0;
  }

  int Empty(DIR* directory, int depth) {
    const int fd = dirfd(directory);
    for (;;) {
      if (is_spent()) return 0;
      errno = 0;
      const dirent* entry = readdir(directory);
      if (entry == nullptr) return errno;
      const std::string_view name = entry->d_name;
      if (name == "." || name == "..") continue;
      ++visited_;
      const int error = RemoveEntry(fd, entry->d_name, depth);
      if (error != 0 && error != ENOENT) return error;
    }
  }

  int RemoveEntry(int fd, const char* name, int depth) {
    if (unlinkat(fd, name, 0) == 0) return Count();
    if (errno != EISDIR && errno != EPERM) return errno;
    if (unlinkat(fd, name, AT_REMOVEDIR) == 0) return Count();
    if (errno != ENOTEMPTY && errno != EEXIST) return errno;
    return depth < kMaxRemoveDepth ? RemoveTree(fd, name, depth + 1) : MoveUp(fd, name);
  }

  // What is too deep to go into becomes an entry of the top directory, which is read again until
  // it is empty.
  int MoveUp(int fd, const char* name) {
    for (int i = 0; i < kTries; ++i) {
      const std::string new_name = absl::StrCat(".cloister-removed-", ++last_name_);
      if (renameat(fd, name, top_, new_name.c_str()) == 0) return Count();
      if (errno != ENOTEMPTY && errno != EEXIST && errno != ENOTDIR) return errno;
    }
    return ENOTEMPTY;
  }

  int top_ = -1;  // of the directory that goes; open as long as any below it is
  int removed_ = 0;
  int visited_ = 0;
  int last_name_ = 0;
};

}  // namespace

int RemoveBeneath(int root, const internal::v1::RemovePath& request,
                  internal::v1::FileReply* reply) {
  Place place;
  int error = FindPlace(root, request.path(), false, &place);
  const int parent = place.directory.get();
  if (error == 0 && unlinkat(parent, place.name.c_str(), 0) != 0) {
    error = errno;
    // Linux says EISDIR of a directory; POSIX would let it say EPERM.
    if (error == EISDIR || error == EPERM) {
      error = unlinkat(parent, place.name.c_str(), AT_REMOVEDIR) == 0 ? 0 : errno;
    }
  }
  if (error == EEXIST) error = ENOTEMPTY;
  if (error == ENOTEMPTY && request.is_recursive()) {
    Removal removal;
    error = removal.RemoveTree(parent, place.name.c_str());
    reply->set_is_partial(error == 0 && removal.is_spent());
  }
  return error == ENOENT && request.may_be_missing() ? 0 : error;
}

}  // namespace cloister::sandbox
