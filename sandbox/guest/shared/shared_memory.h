// Memory that several interpreters and processes of a sandbox have mapped: a memfd that can neither
// shrink nor grow, so that no access to what is mapped of it can fail.
//
// All who have it write to it whenever they like: nothing that is read from it is believed.
// The kernel charges its pages to the sandbox's cgroup, whoever keeps them.
//
// Thread-safety: const methods, any thread. Ownership: of the mapping; of the descriptor together
// with messages that are being sent. Errors: INVALID_ARGUMENT for what makes no sense or was sent
// wrongly, RESOURCE_EXHAUSTED where there is no room, and what the kernel says.

#ifndef CLOISTER_SANDBOX_GUEST_SHARED_SHARED_MEMORY_H_
#define CLOISTER_SANDBOX_GUEST_SHARED_SHARED_MEMORY_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "sandbox/guest/clone/clone_handles.h"

namespace cloister::sandbox {

// New and zeroed. `name` tells people what it is, in /proc and where a fork is refused.
absl::StatusOr<OpenDescriptor> MakeSharedFile(const char* name, size_t size);

// Whether a peer's descriptor is such a file, in which `offset` and `size` lie.
absl::Status CheckSharedFile(int descriptor, uint64_t offset, uint64_t size);

class SharedMemory {
 public:
  enum class Access { kReadOnly, kReadWrite };

  // Of a file that was made or checked.
  static absl::StatusOr<std::shared_ptr<const SharedMemory>> Map(OpenDescriptor descriptor,
                                                                 uint64_t offset, uint64_t size,
                                                                 Access access);
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;
  ~SharedMemory();

  char* data() const { return data_; }
  size_t size() const { return size_; }
  uint64_t offset() const { return offset_; }
  bool is_read_only() const { return access_ == Access::kReadOnly; }
  const OpenDescriptor& descriptor() const { return descriptor_; }

  // Bytes of whole pages.
  size_t page_bytes() const { return mapped_bytes_; }

 private:
  SharedMemory() = default;

  OpenDescriptor descriptor_;
  char* mapped_ = nullptr;
  size_t mapped_bytes_ = 0;
  char* data_ = nullptr;
  size_t size_ = 0;
  uint64_t offset_ = 0;
  Access access_ = Access::kReadOnly;
};

// What errno says of a call that has just failed: RESOURCE_EXHAUSTED for lack of memory alone, and
// not of descriptors, which absl::ErrnoToStatus() takes for the same.
absl::Status FailedCall(const char* what);

// Raises what a status says: ValueError, MemoryError or OSError. Always null.
PyObject* RaiseStatus(const absl::Status& status);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_SHARED_SHARED_MEMORY_H_
