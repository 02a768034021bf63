#include "clients/cli/commands/execution_view.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "clients/cli/commands/exit_code.h"
#include "clients/cli/commands/value_text.h"

namespace cloister::cli {
namespace {

bool IsSameFile(int a, int b) {
  struct stat first, second;
  return ::fstat(a, &first) == 0 && ::fstat(b, &second) == 0 && first.st_dev == second.st_dev &&
         first.st_ino == second.st_ino;
}

}  // namespace

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

int OutputFailed(OutputFds fds) {
  Complain(fds.err, absl::StrCat("stdout: ", std::system_category().message(errno)));
  return kExitInputOutput;
}

ExecutionView::ExecutionView(OutputFds fds, bool collect)
    : fds_(fds), collect_(collect), is_one_place_(IsSameFile(fds.out, fds.err)) {}

bool ExecutionView::Show(const v1::ExecutionEvent& event) {
  switch (event.event_case()) {
    case v1::ExecutionEvent::kStarted:
      started_ = event.started();
      return true;
    case v1::ExecutionEvent::kStdout:
      if (!collect_) return Pass(fds_.out, event.stdout());
      collected_.out.append(event.stdout());
      return true;
    case v1::ExecutionEvent::kStderr:
      if (!collect_) return Pass(fds_.err, event.stderr());
      collected_.err.append(event.stderr());
      return true;
    case v1::ExecutionEvent::kDisplay:
      if (!collect_) return ShowDisplay(event.display());
      collected_.displays.push_back(event.display());
      return true;
    case v1::ExecutionEvent::kLateOutput:
      if (collect_) {
        AppendLate(event.late_output(), &collected_.late);
      } else {
        ShowLate(event.late_output());
      }
      return true;
    case v1::ExecutionEvent::kFinished:
      finished_ = event.finished();
      for (const std::string& line : late_lines_.TakeRest()) Tell(line);
      return true;
    default:  // taking output back is for screens
      return true;
  }
}

bool ExecutionView::ShowValue() {
  const v1::Outcome& outcome = finished_.outcome();
  if (!outcome.has_value()) return true;
  if (!outcome.value().clone_error().empty()) {
    Tell(absl::StrCat("the value is shown as text: ", outcome.value().clone_error()));
  }
  return Pass(fds_.out, absl::StrCat(out_is_open_ ? "\n" : "", ValueText(outcome.value()), "\n"));
}

void ExecutionView::Tell(absl::string_view text) {
  if (err_is_open_.exchange(false)) (void)WriteAll(fds_.err, "\n");
  Complain(fds_.err, text);
}

bool ExecutionView::Pass(int fd, absl::string_view bytes) {
  if (bytes.empty()) return true;
  const bool is_open = bytes.back() != '\n';
  if (fd == fds_.out) out_is_open_ = is_open;
  if (fd == fds_.err || is_one_place_) err_is_open_ = is_open;
  return WriteAll(fd, bytes);
}

bool ExecutionView::ShowDisplay(const v1::DisplayData& display) {
  const std::string text = DisplayText(display.bundle());
  const bool shown = text.empty() || Pass(fds_.out, absl::StrCat(text, "\n"));
  const int error = errno;
  if (const std::string forms = OtherForms(display.bundle()); !forms.empty()) {
    Tell(absl::StrCat("a display ", text.empty() ? "is " : "is also ", forms));
  }
  errno = error;
  return shown;
}

void ExecutionView::ShowLate(const v1::LateOutput& late) {
  for (const std::string& line : late_lines_.Take(late)) Tell(line);
}

}  // namespace cloister::cli
