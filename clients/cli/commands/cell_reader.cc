#include "clients/cli/commands/cell_reader.h"

#include <cstddef>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace cloister::cli {
namespace {

// Goes over code and knows where it is.
class Scanner {
 public:
  void Scan(absl::string_view code) {
    for (size_t i = 0; i < code.size(); ++i) {
      const char c = code[i];
      if (!quote_.empty()) {
        if (c == '\\') {
          ++i;
        } else if (absl::StartsWith(code.substr(i), quote_)) {
          i += quote_.size() - 1;
          quote_.clear();
        } else if (c == '\n' && quote_.size() == 1) {
          quote_.clear();  // an error, which the interpreter tells
        }
      } else if (c == '#') {
        while (i + 1 < code.size() && code[i + 1] != '\n') ++i;
      } else if (c == '"' || c == '\'') {
        quote_ = std::string(3, c);
        if (!absl::StartsWith(code.substr(i), quote_)) quote_ = std::string(1, c);
        i += quote_.size() - 1;
      } else if (c == '(' || c == '[' || c == '{') {
        ++depth_;
      } else if (c == ')' || c == ']' || c == '}') {
        --depth_;
      }
    }
  }

  bool IsOpen() const { return depth_ > 0 || quote_.size() == 3; }

 private:
  std::string quote_;  // that a string ends with; empty outside of strings
  int depth_ = 0;
};

}  // namespace

bool IsOpenBlock(absl::string_view code) {
  std::vector<absl::string_view> lines = absl::StrSplit(code, '\n');
  if (lines.back().empty()) lines.pop_back();
  if (lines.empty() || absl::StripAsciiWhitespace(lines.back()).empty()) return false;
  const absl::string_view first = lines.front();
  return absl::EndsWith(absl::StripTrailingAsciiWhitespace(first), ":") ||
         absl::StartsWith(first, "@");
}

bool IsWholeInput(absl::string_view code) {
  Scanner scanner;
  scanner.Scan(code);
  if (scanner.IsOpen() || IsOpenBlock(code)) return false;
  return !absl::EndsWith(absl::StripSuffix(code, "\n"), "\\");
}

}  // namespace cloister::cli
