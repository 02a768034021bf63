// Starts a guest binary inside its image: namespaces, ids, mounts, then exec. In an ordinary
// container, which allows none of these, on the image's libraries where they are.

#ifndef CLOISTER_SANDBOX_SPAWNER_LAUNCH_H_
#define CLOISTER_SANDBOX_SPAWNER_LAUNCH_H_

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cloister/internal/v1/spawner.pb.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/linux/cgroup.h"

namespace cloister::sandbox {

// A started guest binary: pid 1 of its pid namespace. Its end is that of every process below it. In
// an ordinary container it is the zygote itself, and what it cloned dies shortly after it.
struct Nursery {
  pid_t pid = 0;
  UniqueFd pidfd;
  // Our end of its control socket; the configuration has been sent.
  UniqueFd control;
};

struct LaunchOptions {
  // Everything below the guest binary begins in it; may be null.
  Cgroup* cgroup = nullptr;
  // Where sandboxes without mounts of their own have their files.
  std::string scratch_directory = {};
  // Which block of host ids its user namespace gets, of those there are: a number that no other
  // living zygote has.
  int64_t id_block = 0;
  // Of the guest binary.
  std::vector<std::string> arguments = {};
};

// Starts the guest binary of `spec` and sends it its ZygoteConfig. What fails inside the new
// process is answered on the control socket as ZygoteBroken.
//
// Errors: FAILED_PRECONDITION and the kernel's, saying what is missing.
absl::StatusOr<Nursery> LaunchGuest(const internal::v1::Facilities& facilities,
                                    const internal::v1::ZygoteSpec& spec,
                                    const LaunchOptions& options = {});

// What the guest binary is told: which layers to apply, and who to be. `scratch_directory` as in
// LaunchOptions; unused where there are mounts.
internal::v1::ZygoteConfig MakeZygoteConfig(const internal::v1::Facilities& facilities,
                                            const internal::v1::ZygoteSpec& spec,
                                            const std::string& scratch_directory);

// The environment of a template: the few variables programs expect, then the template's own, which
// may replace them. Nothing of the spawner's.
std::map<std::string, std::string> GuestEnvironment(const internal::v1::Facilities& facilities,
                                                    const internal::v1::ZygoteSpec& spec);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_SPAWNER_LAUNCH_H_
