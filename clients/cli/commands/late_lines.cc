#include "clients/cli/commands/late_lines.h"

#include "absl/strings/str_cat.h"
#include "clients/cli/commands/outcome_text.h"

namespace cloister::cli {
namespace {

// A program that never ends its line would be kept whole otherwise.
constexpr size_t kMaximumLineBytes = size_t{64} << 10;

std::string Marked(const std::string& execution, absl::string_view line) {
  return absl::StrCat("late output of ", execution, ": ", line);
}

}  // namespace

std::vector<std::string> LateLines::Take(const v1::LateOutput& late) {
  std::vector<std::string> lines;
  std::string& begun = begun_[{late.execution(), late.written_case()}];
  if (late.has_stdout()) absl::StrAppend(&begun, late.stdout());
  if (late.has_stderr()) absl::StrAppend(&begun, late.stderr());
  if (late.has_display()) {
    const std::string text = DisplayText(late.display().bundle());
    const std::string forms = OtherForms(late.display().bundle());
    absl::StrAppend(&begun, text, text.empty() || forms.empty() ? "" : " ",
                    forms.empty() ? "" : absl::StrCat("(a display: ", forms, ")"), "\n");
  }
  size_t start = 0;
  for (size_t end; (end = begun.find('\n', start)) != begun.npos; start = end + 1) {
    lines.push_back(Marked(late.execution(), begun.substr(start, end - start)));
  }
  begun.erase(0, start);
  if (begun.size() >= kMaximumLineBytes) {
    lines.push_back(Marked(late.execution(), std::exchange(begun, "")));
  }
  return lines;
}

std::vector<std::string> LateLines::TakeRest() {
  std::vector<std::string> lines;
  for (const auto& [source, begun] : std::exchange(begun_, {})) {
    if (!begun.empty()) lines.push_back(Marked(source.first, begun));
  }
  return lines;
}

}  // namespace cloister::cli
