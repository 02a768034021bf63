// Answers FileRequests below one directory: the part of a live sandbox's file service that runs
// inside it. Holds open files by handle, bounded in number.
//
// What is written has no name until it is committed (O_TMPFILE): a stream that breaks, or the end
// of the process, leaves nothing, and nobody sees half of a file.
//
// Thread-safety: none. Ownership: of the directory's descriptor and all open files.

#ifndef CLOISTER_SANDBOX_FILES_FILE_SERVER_H_
#define CLOISTER_SANDBOX_FILES_FILE_SERVER_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "cloister/internal/v1/file_access.pb.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/files/open_beneath.h"

namespace cloister::sandbox {

inline constexpr size_t kMaxOpenFiles = 16;
inline constexpr size_t kMaxFilePartBytes = size_t{1} << 20;

class FileServer {
 public:
  // Below `root`, a directory.
  explicit FileServer(UniqueFd root) : root_(std::move(root)) {}

  // Never waits for anything but the file system. An unset request is EINVAL.
  internal::v1::FileReply Answer(const internal::v1::FileRequest& request);

  size_t open_count() const { return files_.size(); }

 private:
  struct OpenFile {
    UniqueFd fd;
    // To write; not set otherwise.
    internal::v1::OpenFileToWrite target = {};
    bool is_written = false;
  };

  // Each returns an errno value, or 0.
  int Serve(const internal::v1::FileRequest& request, internal::v1::FileReply* reply);
  int OpenToRead(const internal::v1::OpenFileToRead& request, internal::v1::FileReply* reply);
  int OpenToWrite(const internal::v1::OpenFileToWrite& request);
  int Read(const internal::v1::ReadFilePart& request, internal::v1::FileReply* reply);
  int Write(const internal::v1::WriteFilePart& request);
  int Commit(int64_t handle, internal::v1::FileReply* reply);
  int Stat(const std::string& path, internal::v1::FileReply* reply);
  int MakeDirectory(const internal::v1::MakeDirectory& request, internal::v1::FileReply* reply);
  // Whether one more may be opened under this handle.
  int CheckHandle(int64_t handle) const;

  const UniqueFd root_;
  std::map<int64_t, OpenFile> files_;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_FILES_FILE_SERVER_H_
