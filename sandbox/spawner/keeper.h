// A process that removes what the kernel would keep for ever: the spawner's cgroups, if the spawner
// is killed and cannot (cloisterd has not the privilege), and the files of sandboxes without mounts
// of their own.

#ifndef CLOISTER_SANDBOX_SPAWNER_KEEPER_H_
#define CLOISTER_SANDBOX_SPAWNER_KEEPER_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "sandbox/base/unique_fd.h"

namespace cloister::sandbox {

// A new directory below $TMPDIR or /tmp that only its owner may enter. Each sandbox has a directory
// in it, named by its id.
absl::StatusOr<std::string> MakeScratchDirectory();

// Thread-safety: none. Destroying it lets the process remove what is left, and waits for that.
class Keeper {
 public:
  // Clones a process that sleeps, with almost no capabilities, until this object or its process
  // ends; then it removes `cgroup_paths` and `scratch_directory` (empty: none). Where they are gone
  // already it just ends.
  static absl::StatusOr<Keeper> Start(const std::vector<std::string>& cgroup_paths,
                                      std::string scratch_directory);

  Keeper(Keeper&&) = default;
  Keeper& operator=(Keeper&&) = delete;
  ~Keeper();

  // Readable when the process has ended, which it should not before this object.
  int process() const { return process_.get(); }
  // Starts another process in place of one that has ended. Errors: also where one after another
  // ended at its start.
  absl::Status Restart();

  const std::string& scratch_directory() const { return scratch_directory_; }

  // Takes a sandbox's directory out of use at once; removing what is in it, which may be a lot, is
  // left to the process. Does nothing where there is none.
  void Discard(int64_t sandbox_id);

 private:
  Keeper(std::vector<std::string> cgroup_paths, std::string scratch_directory)
      : cgroup_paths_(std::move(cgroup_paths)), scratch_directory_(std::move(scratch_directory)) {}

  absl::Status StartProcess();

  std::vector<std::string> cgroup_paths_;
  std::string scratch_directory_;
  int64_t started_ = 0;  // monotonic nanoseconds
  int short_lives_ = 0;
  UniqueFd lifeline_;
  UniqueFd process_;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_SPAWNER_KEEPER_H_
