// What the host makes of the answers of a sandbox's file process: one that is believed is what was
// asked for.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "google/protobuf/stubs/logging.h"
#include "sandbox/host/file_reply.h"
#include "sandbox/host/guest_frame.h"

namespace {

using cloister::internal::v1::FileReply;
using cloister::internal::v1::FileRequest;

FileRequest ListOf(const std::string& path, bool recursive, const std::string& after) {
  FileRequest request;
  request.mutable_list()->set_path(path);
  request.mutable_list()->set_is_recursive(recursive);
  request.mutable_list()->set_after(after);
  request.mutable_list()->set_maximum_count(5);
  return request;
}

// Holds of every list that is accepted.
void CheckList(const FileRequest& request, const FileReply& reply) {
  if (!cloister::sandbox::CheckFileReply(request, reply).ok() || reply.error_number() != 0) return;
  if (reply.infos_size() > 5 || !reply.data().empty()) std::abort();
  std::string previous = request.list().after();
  for (const auto& info : reply.infos()) {
    const std::string& path = info.path();
    if (path <= previous || path.front() == '/' || path.back() == '/') std::abort();
    if (path.find("//") != path.npos || ("/" + path + "/").find("/../") != path.npos) std::abort();
    previous = path;
  }
  if (reply.is_partial() && reply.continue_after() <= request.list().after()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static google::protobuf::LogSilencer silencer;
  const auto frame = cloister::sandbox::ParseGuestFrame(
      std::string_view(reinterpret_cast<const char*>(data), size));
  if (!frame.ok() || !frame->has_file_reply()) return 0;
  FileReply reply = frame->file_reply();
  reply.set_number(0);
  CheckList(ListOf("", true, ""), reply);
  CheckList(ListOf("a", false, "a/b"), reply);
  FileRequest request;
  request.mutable_read_part()->set_length(10);
  if (cloister::sandbox::CheckFileReply(request, reply).ok() && reply.data().size() > 10) {
    std::abort();
  }
  request.mutable_stat()->set_path("a");
  if (cloister::sandbox::CheckFileReply(request, reply).ok() && reply.error_number() == 0 &&
      reply.infos(0).path() != "a") {
    std::abort();
  }
  return 0;
}
