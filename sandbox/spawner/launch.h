// Starts a guest binary inside its image: namespaces, ids, mounts, then exec.

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

// A started guest binary: pid 1 of its pid namespace. Its end is that of every process below it.
struct Nursery {
  pid_t pid = 0;
  UniqueFd pidfd;
  // Our end of its control socket; the configuration has been sent.
  UniqueFd control;
};

// Starts the guest binary of `spec` and sends it its ZygoteConfig. What fails inside the new
// process is answered on the control socket as ZygoteBroken. `arguments` go to the binary.
// Everything below it begins in `cgroup`, which may be null.
//
// Errors: FAILED_PRECONDITION and the kernel's, saying what is missing.
absl::StatusOr<Nursery> LaunchGuest(const internal::v1::Facilities& facilities,
                                    const internal::v1::ZygoteSpec& spec, Cgroup* cgroup,
                                    const std::vector<std::string>& arguments = {});

// What the guest binary is told: which layers to apply, and who to be.
internal::v1::ZygoteConfig MakeZygoteConfig(const internal::v1::Facilities& facilities,
                                            const internal::v1::ZygoteSpec& spec);

// The environment of a template: the few variables programs expect, then the template's own, which
// may replace them. Nothing of the spawner's.
std::map<std::string, std::string> GuestEnvironment(const internal::v1::ZygoteSpec& spec);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_SPAWNER_LAUNCH_H_
