#include "sandbox/linux/traced_process.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "sandbox/base/monotonic_time.h"
#include "sandbox/base/status_macros.h"
#include "sandbox/base/syscall_status.h"

#ifndef __x86_64__
#error "registers and instructions here are those of x86-64: add those of this machine"
#endif

// The instruction that traced processes are sent to, and the clone whose two sides share a stack.
// Below the clone its caller touches neither stack nor memory: all of it is the clone's.
extern "C" {
extern const char cloister_traced_call[];
long cloister_clone_and_trap(unsigned long flags, void* child_tid);
}
asm(R"(
    .text
    .globl cloister_traced_call
cloister_traced_call:
    syscall
    ud2
    .globl cloister_clone_and_trap
cloister_clone_and_trap:
    movq %rsi, %r10
    xorl %esi, %esi
    xorl %edx, %edx
    xorl %r8d, %r8d
    movl $56, %eax
    syscall
    testq %rax, %rax
    jle 1f
    movq %rax, %r12
    int3
    ud2
1:  ret
)");

namespace cloister::sandbox {
namespace {

constexpr uint32_t kX8664 = 0xc000003e;  // AUDIT_ARCH_X86_64
constexpr int kCallStop = SIGTRAP | 0x80;
// Of the flags register: a trap after the next instruction. The system call instruction clears it
// for the kernel, and only for that.
constexpr unsigned long long kTrapFlag = 0x100;
constexpr size_t kInstructionBytes = 4;  // syscall, ud2
constexpr unsigned long kOptions =
    PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK;
constexpr uint64_t kSharingFlags =
    CLONE_VM | CLONE_SIGHAND | CLONE_PARENT | CLONE_CHILD_SETTID | SIGCHLD;

static_assert(SYS_clone == 56);

absl::string_view ToAbsl(std::string_view text) { return {text.data(), text.size()}; }

// Of the scope there is, on MonotonicNanoseconds' clock; none: no alarm interrupts a wait.
int64_t scope_end = 0;

// Where glibc keeps the main thread's id.
void* CachedTidAddress() {
  void* address = nullptr;
  return prctl(PR_GET_TID_ADDRESS, &address, 0, 0, 0) == 0 ? address : nullptr;
}

uint64_t ToWord(const void* pointer) { return reinterpret_cast<uint64_t>(pointer); }

}  // namespace

TracingScope::TracingScope() {
  // Its only effect: a wait is interrupted. Again and again, lest the wait begins just after.
  struct sigaction action = {};
  action.sa_handler = [](int) {};
  sigaction(SIGALRM, &action, &action_before_);
  scope_end = MonotonicNanoseconds() + absl::ToInt64Nanoseconds(kPatience);
  const itimerval timer = {
      .it_interval = {.tv_sec = 0, .tv_usec = 100'000},
      .it_value = {.tv_sec = absl::ToInt64Seconds(kStopPatience), .tv_usec = 0}};
  setitimer(ITIMER_REAL, &timer, nullptr);

  unsigned int processor = 0;
  const long size = syscall(SYS_sched_getaffinity, 0, sizeof(before_), before_.data());
  if (size <= 0 || syscall(SYS_getcpu, &processor, nullptr, nullptr) != 0) return;
  constexpr unsigned int kBits = 8 * sizeof(unsigned long);
  here_[processor / kBits] = 1UL << (processor % kBits);
  set_bytes_ = static_cast<size_t>(size);
  Attract(0);
}

TracingScope::~TracingScope() {
  LetGo(0);
  const itimerval off = {};
  setitimer(ITIMER_REAL, &off, nullptr);
  sigaction(SIGALRM, &action_before_, nullptr);
}

void TracingScope::Attract(pid_t pid) const {
  if (set_bytes_ != 0) syscall(SYS_sched_setaffinity, pid, set_bytes_, here_.data());
}

void TracingScope::LetGo(pid_t pid) const {
  if (set_bytes_ != 0) syscall(SYS_sched_setaffinity, pid, set_bytes_, before_.data());
}

absl::Status TracedProcess::Lost(std::string_view name, std::string_view what) const {
  return absl::AbortedError(absl::StrCat("at ", ToAbsl(name), ": ", ToAbsl(what)));
}

absl::Status TracedProcess::AwaitStop() const {
  siginfo_t info = {};
  const int64_t end = std::min(
      scope_end, MonotonicNanoseconds() + absl::ToInt64Nanoseconds(TracingScope::kStopPatience));
  // A process that has ended is left for its parent to reap.
  while (waitid(P_PID, static_cast<id_t>(pid_), &info, WSTOPPED | WEXITED | WNOWAIT | __WALL) !=
         0) {
    if (errno == EINTR) {
      if (MonotonicNanoseconds() < end) continue;
      return absl::DeadlineExceededError("a traced process does not stop");
    }
    return Lost("wait", strerror(errno));
  }
  if (info.si_code != CLD_TRAPPED && info.si_code != CLD_STOPPED) {
    return absl::AbortedError("a traced process has ended");
  }
  if (waitid(P_PID, static_cast<id_t>(pid_), &info, WSTOPPED | WNOHANG | __WALL) != 0) {
    return Lost("wait", strerror(errno));
  }
  return absl::OkStatus();
}

absl::Status TracedProcess::Keep() const {
  if (ptrace(PTRACE_SETOPTIONS, pid_, nullptr, kOptions) != 0) {
    return SyscallError("PTRACE_SETOPTIONS");
  }
  return absl::OkStatus();
}

absl::StatusOr<user_regs_struct> TracedProcess::Registers() const {
  user_regs_struct registers;
  if (ptrace(PTRACE_GETREGS, pid_, nullptr, &registers) != 0) {
    return Lost("PTRACE_GETREGS", "it is gone");
  }
  return registers;
}

absl::Status TracedProcess::Resume(std::string_view name) const {
  if (ptrace(PTRACE_SYSCALL, pid_, nullptr, nullptr) != 0) return Lost(name, "it is gone");
  return absl::OkStatus();
}

// Through the stops that say that a child was cloned.
absl::Status TracedProcess::AwaitCallStop(std::string_view name) const {
  for (;;) {
    CLOISTER_RETURN_IF_ERROR(AwaitStop());
    siginfo_t info = {};
    if (ptrace(PTRACE_GETSIGINFO, pid_, nullptr, &info) != 0) return Lost(name, "it is gone");
    if (info.si_code == kCallStop) return absl::OkStatus();
    const bool is_clone = info.si_code == (SIGTRAP | PTRACE_EVENT_CLONE << 8) ||
                          info.si_code == (SIGTRAP | PTRACE_EVENT_FORK << 8);
    if (!is_clone) return Lost(name, "the process took another way");
    CLOISTER_RETURN_IF_ERROR(Resume(name));
  }
}

absl::Status TracedProcess::CheckEntry(std::string_view name, long number,
                                       const Arguments& arguments) const {
  __ptrace_syscall_info info = {};
  if (ptrace(PTRACE_GET_SYSCALL_INFO, pid_, sizeof(info), &info) <= 0) {
    return Lost(name, "it is gone");
  }
  bool same = info.op == PTRACE_SYSCALL_INFO_ENTRY && info.arch == kX8664 &&
              info.entry.nr == static_cast<uint64_t>(number);
  for (size_t i = 0; i < arguments.size(); ++i) {
    same = same && info.entry.args[i] == arguments[i];
  }
  return same ? absl::OkStatus() : Lost(name, "the process wanted another system call");
}

absl::Status TracedProcess::CheckMemory(std::string_view name,
                                        absl::Span<const Memory> pointed_to) const {
  for (const Memory& memory : pointed_to) {
    const absl::StatusOr<std::string> found = Read(memory.address, memory.bytes.size());
    if (!found.ok() || *found != memory.bytes) {
      return Lost(name, "the process changed what the call would read");
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<int64_t> TracedProcess::Call(std::string_view name, long number,
                                            const Arguments& arguments,
                                            absl::Span<const Memory> pointed_to) const {
  CLOISTER_ASSIGN_OR_RETURN(user_regs_struct registers, Registers());
  registers.rip = ToWord(cloister_traced_call);
  registers.rax = static_cast<uint64_t>(number);
  registers.orig_rax = ~uint64_t{0};  // nothing to restart
  registers.rdi = arguments[0];
  registers.rsi = arguments[1];
  registers.rdx = arguments[2];
  registers.r10 = arguments[3];
  registers.r8 = arguments[4];
  registers.r9 = arguments[5];
  registers.eflags |= kTrapFlag;
  if (ptrace(PTRACE_SETREGS, pid_, nullptr, &registers) != 0) return Lost(name, "it is gone");
  CLOISTER_RETURN_IF_ERROR(Resume(name));
  CLOISTER_RETURN_IF_ERROR(AwaitCallStop(name));
  CLOISTER_RETURN_IF_ERROR(CheckEntry(name, number, arguments));
  CLOISTER_RETURN_IF_ERROR(CheckMemory(name, pointed_to));
  CLOISTER_RETURN_IF_ERROR(Resume(name));
  CLOISTER_RETURN_IF_ERROR(AwaitCallStop(name));
  CLOISTER_ASSIGN_OR_RETURN(registers, Registers());
  const auto result = static_cast<int64_t>(registers.rax);
  if (result >= 0 || result < -4095) return result;
  errno = static_cast<int>(-result);
  return SyscallError(name);
}

absl::Status TracedProcess::Write(uint64_t address, std::string_view bytes) const {
  // Word by word, as it is little. /proc/PID/mem belongs to a root whom a rootless user namespace
  // does not have, and process_vm_writev is refused by the filter that the tracer has for its
  // clones.
  while (!bytes.empty()) {
    long word = 0;
    const size_t size = std::min(bytes.size(), sizeof(word));
    if (size < sizeof(word)) {
      errno = 0;
      word = ptrace(PTRACE_PEEKDATA, pid_, address, nullptr);
      if (errno != 0) return SyscallError("read the memory of a traced process");
    }
    std::memcpy(&word, bytes.data(), size);
    if (ptrace(PTRACE_POKEDATA, pid_, address, word) != 0) {
      return SyscallError("write to the memory of a traced process");
    }
    address += size;
    bytes.remove_prefix(size);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> TracedProcess::Read(uint64_t address, size_t size) const {
  std::string bytes;
  while (bytes.size() < size) {
    errno = 0;
    const long word = ptrace(PTRACE_PEEKDATA, pid_, address + bytes.size(), nullptr);
    if (errno != 0) return SyscallError("read the memory of a traced process");
    bytes.append(reinterpret_cast<const char*>(&word), std::min(size - bytes.size(), sizeof(word)));
  }
  return bytes;
}

absl::Status TracedProcess::RestoreInstruction() const {
  return Write(ToWord(cloister_traced_call), {cloister_traced_call, kInstructionBytes});
}

absl::Status TracedProcess::Release(uint64_t instruction, uint64_t stack, uint64_t argument) const {
  CLOISTER_ASSIGN_OR_RETURN(user_regs_struct registers, Registers());
  registers.rip = instruction;
  registers.rsp = stack;
  registers.rbp = 0;
  registers.rdi = argument;
  registers.orig_rax = ~uint64_t{0};
  registers.eflags &= ~kTrapFlag;
  if (ptrace(PTRACE_SETREGS, pid_, nullptr, &registers) != 0 ||
      ptrace(PTRACE_DETACH, pid_, nullptr, nullptr) != 0) {
    return Lost("release", "it is gone");
  }
  return absl::OkStatus();
}

absl::Status BeTracedByParent() {
  if (ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) {
    return SyscallError("PTRACE_TRACEME (kernel.yama.ptrace_scope below 3 is needed)");
  }
  return absl::OkStatus();
}

absl::Status CloneSharingMemory() {
  void* const tid_address = CachedTidAddress();
  // What the kernel would clear when the caller dies is the clone's.
  syscall(SYS_set_tid_address, nullptr);
  const long result = cloister_clone_and_trap(kSharingFlags, tid_address);
  if (result == 0) return absl::OkStatus();
  errno = static_cast<int>(-result);
  return SyscallError("clone a process that shares memory");
}

pid_t StoppedClonePid(const user_regs_struct& registers) {
  return static_cast<pid_t>(registers.r12);
}

TracedProcess::Arguments CopyArguments() { return {CLONE_PARENT | SIGCHLD}; }

TracedProcess::Arguments SharingArguments() {
  return {kSharingFlags, 0, 0, ToWord(CachedTidAddress())};
}

}  // namespace cloister::sandbox
