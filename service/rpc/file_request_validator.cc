#include "service/rpc/file_request_validator.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "sandbox/base/utf8.h"
#include "service/rpc/request_validator.h"
#include "service/rpc/violations.h"

namespace cloister::rpc {
namespace {

using internal::v1::PathInfo;

constexpr size_t kMaximumFilePathBytes = 4096;
constexpr int kDefaultPageSize = 100;
constexpr int kMaximumPageSize = 1000;
// Of a path that was listed, in base64.
constexpr size_t kMaximumTokenBytes = 8192;
constexpr char kForeignToken[] = "is not one that this server gave out for this directory";

enum class Empty { kRefused, kIsWorkspace };

void CheckPath(const std::string& path, Empty empty, Violations* violations) {
  if (path.empty() && empty == Empty::kIsWorkspace) return;
  const std::string_view problem =
      path.size() > kMaximumFilePathBytes ? "is longer than 4096 bytes" : PathPartsProblem(path);
  if (!problem.empty()) violations->Add("path", problem);
}

template <typename Request>
absl::Status CheckSandboxAndPath(const Request& request, Empty empty) {
  Violations violations;
  CheckName(request.sandbox(), "sandbox", &violations);
  CheckPath(request.path(), empty, &violations);
  return violations.ToStatus();
}

void CheckData(const v1::WriteFileRequest& request, Violations* violations) {
  if (request.data().size() > kMaximumWriteBytes) {
    violations->Add("data", absl::StrCat("is ", request.data().size(),
                                         " bytes; a message may have ", kMaximumWriteBytes));
  }
}

v1::FileInfo::Kind KindOf(PathInfo::Kind kind) {
  switch (kind) {
    case PathInfo::KIND_FILE:
      return v1::FileInfo::KIND_FILE;
    case PathInfo::KIND_DIRECTORY:
      return v1::FileInfo::KIND_DIRECTORY;
    case PathInfo::KIND_SYMBOLIC_LINK:
      return v1::FileInfo::KIND_SYMBOLIC_LINK;
    default:
      return v1::FileInfo::KIND_OTHER;
  }
}

}  // namespace

absl::Status CheckFirst(const v1::WriteFileRequest& request) {
  Violations violations;
  CheckName(request.sandbox(), "sandbox", &violations);
  CheckPath(request.path(), Empty::kRefused, &violations);
  CheckData(request, &violations);
  return violations.ToStatus();
}

absl::Status CheckNext(const v1::WriteFileRequest& request) {
  Violations violations;
  constexpr char kFirstOnly[] = "belongs into the first message only";
  if (!request.sandbox().empty()) violations.Add("sandbox", kFirstOnly);
  if (!request.path().empty()) violations.Add("path", kFirstOnly);
  if (request.executable()) violations.Add("executable", kFirstOnly);
  if (request.must_not_exist()) violations.Add("must_not_exist", kFirstOnly);
  if (request.make_parents()) violations.Add("make_parents", kFirstOnly);
  CheckData(request, &violations);
  return violations.ToStatus();
}

absl::Status Check(const v1::ReadFileRequest& request) {
  Violations violations;
  CheckName(request.sandbox(), "sandbox", &violations);
  CheckPath(request.path(), Empty::kRefused, &violations);
  if (request.offset() < 0) violations.Add("offset", "is negative");
  if (request.length() < 0) violations.Add("length", "is negative; 0 means to the end");
  return violations.ToStatus();
}

absl::Status Check(const v1::StatFileRequest& request) {
  return CheckSandboxAndPath(request, Empty::kIsWorkspace);
}

absl::Status Check(const v1::RemoveFileRequest& request) {
  return CheckSandboxAndPath(request, Empty::kRefused);
}

absl::Status Check(const v1::MakeDirectoryRequest& request) {
  return CheckSandboxAndPath(request, Empty::kRefused);
}

absl::StatusOr<internal::v1::ListPath> Check(const v1::ListFilesRequest& request) {
  Violations violations;
  CheckName(request.sandbox(), "sandbox", &violations);
  CheckPath(request.path(), Empty::kIsWorkspace, &violations);
  if (request.page_size() < 0) violations.Add("page_size", "is negative; 0 means 100");
  internal::v1::ListPath list;
  list.set_path(request.path());
  list.set_is_recursive(request.recursive());
  list.set_maximum_count(request.page_size() == 0
                             ? kDefaultPageSize
                             : std::min(request.page_size(), kMaximumPageSize));
  if (!request.page_token().empty()) {
    std::string after;
    const std::string prefix = request.path().empty() ? "" : request.path() + "/";
    if (request.page_token().size() > kMaximumTokenBytes ||
        !absl::WebSafeBase64Unescape(request.page_token(), &after) || after.empty() ||
        after.compare(0, prefix.size(), prefix) != 0) {
      violations.Add("page_token", kForeignToken);
    }
    list.set_after(after);
  }
  if (!violations.empty()) return violations.ToStatus();
  return list;
}

std::string PageTokenFor(std::string_view continue_after) {
  return absl::WebSafeBase64Escape(absl::string_view(continue_after.data(), continue_after.size()));
}

v1::FileInfo ToFileInfo(const PathInfo& info) {
  v1::FileInfo file;
  file.set_path(ToUtf8(info.path()));
  file.set_kind(KindOf(info.kind()));
  file.set_size_bytes(info.size_bytes());
  file.set_executable(info.is_executable());
  const int64_t nanoseconds = info.modify_time_nanoseconds();
  int64_t seconds = nanoseconds / 1'000'000'000;
  int64_t rest = nanoseconds % 1'000'000'000;
  if (rest < 0) {
    rest += 1'000'000'000;
    --seconds;
  }
  file.mutable_modify_time()->set_seconds(seconds);
  file.mutable_modify_time()->set_nanos(static_cast<int32_t>(rest));
  return file;
}

std::string ToUtf8(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  while (!bytes.empty()) {
    const size_t length = sandbox::Utf8CharacterBytes(bytes);
    if (length == 0) {
      text += "\xEF\xBF\xBD";
    } else {
      text += bytes.substr(0, length);
    }
    bytes.remove_prefix(std::max<size_t>(length, 1));
  }
  return text;
}

}  // namespace cloister::rpc
