// What the host makes of what a guest says on a connection of its mailbox: it refuses it, or passes
// on what is within the bounds, and that becomes Values.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "google/protobuf/stubs/logging.h"
#include "sandbox/clone/value.h"
#include "sandbox/host/mailbox_request.h"

namespace {

namespace sandbox = cloister::sandbox;

void CheckClones(const cloister::internal::v1::CallHost& call) {
  for (const std::string& clone : {call.arguments(), call.keyword_arguments()}) {
    if (!clone.empty() && !sandbox::ValueFromClone(clone, sandbox::kResultCloneLimits).ok())
      std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // It logs text that is not UTF-8, once per input.
  static google::protobuf::LogSilencer silencer;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto post = sandbox::TakePost(bytes);
  if (post.ok() && !sandbox::ValueFromClone(*post, sandbox::kResultCloneLimits).ok()) std::abort();
  const auto request = sandbox::ParseMailboxRequest(bytes);
  if (!request.ok() || !sandbox::CheckMailboxRequest(*request).ok()) return 0;
  if (request->has_call_host()) CheckClones(request->call_host());
  return 0;
}
