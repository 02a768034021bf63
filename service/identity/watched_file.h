// A file that somebody may replace or rewrite while the server runs.

#ifndef CLOISTER_SERVICE_IDENTITY_WATCHED_FILE_H_
#define CLOISTER_SERVICE_IDENTITY_WATCHED_FILE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace cloister::identity {

// Thread-safety: none.
class WatchedFile {
 public:
  explicit WatchedFile(std::string path) : path_(std::move(path)) {}

  const std::string& path() const { return path_; }

  // All of it. What is there now is taken as read, unless reading itself failed. Errors: with the path
  // and why; INVALID_ARGUMENT for one of more than `maximum` bytes, and what is no regular file.
  absl::StatusOr<std::string> Read(size_t maximum);

  // To be asked now and then: whether it is another than was read last, and the same as when this
  // was asked last. So one that is being written is left alone, as long as it grows.
  bool HasSettledAnew();

 private:
  // Device, inode, size, times; all zero where there is none.
  using Look = std::array<int64_t, 7>;
  Look LookAt() const;
  absl::Status CannotRead(int error);

  const std::string path_;
  Look read_{};
  Look last_{};
};

}  // namespace cloister::identity

#endif  // CLOISTER_SERVICE_IDENTITY_WATCHED_FILE_H_
