// The open files of an interpreter that is copied. A copy begins with its standard descriptors and
// its channel alone: an open file carried over would be its parent's. What has a path is opened
// anew, where the copy's own files are; what has lost its path is made anew with the same contents.

#ifndef CLOISTER_SANDBOX_GUEST_OPEN_FILES_H_
#define CLOISTER_SANDBOX_GUEST_OPEN_FILES_H_

#include <sys/stat.h>
#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace cloister::sandbox {

// Thread-safety: none; the only thread of the process.
class OpenFiles {
 public:
  // In the parent: notes all open files, the current directory and the umask. What cannot be
  // carried over is appended to `obstacles`, one sentence each.
  // `known`: descriptors that the copy does without.
  void Record(const std::vector<int>& known, std::vector<std::string>* obstacles);

  // In a copy: makes them anew under their numbers. Errors: NOT_FOUND, naming the first that could
  // not be.
  absl::Status Restore() const;

 private:
  struct File {
    int fd = -1;
    int flags = 0;  // of open(2)
    bool close_on_exec = false;
    off_t offset = 0;
    std::string path;        // empty: without one
    bool in_memory = false;  // of memfd_create(2), without a path
    std::string contents;    // of one without a path
    int same_as = -1;        // a copy of a standard stream
  };

  void RecordFile(int fd, std::vector<std::string>* obstacles);
  // Whether `file` is left without a path that leads to it.
  static bool ReadContents(int fd, const struct stat& info, File* file);
  static int Open(const File& file);

  std::vector<File> files_;
  std::string directory_;
  mode_t umask_ = 022;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_OPEN_FILES_H_
