#include "sandbox/files/list_directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <memory>
#include <set>
#include <string_view>
#include <utility>

#include "sandbox/base/unique_fd.h"
#include "sandbox/files/open_beneath.h"

namespace cloister::sandbox {
namespace {

using Directory = std::unique_ptr<DIR, decltype(&closedir)>;

// The first paths of all that were offered, as many as fit.
class Page {
 public:
  Page(std::string after, size_t count) : after_(std::move(after)), count_(count) {}

  // Whether `path` is on this page, as far as is known yet.
  bool Wants(std::string_view path) const {
    return path > after_ && (!is_full_ || paths_.empty() || path < *paths_.rbegin());
  }

  // Whether anything below the directory that `prefix` (ends in a slash) names may be on it.
  bool WantsBelow(const std::string& prefix) const {
    const std::string_view after = after_;
    const bool all_before = after.substr(0, prefix.size()) != prefix && after > prefix;
    return !all_before && (!is_full_ || paths_.empty() || prefix < *paths_.rbegin());
  }

  void Add(std::string path) {
    const size_t size = path.size();
    if (!paths_.insert(std::move(path)).second) return;  // moved while it was read
    bytes_ += size;
    while (paths_.size() > count_ || (bytes_ > kMaxListedBytes && paths_.size() > 1)) {
      const auto last = std::prev(paths_.end());
      bytes_ -= last->size();
      paths_.erase(last);
      is_full_ = true;
    }
  }

  const std::set<std::string, std::less<>>& paths() const { return paths_; }
  // There were more.
  bool is_full() const { return is_full_; }

 private:
  const std::string after_;
  const size_t count_;
  std::set<std::string, std::less<>> paths_;
  size_t bytes_ = 0;
  bool is_full_ = false;
};

class Walk {
 public:
  Walk(bool is_recursive, Page* page) : is_recursive_(is_recursive), page_(*page) {}

  // Looks at all that `directory` holds, whose path with a slash is `prefix`. Takes the descriptor.
  int Visit(UniqueFd fd, const std::string& prefix, int depth) {
    Directory directory(fdopendir(fd.get()), &closedir);
    if (directory == nullptr) return errno;
    (void)fd.release();
    for (;;) {
      errno = 0;
      const dirent* entry = readdir(directory.get());
      if (entry == nullptr) return errno;
      const std::string_view name = entry->d_name;
      if (name == "." || name == "..") continue;
      if (++visited_ > kMaxVisitedEntries) return E2BIG;
      const std::string path = prefix + entry->d_name;
      if (page_.Wants(path)) page_.Add(path);
      const bool may_descend = entry->d_type == DT_DIR || entry->d_type == DT_UNKNOWN;
      if (!is_recursive_ || !may_descend) continue;
      if (const int error = Descend(dirfd(directory.get()), entry->d_name, path, depth)) {
        return error;
      }
    }
  }

 private:
  int Descend(int parent, const char* name, const std::string& path, int depth) {
    if (depth == kMaxListDepth || path.size() > kMaxDescentBytes) return 0;
    const std::string prefix = path + "/";
    if (!page_.WantsBelow(prefix)) return 0;
    UniqueFd fd(openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    // Gone, turned into something else, or closed to us: then it is listed and not entered.
    if (!fd) return errno == EMFILE || errno == ENFILE || errno == ENOMEM ? errno : 0;
    return Visit(std::move(fd), prefix, depth + 1);
  }

  const bool is_recursive_;
  Page& page_;
  int64_t visited_ = 0;
};

}  // namespace

int ListBeneath(int root, const internal::v1::ListPath& request, internal::v1::FileReply* reply) {
  UniqueFd fd;
  if (const int error = OpenDirectoryBeneath(root, request.path(), &fd)) return error;
  Page page(request.after(),
            static_cast<size_t>(std::clamp(request.maximum_count(), 1, kMaxListedPaths)));
  const std::string prefix = request.path().empty() ? "" : request.path() + "/";
  if (const int error = Walk(request.is_recursive(), &page).Visit(std::move(fd), prefix, 1)) {
    return error;
  }
  for (const std::string& path : page.paths()) {
    internal::v1::PathInfo info;
    Place place;
    // What went meanwhile is left out.
    if (FindPlace(root, path, false, &place) != 0 || Look(place, &info) != 0) continue;
    info.set_path(path);
    *reply->add_infos() = std::move(info);
  }
  if (page.is_full()) {
    reply->set_is_partial(true);
    reply->set_continue_after(*page.paths().rbegin());
  }
  return 0;
}

}  // namespace cloister::sandbox
