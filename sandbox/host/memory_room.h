// How much more of a sandbox's memory may be used without the kernel killing it for lack of any.
//
// Thread-safety: none. Ownership: owns the cgroup's files. Errors: what cannot be read bounds
// nothing; the sandbox may be gone at any time.

#ifndef CLOISTER_SANDBOX_HOST_MEMORY_ROOM_H_
#define CLOISTER_SANDBOX_HOST_MEMORY_ROOM_H_

#include <cstdint>
#include <utility>

#include "sandbox/base/unique_fd.h"

namespace cloister::sandbox {

class MemoryRoom {
 public:
  // Of a memory cgroup: what is in use, and memory.stat. Neither where there is no such group; then
  // there is always room.
  MemoryRoom(UniqueFd usage, UniqueFd stat) : usage_(std::move(usage)), stat_(std::move(stat)) {}

  // Whether `bytes` more leave the sandbox what ReserveOf says.
  bool Has(int64_t bytes, int64_t memory_limit) const;

  // What is left to the programs of a sandbox with that limit when its files have taken all they
  // may: enough to go on, and to remove files.
  static int64_t ReserveOf(int64_t memory_limit);

 private:
  const UniqueFd usage_;
  const UniqueFd stat_;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_HOST_MEMORY_ROOM_H_
