// A file descriptor with one owner.

#ifndef CLOISTER_SANDBOX_BASE_UNIQUE_FD_H_
#define CLOISTER_SANDBOX_BASE_UNIQUE_FD_H_

#include <unistd.h>

#include <utility>

namespace cloister::sandbox {

// Closes its descriptor when destroyed. Thread-safety: none, like a pointer.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) reset(other.release());
    return *this;
  }
  ~UniqueFd() { reset(); }

  // The descriptor, still owned; -1 where there is none.
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

  // Gives the descriptor up; the caller closes it.
  [[nodiscard]] int release() { return std::exchange(fd_, -1); }

  void reset(int fd = -1) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
  }

 private:
  int fd_ = -1;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_BASE_UNIQUE_FD_H_
