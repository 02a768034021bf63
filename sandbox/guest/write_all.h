// Writes whole buffers, without Python: for files that nobody else sees yet.

#ifndef CLOISTER_SANDBOX_GUEST_WRITE_ALL_H_
#define CLOISTER_SANDBOX_GUEST_WRITE_ALL_H_

#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <string_view>

namespace cloister::sandbox {

// False, with errno set, where not all of it could be written.
inline bool WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno != EINTR) return false;
    if (written > 0) bytes.remove_prefix(static_cast<size_t>(written));
  }
  return true;
}

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_WRITE_ALL_H_
