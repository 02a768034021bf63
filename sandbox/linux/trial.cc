#include "sandbox/linux/trial.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>

#include "absl/strings/str_cat.h"
#include "sandbox/base/syscall_status.h"
#include "sandbox/base/unique_fd.h"

namespace cloister::sandbox {
namespace {

// An answer is one byte of status code and the message; pipes take that much at once.
constexpr size_t kMaxAnswerBytes = 4096;

[[noreturn]] void AnswerAndExit(int pipe, const absl::Status& status) {
  std::string answer(1, static_cast<char>(status.code()));
  absl::StrAppend(&answer, status.message().substr(0, kMaxAnswerBytes - 1));
  const ssize_t written = ::write(pipe, answer.data(), answer.size());
  ::_exit(written == static_cast<ssize_t>(answer.size()) ? 0 : 1);
}

// Empty where the child ended without one.
std::string ReadAnswer(int pipe) {
  std::array<char, kMaxAnswerBytes> answer;
  ssize_t count;
  do {
    count = ::read(pipe, answer.data(), answer.size());
  } while (count < 0 && errno == EINTR);
  return count > 0 ? std::string(answer.data(), static_cast<size_t>(count)) : std::string();
}

}  // namespace

absl::Status TryInChild(absl::FunctionRef<absl::Status()> attempt) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) < 0) return SyscallError("pipe2");
  const UniqueFd reader(ends[0]);
  UniqueFd writer(ends[1]);
  const pid_t pid = ::fork();
  if (pid < 0) return SyscallError("fork");
  if (pid == 0) AnswerAndExit(writer.get(), attempt());
  writer.reset();
  const std::string answer = ReadAnswer(reader.get());
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (answer.empty()) {
    return absl::InternalError(
        WIFSIGNALED(status) ? absl::StrCat("the attempt was killed by signal ", WTERMSIG(status))
                            : "the attempt ended without an answer");
  }
  return absl::Status(static_cast<absl::StatusCode>(answer[0]), answer.substr(1));
}

}  // namespace cloister::sandbox
