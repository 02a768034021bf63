#include "clients/cli/commands/execution_view.h"

#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace cloister::cli {

bool WriteAll(int fd, absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return false;
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  return true;
}

void Complain(int fd, absl::string_view text) {
  std::string lines;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    absl::StrAppend(&lines, "cloister: ", line, "\n");
  }
  (void)WriteAll(fd, lines);  // nowhere left to complain to
}

bool ExecutionView::Show(const v1::ExecutionEvent& event) {
  switch (event.event_case()) {
    case v1::ExecutionEvent::kStarted:
      started_ = event.started();
      return true;
    case v1::ExecutionEvent::kStdout:
      return Take(fds_.out, event.stdout(), &stdout_);
    case v1::ExecutionEvent::kStderr:
      return Take(fds_.err, event.stderr(), &stderr_);
    case v1::ExecutionEvent::kFinished:
      finished_ = event.finished();
      return true;
    default:
      return true;
  }
}

bool ExecutionView::Take(int fd, const std::string& bytes, std::string* collected) {
  if (!collect_) return WriteAll(fd, bytes);
  collected->append(bytes);
  return true;
}

}  // namespace cloister::cli
