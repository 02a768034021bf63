// Drives a real cloister-spawner as cloisterd does, but one step at a time.

#ifndef CLOISTER_TESTS_INTEGRATION_SPAWNER_SPAWNER_CLIENT_H_
#define CLOISTER_TESTS_INTEGRATION_SPAWNER_SPAWNER_CLIENT_H_

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cloister/internal/v1/guest.pb.h"
#include "cloister/internal/v1/spawner.pb.h"
#include "sandbox/base/unique_fd.h"

namespace cloister::sandbox {

// One event with the descriptors that came beside it.
struct Received {
  internal::v1::SpawnerEvent event;
  std::vector<UniqueFd> descriptors;
};

// A sandbox as SandboxCreated describes it.
struct CreatedSandbox {
  int64_t id = 0;
  pid_t host_pid = 0;
  UniqueFd pidfd, channel, output, error;
  UniqueFd peak;
};

// Starts the spawner with its own socket, an image directory in a temporary directory, and stops it
// at its end. Every wait has a limit of some seconds and fails the test loudly.
class SpawnerClient {
 public:
  explicit SpawnerClient(const std::vector<std::string>& command_prefix = {});
  ~SpawnerClient();

  pid_t pid() const { return pid_; }
  const internal::v1::SpawnerReady& ready() const { return ready_; }

  void Send(const internal::v1::SpawnerRequest& request);
  // The next event, whatever it is.
  Received Next();
  // The next event of this kind; others that arrive before it are dropped.
  Received Next(internal::v1::SpawnerEvent::EventCase wanted);

  internal::v1::ZygoteSpec Spec() const;
  // Starts a zygote and answers ZygoteStarted or ZygoteFailed.
  Received StartZygote(int64_t id, const internal::v1::ZygoteSpec& spec);
  CreatedSandbox Create(int64_t sandbox_id, int64_t zygote_id, bool forkable = false);
  // Copies a sandbox that stands still; whichever event answers.
  Received Fork(int64_t parent_id, int64_t sandbox_id, bool snapshot = false);
  // The same with other limits, without waiting for the answer.
  void SendFork(int64_t parent_id, int64_t sandbox_id, const internal::v1::CgroupLimits& limits,
                int64_t workspace_bytes, bool snapshot = false);
  // Adds a process to a sandbox; whichever event answers.
  Received AddProcess(int64_t sandbox_id, int64_t process_id);
  void Signal(int64_t sandbox_id, int signal);
  void Kill(int64_t sandbox_id);
  internal::v1::SandboxExited WaitForExit(int64_t sandbox_id);

  // Closes our end of the socket, as a dying cloisterd does, and waits for the spawner's end.
  int Close();
  // Waits for the spawner's end after it was killed.
  int Wait();

 private:
  std::string directory_;
  pid_t pid_ = -1;
  UniqueFd socket_;
  internal::v1::SpawnerReady ready_;
};

// The descriptors of SandboxCreated, by name.
CreatedSandbox TakeCreated(Received received);

// Has a sandbox stand still, and go on.
void PrepareFork(const CreatedSandbox& sandbox);
void ResumeParent(const CreatedSandbox& sandbox);

// Hands a program to a sandbox that waits for one.
void RunProgram(const CreatedSandbox& sandbox, const std::string& code);
internal::v1::GuestFrame ReadGuestFrame(const CreatedSandbox& sandbox);
// Everything that comes until the end of the pipe, or the first `lines` lines.
std::string ReadLines(int fd, int lines);

// Every process below `root`, itself included, and its name.
std::vector<pid_t> ProcessTree(pid_t root);
std::string ProcessName(pid_t pid);
// What tells processes apart, as the kernel names it: a namespace (pid, mnt ...), the cgroups, a line of
// /proc/PID/status.
std::string NamespaceOf(pid_t pid, const char* name);
std::string CgroupOf(pid_t pid);
std::string StatusLine(pid_t pid, const std::string& name);
// A file of the process's cgroup, "pids.max" say, of version 1 or 2, without the end of its line.
std::string CgroupFile(pid_t pid, const std::string& controller, const std::string& file);
// Waits until none of them exists any more.
bool AllGone(const std::vector<pid_t>& pids);

}  // namespace cloister::sandbox

#endif  // CLOISTER_TESTS_INTEGRATION_SPAWNER_SPAWNER_CLIENT_H_
