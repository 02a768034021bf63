#include "sandbox/host/file_reply.h"

#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "sandbox/base/status_macros.h"

namespace cloister::sandbox {
namespace {

using internal::v1::FileReply;
using internal::v1::FileRequest;
using internal::v1::ListPath;
using internal::v1::PathInfo;

constexpr int kMaxErrno = 4095;
constexpr size_t kMaxNameBytes = 255;

absl::Status Broken(std::string_view what) {
  return absl::DataLossError(absl::StrCat("the process of the sandbox's files answered with ",
                                          absl::string_view(what.data(), what.size())));
}

bool IsName(std::string_view name) {
  return !name.empty() && name.size() <= kMaxNameBytes && name != "." && name != "..";
}

// Names with slashes between them. Bytes: the guest chose them.
bool IsPath(std::string_view path) {
  if (path.size() > kMaxReplyPathBytes || path.find('\0') != path.npos) return false;
  for (size_t begin = 0;;) {
    const size_t slash = path.find('/', begin);
    if (!IsName(path.substr(begin, slash == path.npos ? slash : slash - begin))) return false;
    if (slash == path.npos) return true;
    begin = slash + 1;
  }
}

absl::Status CheckInfo(const PathInfo& info) {
  if (info.kind() == PathInfo::KIND_UNSPECIFIED || !PathInfo::Kind_IsValid(info.kind())) {
    return Broken("a kind that is none");
  }
  const bool is_file = info.kind() == PathInfo::KIND_FILE;
  if (info.size_bytes() < 0 || (!is_file && (info.size_bytes() > 0 || info.is_executable()))) {
    return Broken("a size that cannot be");
  }
  return absl::OkStatus();
}

// Whether `path` lies in the directory that was listed.
bool IsListed(const ListPath& request, std::string_view path) {
  const std::string prefix = request.path().empty() ? "" : absl::StrCat(request.path(), "/");
  if (!IsPath(path) || path.substr(0, prefix.size()) != prefix) return false;
  return request.is_recursive() || path.find('/', prefix.size()) == path.npos;
}

absl::Status CheckList(const ListPath& request, const FileReply& reply) {
  if (reply.infos_size() > request.maximum_count()) return Broken("more than was asked for");
  std::string_view previous = request.after();
  for (const PathInfo& info : reply.infos()) {
    CLOISTER_RETURN_IF_ERROR(CheckInfo(info));
    if (!IsListed(request, info.path())) return Broken("a path that was not asked for");
    if (info.path() <= previous) return Broken("paths out of order");
    previous = info.path();
  }
  if (!reply.is_partial()) {
    return reply.continue_after().empty() ? absl::OkStatus() : Broken("an end and a continuation");
  }
  const bool goes_on = IsListed(request, reply.continue_after()) &&
                       reply.continue_after() > request.after() &&
                       reply.continue_after() >= previous;
  return goes_on ? absl::OkStatus() : Broken("a list that does not go on");
}

// One that tells of the path it was asked about.
absl::Status CheckOne(const std::string& path, const FileReply& reply) {
  if (reply.infos_size() != 1) return Broken("not one path");
  // Where a file was opened by its handle, the path is not known here.
  if (!path.empty() && reply.infos(0).path() != path) return Broken("another path");
  if (!reply.infos(0).path().empty() && !IsPath(reply.infos(0).path())) return Broken("no path");
  return CheckInfo(reply.infos(0));
}

absl::Status CheckFile(const std::string& path, const FileReply& reply) {
  CLOISTER_RETURN_IF_ERROR(CheckOne(path, reply));
  return reply.infos(0).kind() == PathInfo::KIND_FILE ? absl::OkStatus() : Broken("no file");
}

// Fields that only some requests are answered with.
absl::Status CheckFields(const FileRequest& request, const FileReply& reply) {
  const bool is_list = request.has_list();
  const bool has_infos = is_list || request.has_stat() || request.has_open_to_read() ||
                         request.has_commit() || request.has_make_directory();
  if (!has_infos && reply.infos_size() > 0) return Broken("paths nobody asked for");
  if (!request.has_read_part() && !reply.data().empty()) return Broken("data nobody asked for");
  if (!is_list && !reply.continue_after().empty()) return Broken("a list nobody asked for");
  if (!is_list && !request.has_remove() && reply.is_partial()) return Broken("half an answer");
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckFileReply(const FileRequest& request, const FileReply& reply) {
  if (reply.number() != request.number()) return Broken("another number");
  if (reply.error_number() < 0 || reply.error_number() > kMaxErrno) return Broken("no error");
  if (reply.error_number() != 0) {
    const bool is_bare = reply.infos_size() == 0 && reply.data().empty() && !reply.is_partial() &&
                         reply.continue_after().empty();
    return is_bare ? absl::OkStatus() : Broken("an error and a result");
  }
  CLOISTER_RETURN_IF_ERROR(CheckFields(request, reply));
  switch (request.request_case()) {
    case FileRequest::kReadPart:
      return static_cast<int64_t>(reply.data().size()) <= request.read_part().length()
                 ? absl::OkStatus()
                 : Broken("more data than was asked for");
    case FileRequest::kList:
      return CheckList(request.list(), reply);
    case FileRequest::kStat:
      return CheckOne(request.stat().path(), reply);
    case FileRequest::kOpenToRead:
      return CheckFile(request.open_to_read().path(), reply);
    case FileRequest::kCommit:
      return CheckFile("", reply);
    case FileRequest::kMakeDirectory:
      return CheckOne(request.make_directory().path(), reply);
    default:
      return absl::OkStatus();
  }
}

}  // namespace cloister::sandbox
