// What of a sandbox's memory stands against its being copied. Its owner may be hostile: each check has a
// bound on what it costs the zygote, which does nothing else meanwhile.

#ifndef CLOISTER_SANDBOX_ZYGOTE_COPY_CHECKS_H_
#define CLOISTER_SANDBOX_ZYGOTE_COPY_CHECKS_H_

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace cloister::sandbox {

// More than these and a copy takes so long that others wait for it. 32 MiB of page tables map 16 GiB in
// small pages, and take a third of a second to copy.
inline constexpr int64_t kMaxPageTableBytes = int64_t{32} << 20;
inline constexpr int kMaxMappings = 16'384;

// Errors of all: Refusal; the kernel's.

// Before it is copied.
absl::Status CheckPageTables(pid_t source);

// Thread-safety: none.
class MappingCheck {
 public:
  // In the zygote: what it has mapped itself, the image and the guest binary, is read-only for all.
  static MappingCheck OfThisProcess();

  // Of a stopped copy: no memory of which both would see the other's writes, nor of files that the parent
  // can write.
  absl::Status Check(pid_t copy) const;

  // One line of /proc/PID/maps.
  absl::Status CheckLine(std::string_view line) const;

 private:
  bool IsOfImage(std::string_view device) const;

  std::vector<std::string> image_devices_;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_ZYGOTE_COPY_CHECKS_H_
