// The channels of one sandbox that its interpreters find by name.
//
// The host makes the sockets, and keeps both ends so that it can hand out duplicates. It never
// reads from them nor writes to them: what waits in them is the guests', charged to their sandbox.
//
// Thread-safety: the loop's thread only.
// Ownership: of its descriptors, which are closed beside the loop.

#ifndef CLOISTER_SANDBOX_HOST_NAMED_CHANNELS_H_
#define CLOISTER_SANDBOX_HOST_NAMED_CHANNELS_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "sandbox/named_channel.h"

namespace cloister::sandbox {

class NamedChannels {
 public:
  static constexpr size_t kMaxChannels = 64;
  static constexpr size_t kMaxNameBytes = 64;

  NamedChannels() = default;
  NamedChannels(const NamedChannels&) = delete;
  NamedChannels& operator=(const NamedChannels&) = delete;
  ~NamedChannels();

  // Duplicates of the channel's ends; it is made where there is none, with `capacity` or 0. Errors:
  // INVALID_ARGUMENT (the name or the capacity), FAILED_PRECONDITION (it has another capacity),
  // RESOURCE_EXHAUSTED (as many as there may be, or the server has no descriptors left for it).
  absl::StatusOr<NamedChannel> Open(const std::string& name, std::optional<uint32_t> capacity);

  // NOT_FOUND.
  absl::Status Remove(const std::string& name);

 private:
  std::map<std::string, NamedChannel> channels_;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_HOST_NAMED_CHANNELS_H_
