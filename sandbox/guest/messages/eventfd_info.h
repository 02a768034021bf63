// What the kernel tells of an eventfd, without reading from it.
//
// Thread-safety: any thread, without a GIL as well.

#ifndef CLOISTER_SANDBOX_GUEST_MESSAGES_EVENTFD_INFO_H_
#define CLOISTER_SANDBOX_GUEST_MESSAGES_EVENTFD_INFO_H_

#include <cstdint>
#include <optional>

namespace cloister::sandbox {

struct EventfdInfo {
  // Nothing where it is no eventfd, or there is no /proc.
  std::optional<uint64_t> count;
  // Nothing where the kernel does not tell, which it does from 6.5 on.
  std::optional<bool> is_semaphore;
};
EventfdInfo ReadEventfdInfo(int fd);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_MESSAGES_EVENTFD_INFO_H_
