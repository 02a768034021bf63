// What this machine offers for isolation, found by trying: each layer is set up for real in a child
// process that then exits. Run once, at start, by the single-threaded spawner.

#ifndef CLOISTER_SANDBOX_LINUX_FEATURE_PROBE_H_
#define CLOISTER_SANDBOX_LINUX_FEATURE_PROBE_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "cloister/internal/v1/spawner.pb.h"
#include "sandbox/linux/cgroup.h"

namespace cloister::sandbox {

// Every layer, in the order in which they are applied, available or not. An unavailable one has in
// `detail` why, and the remedy. `cgroups` is what CgroupManager::Create answered.
//
// The setting is ROOT where this process has CAP_SYS_ADMIN, ROOTLESS where it has not but may make
// a user namespace, CONTAINER otherwise.
//
// Forks: call it while the process has one thread.
internal::v1::Facilities ProbeFacilities(
    const absl::StatusOr<std::unique_ptr<CgroupManager>>& cgroups);

// Names of all layers, in order.
absl::Span<const std::string_view> LayerNames();

// The floor where the configuration names none.
//
// ROOT: every layer but landlock_scope, which needs Linux 6.12 and which the pid and network
// namespaces make a second wall. ROOTLESS: that, less the cgroup layers, which need delegation.
// CONTAINER: as ROOTLESS, which such a machine cannot reach: running without namespaces has to be
// asked for.
std::vector<std::string> DefaultFloor(internal::v1::Facilities::Setting setting);

// Those of `required` that are not available, as "NAME: detail"; a name that is no layer is
// missing as well.
std::vector<std::string> MissingFromFloor(const internal::v1::Facilities& facilities,
                                          absl::Span<const std::string> required);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_LINUX_FEATURE_PROBE_H_
