#include "sandbox/spawner/keeper.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "sandbox/base/monotonic_time.h"
#include "sandbox/base/status_macros.h"
#include "sandbox/base/syscall_status.h"
#include "sandbox/linux/cgroup.h"
#include "sandbox/linux/clone.h"
#include "sandbox/linux/close_fds.h"
#include "sandbox/linux/remove_tree.h"
#include "sandbox/spawner/privileges.h"

namespace cloister::sandbox {
namespace {

// Zygotes die with the spawner, and sandboxes with them; this is for the kernel to see them out.
constexpr absl::Duration kPatience = absl::Seconds(10);
constexpr absl::Duration kBetweenAttempts = absl::Milliseconds(5);

// One that ends sooner counts as ended at its start; after some of these another is no help.
constexpr absl::Duration kShortestLife = absl::Seconds(1);
constexpr int kMostShortLives = 5;

// The top directory of a hierarchy is often not writable even for its owner; and what still lives
// in a group has another uid.
constexpr int kNeeded[] = {CAP_DAC_OVERRIDE, CAP_KILL};

// No sandbox has this for an id.
constexpr char kDiscarded[] = "/discarded";

// What dies may still write, so it may take more than one attempt.
absl::Status RemoveScratch(const std::string& path) {
  const int64_t deadline = MonotonicNanoseconds() + absl::ToInt64Nanoseconds(kPatience);
  for (;;) {
    absl::Status status = EmptyDirectory(path);
    if (status.ok() && (rmdir(path.c_str()) == 0 || errno == ENOENT)) return status;
    if (status.ok()) status = SyscallError(absl::StrCat("remove ", path));
    if (MonotonicNanoseconds() >= deadline) return status;
    absl::SleepFor(kBetweenAttempts);
  }
}

void Complain(const absl::Status& status) {
  if (!status.ok()) fprintf(stderr, "cloister-spawner: keeper: %s\n", status.ToString().c_str());
}

// Each byte tells of discarded directories; the end of the pipe, of the spawner's end.
void SweepUntilEnd(int lifeline, const std::string& scratch_directory) {
  for (;;) {
    std::array<char, 256> bytes;
    const ssize_t count = read(lifeline, bytes.data(), bytes.size());
    if (count == 0 || (count < 0 && errno != EINTR)) return;
    if (count > 0) Complain(EmptyDirectory(scratch_directory + kDiscarded));
  }
}

[[noreturn]] void RunKeeper(const std::vector<std::string>& cgroup_paths,
                            const std::string& scratch_directory, int lifeline) {
  prctl(PR_SET_NAME, "keeper", 0, 0, 0);
  absl::Status status = CloseAllExcept({STDERR_FILENO, lifeline});
  if (status.ok()) status = KeepOnlyCapabilities(kNeeded);
  if (status.ok()) SweepUntilEnd(lifeline, scratch_directory);
  if (status.ok() && !scratch_directory.empty()) Complain(RemoveScratch(scratch_directory));
  if (status.ok()) status = CgroupManager::RemoveTrees(cgroup_paths, kPatience);
  Complain(status);
  _exit(status.ok() ? 0 : 1);
}

}  // namespace

absl::StatusOr<std::string> MakeScratchDirectory() {
  const char* const parent = getenv("TMPDIR");
  std::string path =
      absl::StrCat(parent == nullptr || *parent != '/' ? "/tmp" : parent, "/cloister-XXXXXX");
  if (mkdtemp(path.data()) == nullptr) {
    return SyscallError(absl::StrCat("make the sandboxes' scratch directory ", path,
                                     " (TMPDIR may name another place)"));
  }
  if (mkdir((path + kDiscarded).c_str(), S_IRWXU) != 0) {
    absl::Status status = SyscallError(absl::StrCat("make a directory in ", path));
    rmdir(path.c_str());
    return status;
  }
  return path;
}

absl::StatusOr<Keeper> Keeper::Start(const std::vector<std::string>& cgroup_paths,
                                     std::string scratch_directory) {
  Keeper keeper(cgroup_paths, std::move(scratch_directory));
  CLOISTER_RETURN_IF_ERROR(keeper.StartProcess());
  return keeper;
}

absl::Status Keeper::StartProcess() {
  std::array<int, 2> ends;
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return SyscallError("pipe");
  UniqueFd lifeline(ends[0]);
  UniqueFd held(ends[1]);
  // A full pipe has enough to wake it.
  if (fcntl(held.get(), F_SETFL, O_NONBLOCK) != 0) return SyscallError("fcntl");
  CLOISTER_ASSIGN_OR_RETURN(CloneResult clone, CloneProcess());
  if (clone.in_child) RunKeeper(cgroup_paths_, scratch_directory_, lifeline.get());
  lifeline_ = std::move(held);
  process_ = std::move(clone.pidfd);
  started_ = MonotonicNanoseconds();
  return absl::OkStatus();
}

absl::Status Keeper::Restart() {
  (void)ReapPidfd(process_.get());
  process_.reset();
  const absl::Duration lived = absl::Nanoseconds(MonotonicNanoseconds() - started_);
  short_lives_ = lived < kShortestLife ? short_lives_ + 1 : 0;
  if (short_lives_ > kMostShortLives) {
    return absl::InternalError(
        "the keeper, which cleans up after the spawner, ends again and again");
  }
  return StartProcess();
}

Keeper::~Keeper() {
  if (!process_) return;
  lifeline_.reset();
  (void)ReapPidfd(process_.get());
}

void Keeper::Discard(int64_t sandbox_id) {
  if (scratch_directory_.empty()) return;
  const std::string from = absl::StrCat(scratch_directory_, "/", sandbox_id);
  const std::string to = absl::StrCat(scratch_directory_, kDiscarded, "/", sandbox_id);
  if (rename(from.c_str(), to.c_str()) != 0) return;
  (void)!write(lifeline_.get(), "", 1);
}

}  // namespace cloister::sandbox
