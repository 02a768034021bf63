// Runs programs in clones of a warmed interpreter, in the file system of a real image but without
// confinement. Needs root, for the mounts.

#ifndef CLOISTER_TESTS_UNIT_SANDBOX_GUEST_GUEST_HARNESS_H_
#define CLOISTER_TESTS_UNIT_SANDBOX_GUEST_GUEST_HARNESS_H_

#include <sys/types.h>

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cloister/internal/v1/guest.pb.h"
#include "cloister/internal/v1/spawner.pb.h"
#include "sandbox/base/unique_fd.h"

namespace cloister::sandbox {

// What was seen of one clone.
struct GuestRun {
  std::optional<internal::v1::Finished> finished;
  std::string output;
  std::string error;
  int wait_code = 0;  // CLD_EXITED, CLD_KILLED or CLD_DUMPED
  int wait_status = 0;
  std::map<std::string, int64_t> ready_nanoseconds;
  int64_t run_nanoseconds = 0;  // program sent until answered
};

// Fails the current test on what goes wrong with itself.
class GuestHarness {
 public:
  enum class Pids {
    kDistinct,
    kSameInClones,    // all clones have pid 1, the zygote has not
    kSameAsInZygote,  // all have pid 1
  };

  struct Options {
    std::vector<std::string> warm_up_imports = {};
    // Source of one more module to import, after those.
    std::string warm_up_source = {};
    std::map<std::string, std::string> environment = {};
    Pids pids = Pids::kDistinct;
  };

  GuestHarness();
  explicit GuestHarness(const Options& options);
  GuestHarness(const GuestHarness&) = delete;
  GuestHarness& operator=(const GuestHarness&) = delete;
  ~GuestHarness();

  // What the zygote answered: ready or broken.
  const internal::v1::ZygoteEvent& start() const { return start_; }

  // The ends of a clone's descriptors that its host has, and how the clone ended.
  struct CloneEnds {
    UniqueFd channel, output, error;
  };

  // Makes a clone; one at a time. Then AwaitExit.
  CloneEnds StartClone();

  // Until the clone has exited.
  void AwaitExit(GuestRun* run);

  // The clone that runs, as this process sees it.
  pid_t ClonePid() const;

  // Runs one program in a new clone. `while_running` is called with the clone's first output, once.
  GuestRun Run(const internal::v1::RunProgram& request,
               const std::function<void(const std::string&)>& while_running = nullptr);
  GuestRun Run(const v1::Program& program);
  GuestRun Run(const std::string& code);

 private:
  void Start(const Options& options);

  pid_t pid_ = -1;
  UniqueFd control_;
  internal::v1::ZygoteEvent start_;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_TESTS_UNIT_SANDBOX_GUEST_GUEST_HARNESS_H_
