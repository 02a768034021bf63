// The part of the zygote that has live sandboxes copied: see copier.h.

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "sandbox/base/status_macros.h"
#include "sandbox/base/syscall_status.h"
#include "sandbox/linux/process_memory.h"
#include "sandbox/zygote/zygote.h"

namespace cloister::sandbox {

using internal::v1::ZygoteEvent;

absl::Status Zygote::CopySandbox(const PendingClone& pending, const Init& init) {
  if (copier_ == nullptr) {
    return absl::UnimplementedError("without namespaces, sandboxes cannot be copied");
  }
  StageClock clock;
  clock.Begin("descriptors");
  CLOISTER_ASSIGN_OR_RETURN(const SandboxPipes pipes, SandboxPipes::Make());
  CLOISTER_ASSIGN_OR_RETURN(
      const SandboxCopier::Copy copy,
      copier_->CopySandbox(*pending.copy, init.Duplicate(), pipes.ForSandbox(), clock));
  children_[copy.shadow] = {pending.sandbox_id, Role::kShadow, pending.sandbox_id};
  // A snapshot's is its shadow.
  AddResident(copy.first_process, pending.sandbox_id, pending.sandbox_id, init.user);
  Cloned cloned;
  CLOISTER_ASSIGN_OR_RETURN(cloned.first_process, OpenPidfd(copy.first_process));
  if (copy.shadow != copy.first_process) {
    CLOISTER_ASSIGN_OR_RETURN(cloned.shadow, OpenPidfd(copy.shadow));
  }
  const absl::StatusOr<int64_t> memory = AnonymousMemoryBytes(copy.first_process);
  const absl::StatusOr<int64_t> own = AnonymousMemoryBytes(getpid());
  if (memory.ok() && own.ok()) cloned.memory_bytes = std::max<int64_t>(*memory - *own, 0);
  return TellCloned(pending, clock, cloned, init, pipes);
}

absl::Status Zygote::FinishCopy(int64_t sandbox_id) {
  if (copier_ == nullptr) return absl::OkStatus();
  const absl::StatusOr<bool> has_files = copier_->HasFilesToCopy(sandbox_id);
  if (!has_files.ok()) return FailCopy(sandbox_id, has_files.status());
  if (!*has_files) return ReleaseCopy(sandbox_id);
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return FailCopy(sandbox_id, SyscallError("pipe"));
  FileCopy copy = {sandbox_id, UniqueFd(ends[0])};
  const UniqueFd report(ends[1]);
  if (absl::Status status = copier_->GoHome(); !status.ok()) return FailCopy(sandbox_id, status);
  absl::StatusOr<CloneResult> clone = CloneProcess();
  if (!clone.ok()) return FailCopy(sandbox_id, clone.status());
  if (clone->in_child) _exit(copier_->CopyFiles(sandbox_id, report.get()));
  file_copies_.emplace(clone->pid, std::move(copy));
  return absl::OkStatus();
}

absl::Status Zygote::OnFilesCopied(const FileCopy& copy, bool succeeded) {
  if (succeeded) return ReleaseCopy(copy.sandbox_id);
  std::array<char, 512> text;
  const ssize_t size = read(copy.report.get(), text.data(), text.size());
  return FailCopy(copy.sandbox_id,
                  absl::InternalError(size > 0 ? std::string(text.data(), static_cast<size_t>(size))
                                               : "the copying of files died"));
}

absl::Status Zygote::ReleaseCopy(int64_t sandbox_id) {
  if (absl::Status status = copier_->Release(sandbox_id); !status.ok()) {
    return FailCopy(sandbox_id, status);
  }
  ZygoteEvent event;
  event.mutable_copy_finished()->set_sandbox_id(sandbox_id);
  return Send(event);
}

// The first process's end follows, as ever.
absl::Status Zygote::FailCopy(int64_t sandbox_id, const absl::Status& status) {
  (void)copier_->Forget(sandbox_id);
  return ReportCloneFailure(sandbox_id, std::string(status.message()));
}

}  // namespace cloister::sandbox
