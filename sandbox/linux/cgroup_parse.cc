#include "sandbox/linux/cgroup_parse.h"

#include <limits>
#include <optional>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace cloister::sandbox {
namespace {

constexpr int64_t kUnlimited = std::numeric_limits<int64_t>::max();
// How much of a strange text an error shows.
constexpr size_t kShownBytes = 80;

absl::string_view ToAbsl(std::string_view text) { return {text.data(), text.size()}; }

absl::Status Strange(std::string_view what, absl::string_view text) {
  return absl::InvalidArgumentError(absl::StrCat(
      "not ", ToAbsl(what), ": \"", absl::CHexEscape(text.substr(0, kShownBytes)), "\""));
}

// Digits only: SimpleAtoi would take signs and white space.
std::optional<int64_t> DecimalOf(absl::string_view text) {
  if (text.empty() || text.find_first_not_of("0123456789") != absl::string_view::npos) {
    return std::nullopt;
  }
  int64_t number = 0;
  return absl::SimpleAtoi(text, &number) ? number : kUnlimited;
}

// mountinfo writes space, tab, line end and backslash as three octal digits.
std::string Unescape(absl::string_view field) {
  std::string text;
  for (size_t i = 0; i < field.size(); ++i) {
    const bool octal = field[i] == '\\' && i + 3 < field.size() && field[i + 1] >= '0' &&
                       field[i + 1] <= '3' && field[i + 2] >= '0' && field[i + 2] <= '7' &&
                       field[i + 3] >= '0' && field[i + 3] <= '7';
    if (!octal) {
      text.push_back(field[i]);
      continue;
    }
    const int code = (field[i + 1] - '0') * 64 + (field[i + 2] - '0') * 8 + (field[i + 3] - '0');
    text.push_back(static_cast<char>(code));
    i += 3;
  }
  return text;
}

}  // namespace

absl::StatusOr<int64_t> ParseCounter(std::string_view text) {
  absl::string_view line = ToAbsl(text);
  absl::ConsumeSuffix(&line, "\n");
  if (line == "max") return kUnlimited;
  const std::optional<int64_t> number = DecimalOf(line);
  if (!number) return Strange("a counter", line);
  return *number;
}

absl::StatusOr<int64_t> ParseKeyedCounter(std::string_view text, std::string_view key) {
  for (absl::string_view line : absl::StrSplit(ToAbsl(text), '\n')) {
    if (!absl::ConsumePrefix(&line, ToAbsl(key)) || !absl::ConsumePrefix(&line, " ")) continue;
    const std::optional<int64_t> number = DecimalOf(line);
    if (!number) return Strange(absl::StrCat("a count of ", ToAbsl(key)), line);
    return *number;
  }
  return Strange(absl::StrCat("a list with ", ToAbsl(key)), ToAbsl(text));
}

absl::StatusOr<int64_t> ParseOomKills(std::string_view text) {
  return ParseKeyedCounter(text, "oom_kill");
}

absl::StatusOr<std::vector<pid_t>> ParsePids(std::string_view text) {
  std::vector<pid_t> pids;
  for (const absl::string_view line : absl::StrSplit(ToAbsl(text), '\n', absl::SkipEmpty())) {
    const std::optional<int64_t> pid = DecimalOf(line);
    // 0 stands for a process of another pid namespace: nothing we could signal.
    if (!pid || *pid > std::numeric_limits<pid_t>::max()) return Strange("a list of pids", line);
    if (*pid > 0) pids.push_back(static_cast<pid_t>(*pid));
  }
  return pids;
}

std::vector<CgroupMount> ParseCgroupMounts(std::string_view mountinfo) {
  // 36 35 98:0 /root /mount/point rw,relatime [optional fields] - type source super,options
  std::vector<CgroupMount> mounts;
  for (const absl::string_view line : absl::StrSplit(ToAbsl(mountinfo), '\n', absl::SkipEmpty())) {
    const std::pair<absl::string_view, absl::string_view> halves =
        absl::StrSplit(line, absl::MaxSplits(" - ", 1));
    const std::vector<absl::string_view> mount = absl::StrSplit(halves.first, ' ');
    const std::vector<absl::string_view> source = absl::StrSplit(halves.second, ' ');
    if (mount.size() < 6 || source.size() < 3) continue;
    if (source[0] != "cgroup" && source[0] != "cgroup2") continue;
    CgroupMount found;
    found.unified = source[0] == "cgroup2";
    found.root = Unescape(mount[3]);
    found.mount_point = Unescape(mount[4]);
    // Options of the hierarchy that are no controllers (rw, name=systemd) match no controller's
    // name.
    if (!found.unified) found.controllers = absl::StrSplit(source[2], ',');
    mounts.push_back(std::move(found));
  }
  return mounts;
}

absl::StatusOr<std::string> ParseOwnCgroup(std::string_view proc_cgroup,
                                           std::string_view controller) {
  for (const absl::string_view line :
       absl::StrSplit(ToAbsl(proc_cgroup), '\n', absl::SkipEmpty())) {
    const std::vector<absl::string_view> fields = absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (fields.size() != 3) continue;
    if (controller.empty() && fields[0] == "0" && fields[1].empty()) return std::string(fields[2]);
    if (controller.empty()) continue;
    for (const absl::string_view name : absl::StrSplit(fields[1], ',')) {
      if (name == ToAbsl(controller)) return std::string(fields[2]);
    }
  }
  return absl::NotFoundError(
      absl::StrCat("this process is in no cgroup of ",
                   controller.empty() ? "the unified hierarchy" : ToAbsl(controller)));
}

std::string DirectoryOf(const CgroupMount& mount, std::string_view cgroup) {
  absl::string_view below = ToAbsl(cgroup);
  // A container sees a part of the hierarchy mounted, and its own path from the top or from that
  // part.
  if (mount.root != "/") absl::ConsumePrefix(&below, mount.root);
  while (absl::ConsumeSuffix(&below, "/")) {
  }
  while (absl::ConsumePrefix(&below, "/")) {
  }
  return below.empty() ? mount.mount_point : absl::StrCat(mount.mount_point, "/", below);
}

}  // namespace cloister::sandbox
