// How a stopped copy of a sandbox gets descriptors: it receives them from a socket that every shadow
// has, by one approved system call. A copy that dies on the way leaves its packet behind, so what is
// left is thrown away first, and each packet has a number that must have arrived.

#ifndef CLOISTER_SANDBOX_ZYGOTE_HAND_OVER_H_
#define CLOISTER_SANDBOX_ZYGOTE_HAND_OVER_H_

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/linux/traced_process.h"

namespace cloister::sandbox {

// Thread-safety: none. Ownership: of both ends of the socket; not of what is handed over.
class HandOver {
 public:
  // Where shadows, cloned after `Make`, have the socket. Below it there is room for what arrives.
  static constexpr int kDescriptor = 40;
  static constexpr size_t kMaxHanded = 8;

  static absl::StatusOr<HandOver> Make();

  // Has `copy`, which has no descriptor below kDescriptor, receive these as 0, 1, 2 ... `scratch` is a
  // page of its memory that only stopped processes have. Errors: those of TracedProcess::Call; ABORTED
  // where something else arrived.
  absl::Status Give(const TracedProcess& copy, uint64_t scratch, absl::Span<const int> descriptors);

 private:
  HandOver() = default;

  void Drain() const;
  absl::Status Send(absl::Span<const int> descriptors) const;

  UniqueFd ours_;
  UniqueFd theirs_;  // at kDescriptor
  uint64_t number_ = 0;
};

// `fd` as `descriptor`. INTERNAL where that is taken.
absl::StatusOr<UniqueFd> MoveDescriptor(UniqueFd fd, int descriptor);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_ZYGOTE_HAND_OVER_H_
