#include "sandbox/files/file_server.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "sandbox/files/list_directory.h"
#include "sandbox/files/remove_beneath.h"

namespace cloister::sandbox {
namespace {

using internal::v1::FileReply;
using internal::v1::FileRequest;
using internal::v1::OpenFileToWrite;
using internal::v1::PathInfo;

// Whether a file may be put at `place`, as far as can be known before it is.
int CheckTarget(const Place& place, bool must_not_exist) {
  PathInfo there;
  const int error = Look(place, &there);
  if (error == ENOENT) return 0;
  if (error != 0) return error;
  if (must_not_exist) return EEXIST;
  switch (there.kind()) {
    case PathInfo::KIND_FILE:
      return 0;
    case PathInfo::KIND_DIRECTORY:
      return EISDIR;
    case PathInfo::KIND_SYMBOLIC_LINK:
      return ELOOP;
    default:
      return ENXIO;
  }
}

// Gives a file that has none a name in `directory`. EEXIST where something has it.
int NameFile(int file, int directory, const char* name) {
  if (linkat(file, "", directory, name, AT_EMPTY_PATH) == 0) return 0;
  if (errno != ENOENT && errno != EPERM) return errno;
  // Before Linux 6.10 that was a privilege; this is for everybody's own descriptors.
  const std::string own = absl::StrCat("/proc/self/fd/", file);
  return linkat(AT_FDCWD, own.c_str(), directory, name, AT_SYMLINK_FOLLOW) == 0 ? 0 : errno;
}

// Puts `file` at a place where something is, in one step for everybody who looks. What it is
// replaced through is the host's to clean up, should this process end in between.
int Replace(int file, const Place& place, int64_t handle) {
  const int directory = place.directory.get();
  const std::string passing = absl::StrCat(".cloister-", handle);
  int error = NameFile(file, directory, passing.c_str());
  if (error == EEXIST && unlinkat(directory, passing.c_str(), 0) == 0) {
    error = NameFile(file, directory, passing.c_str());
  }
  if (error != 0) return error;
  if (renameat(directory, passing.c_str(), directory, place.name.c_str()) == 0) return 0;
  error = errno;
  unlinkat(directory, passing.c_str(), 0);
  return error;
}

}  // namespace

FileReply FileServer::Answer(const FileRequest& request) {
  FileReply reply;
  const int error = Serve(request, &reply);
  if (error != 0) reply.Clear();
  reply.set_number(request.number());
  reply.set_error_number(error);
  return reply;
}

int FileServer::Serve(const FileRequest& request, FileReply* reply) {
  switch (request.request_case()) {
    case FileRequest::kOpenToRead:
      return OpenToRead(request.open_to_read(), reply);
    case FileRequest::kReadPart:
      return Read(request.read_part(), reply);
    case FileRequest::kOpenToWrite:
      return OpenToWrite(request.open_to_write());
    case FileRequest::kWritePart:
      return Write(request.write_part());
    case FileRequest::kCommit:
      return Commit(request.commit().handle(), reply);
    case FileRequest::kClose:
      return files_.erase(request.close().handle()) == 1 ? 0 : EBADF;
    case FileRequest::kStat:
      return Stat(request.stat().path(), reply);
    case FileRequest::kList:
      return ListBeneath(root_.get(), request.list(), reply);
    case FileRequest::kRemove:
      return RemoveBeneath(root_.get(), request.remove(), reply);
    case FileRequest::kMakeDirectory:
      return MakeDirectory(request.make_directory(), reply);
    case FileRequest::REQUEST_NOT_SET:
      break;
  }
  return EINVAL;
}

int FileServer::CheckHandle(int64_t handle) const {
  if (files_.count(handle) != 0) return EINVAL;
  return files_.size() < kMaxOpenFiles ? 0 : EMFILE;
}

int FileServer::OpenToRead(const internal::v1::OpenFileToRead& request, FileReply* reply) {
  if (const int error = CheckHandle(request.handle())) return error;
  UniqueFd fd;
  // Not blocking: what is there may be a pipe by now, whatever it was.
  constexpr int kFlags = O_RDONLY | O_NONBLOCK | O_NOCTTY;
  if (const int error = OpenBeneath(root_.get(), request.path(), kFlags, &fd)) return error;
  struct stat status;
  if (fstat(fd.get(), &status) != 0) return errno;
  if (S_ISDIR(status.st_mode)) return EISDIR;
  if (!S_ISREG(status.st_mode)) return ENXIO;
  PathInfo* info = reply->add_infos();
  info->set_path(request.path());
  Describe(status, info);
  files_[request.handle()].fd = std::move(fd);
  return 0;
}

int FileServer::Read(const internal::v1::ReadFilePart& request, FileReply* reply) {
  const auto found = files_.find(request.handle());
  if (found == files_.end() || found->second.is_written) return EBADF;
  if (request.offset() < 0 || request.length() < 0) return EINVAL;
  // No file is as long as that, and the kernel would not count so far.
  if (request.offset() > INT64_MAX - static_cast<int64_t>(kMaxFilePartBytes)) return 0;
  std::string& data = *reply->mutable_data();
  data.resize(std::min(static_cast<size_t>(request.length()), kMaxFilePartBytes));
  size_t filled = 0;
  while (filled < data.size()) {
    const ssize_t count = pread(found->second.fd.get(), data.data() + filled, data.size() - filled,
                                request.offset() + static_cast<off_t>(filled));
    if (count == 0) break;
    if (count > 0) filled += static_cast<size_t>(count);
    if (count < 0 && errno != EINTR) return errno;
  }
  data.resize(filled);
  return 0;
}

int FileServer::OpenToWrite(const OpenFileToWrite& request) {
  if (const int error = CheckHandle(request.handle())) return error;
  Place place;
  if (const int error = FindPlace(root_.get(), request.path(), request.make_parents(), &place)) {
    return error;
  }
  if (const int error = CheckTarget(place, request.must_not_exist())) return error;
  const mode_t mode = request.is_executable() ? 0755 : 0644;
  UniqueFd fd(openat(place.directory.get(), ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, mode));
  if (!fd) return errno;
  OpenFile& file = files_[request.handle()];
  file.fd = std::move(fd);
  file.target = request;
  file.is_written = true;
  return 0;
}

int FileServer::Write(const internal::v1::WriteFilePart& request) {
  const auto found = files_.find(request.handle());
  if (found == files_.end() || !found->second.is_written) return EBADF;
  std::string_view left = request.data();
  if (left.size() > kMaxFilePartBytes) return EINVAL;
  while (!left.empty()) {
    const ssize_t count = write(found->second.fd.get(), left.data(), left.size());
    if (count >= 0) {
      left.remove_prefix(static_cast<size_t>(count));
    } else if (errno != EINTR) {
      return errno;
    }
  }
  return 0;
}

int FileServer::Commit(int64_t handle, FileReply* reply) {
  auto node = files_.extract(handle);
  if (node.empty() || !node.mapped().is_written) return EBADF;
  const OpenFile& file = node.mapped();
  const OpenFileToWrite& target = file.target;
  // Found anew: the directory may be another by now.
  Place place;
  if (const int error = FindPlace(root_.get(), target.path(), target.make_parents(), &place)) {
    return error;
  }
  if (const int error = CheckTarget(place, target.must_not_exist())) return error;
  int error = NameFile(file.fd.get(), place.directory.get(), place.name.c_str());
  if (error == EEXIST && !target.must_not_exist()) error = Replace(file.fd.get(), place, handle);
  if (error != 0) return error;
  struct stat status;
  if (fstat(file.fd.get(), &status) != 0) return errno;
  PathInfo* info = reply->add_infos();
  info->set_path(target.path());
  Describe(status, info);
  return 0;
}

int FileServer::Stat(const std::string& path, FileReply* reply) {
  Place place;
  PathInfo* info = reply->add_infos();
  info->set_path(path);
  if (path.empty()) {
    place.directory.reset(fcntl(root_.get(), F_DUPFD_CLOEXEC, 0));
    return place.directory ? Look(place, info) : errno;
  }
  const int error = FindPlace(root_.get(), path, false, &place);
  return error != 0 ? error : Look(place, info);
}

int FileServer::MakeDirectory(const internal::v1::MakeDirectory& request, FileReply* reply) {
  Place place;
  if (const int error = FindPlace(root_.get(), request.path(), request.make_parents(), &place)) {
    return error;
  }
  if (mkdirat(place.directory.get(), place.name.c_str(), 0755) != 0 && errno != EEXIST) {
    return errno;
  }
  PathInfo* info = reply->add_infos();
  info->set_path(request.path());
  if (const int error = Look(place, info)) return error;
  return info->kind() == PathInfo::KIND_DIRECTORY ? 0 : EEXIST;
}

}  // namespace cloister::sandbox
