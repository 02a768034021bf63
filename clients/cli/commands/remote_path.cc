#include "clients/cli/commands/remote_path.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace cloister::cli {
namespace {

constexpr char kWorkspace[] = "/workspace";

}  // namespace

absl::StatusOr<std::string> RemotePath(const std::string& text) {
  absl::string_view path = text;
  const bool is_below = path == kWorkspace || absl::StartsWith(path, absl::StrCat(kWorkspace, "/"));
  if (is_below) path = absl::StripPrefix(path, kWorkspace);
  if (!is_below && absl::StartsWith(path, "/")) {
    return absl::InvalidArgumentError(absl::StrCat(
        text, ": is outside of /workspace; paths are relative to it, and . is all of it"));
  }
  std::vector<absl::string_view> parts;
  for (const absl::string_view part : absl::StrSplit(path, '/', absl::SkipEmpty())) {
    if (part == "..") return absl::InvalidArgumentError(absl::StrCat(text, ": has a .. in it"));
    if (part != ".") parts.push_back(part);
  }
  return absl::StrJoin(parts, "/");
}

absl::Status NormalizeRemotePaths(std::vector<std::string>* paths) {
  for (std::string& path : *paths) {
    absl::StatusOr<std::string> normal = RemotePath(path);
    if (!normal.ok()) return normal.status();
    path = *std::move(normal);
  }
  return absl::OkStatus();
}

}  // namespace cloister::cli
