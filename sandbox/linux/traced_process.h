// ptrace(2) as a way to have a stopped process make system calls, one at a time and each approved.
//
// The process is never trusted: its memory, code included, may belong to somebody hostile. It is
// let run one instruction, by the processor's trap flag. Where that is no system call, it is lost.
// Where it is one, the process stops at its entry; number and arguments, as the kernel has them,
// and the memory that the arguments point to are compared with what was asked for; only then does
// the call happen, and the process stops again before its next instruction.
//
// Thread-safety: none; every call on the thread that became the tracer. Ownership: none of the
// process: it is the caller's child and the caller reaps it. Errors: those of the call, naming it;
// ABORTED where the process did something else than asked or is gone, DEADLINE_EXCEEDED where the
// kernel is not done with it in time; it is of no use then and should be killed (`IsLost`).

#ifndef CLOISTER_SANDBOX_LINUX_TRACED_PROCESS_H_
#define CLOISTER_SANDBOX_LINUX_TRACED_PROCESS_H_

#include <signal.h>
#include <sys/types.h>
#include <sys/user.h>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"

namespace cloister::sandbox {

// While it lives, waiting for a process to stop ends after `kStopPatience`, and every wait after
// `kPatience` in all: on a busy machine hundreds of stops take seconds, a process that hangs takes
// one for ever. And the calling thread and the processes it is told of share one processor: each
// step is then a switch and not a wake-up, which costs a fifth.
class TracingScope {
 public:
  static constexpr absl::Duration kStopPatience = absl::Seconds(2);
  static constexpr absl::Duration kPatience = absl::Seconds(10);

  TracingScope();
  TracingScope(const TracingScope&) = delete;
  TracingScope& operator=(const TracingScope&) = delete;
  ~TracingScope();

  // Puts a process on the scope's processor; what it clones inherits that.
  void Attract(pid_t pid) const;
  // Lets it run where this thread could before.
  void LetGo(pid_t pid) const;

 private:
  static constexpr size_t kMaxProcessors = 8192;
  using ProcessorSet = std::array<unsigned long, kMaxProcessors / (8 * sizeof(unsigned long))>;

  ProcessorSet before_ = {};
  ProcessorSet here_ = {};
  size_t set_bytes_ = 0;  // 0 where the kernel did not tell
  struct sigaction action_before_ = {};
};

class TracedProcess {
 public:
  TracedProcess() = default;
  // Of a process that is, or will be, stopped for the caller as its tracer.
  explicit TracedProcess(pid_t pid) : pid_(pid) {}

  pid_t pid() const { return pid_; }

  // Waits until it has stopped for the first time.
  absl::Status AwaitStop() const;

  // From here on the process dies with its tracer, and what it clones is traced and stopped from
  // the start.
  absl::Status Keep() const;

  using Arguments = std::array<uint64_t, 6>;
  // Memory of the process, and what it must hold.
  struct Memory {
    uint64_t address = 0;
    std::string_view bytes = {};
  };

  // Has it make a system call and returns what that returned. Negative results are errors, with
  // errno set. `pointed_to` is what the kernel will read through the arguments: memory that nobody
  // but stopped processes has, compared at the call's entry, when this one runs no more either.
  absl::StatusOr<int64_t> Call(std::string_view name, long number, const Arguments& arguments = {},
                               absl::Span<const Memory> pointed_to = {}) const;
  // Of a status of `Call`, or of any other here: not an error of the call, but of the process.
  static bool IsLost(const absl::Status& status) {
    return absl::IsAborted(status) || absl::IsDeadlineExceeded(status);
  }

  // Puts the instruction for `Call` back to where it was, whatever the process has there. Only in a
  // process whose memory nobody shares but stopped ones.
  absl::Status RestoreInstruction() const;

  // Writes to memory that nobody but stopped processes has, and reads from it.
  absl::Status Write(uint64_t address, std::string_view bytes) const;
  absl::StatusOr<std::string> Read(uint64_t address, size_t size) const;

  absl::StatusOr<user_regs_struct> Registers() const;

  // Lets it go, to run from `instruction` on with `argument` and this stack.
  absl::Status Release(uint64_t instruction, uint64_t stack, uint64_t argument) const;

 private:
  absl::Status Resume(std::string_view name) const;
  absl::Status AwaitCallStop(std::string_view name) const;
  absl::Status CheckEntry(std::string_view name, long number, const Arguments& arguments) const;
  absl::Status CheckMemory(std::string_view name, absl::Span<const Memory> pointed_to) const;
  absl::Status Lost(std::string_view name, std::string_view what) const;

  pid_t pid_ = 0;
};

// In a child, once: its parent is its tracer from here on. The next signal, or trap, stops it.
absl::Status BeTracedByParent();

// Clones the calling process, which must be traced, into one that shares its memory and signal
// handlers, and is a child of the caller's parent. The clone returns with its pid as it sees it
// registered for glibc. The caller stops for its tracer and never goes on by itself: the clone
// has its stack. `StoppedClonePid` reads the clone's pid, as the caller sees it, from the caller's
// registers. Errors: the kernel's.
absl::Status CloneSharingMemory();
pid_t StoppedClonePid(const user_regs_struct& registers);

// What a traced process is told to clone; see CloneSharingMemory.
TracedProcess::Arguments CopyArguments();
TracedProcess::Arguments SharingArguments();

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_LINUX_TRACED_PROCESS_H_
