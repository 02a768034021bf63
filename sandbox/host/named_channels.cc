#include "sandbox/host/named_channels.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "sandbox/base/foreign_text.h"
#include "sandbox/base/status_macros.h"
#include "sandbox/base/syscall_status.h"
#include "sandbox/host/close_beside.h"
#include "sandbox/wire/inbox_packet.h"

namespace cloister::sandbox {
namespace {

constexpr int64_t kMaxEnds = 3;

// Of all sandboxes together, while they are kept.
int64_t open_channels = 0;

// An eighth of the descriptors that the process may have; mailboxes take a quarter.
bool AllHaveEnough() {
  static const int64_t maximum = [] {
    rlimit limit = {};
    return ::getrlimit(RLIMIT_NOFILE, &limit) == 0 ? static_cast<int64_t>(limit.rlim_cur / 8) : 128;
  }();
  return (open_channels + 1) * kMaxEnds > maximum;
}

absl::Status CheckWish(const std::string& name, std::optional<uint32_t> capacity) {
  if (name.empty()) return absl::InvalidArgumentError("a channel without a name");
  if (name.size() > NamedChannels::kMaxNameBytes) {
    return absl::InvalidArgumentError(absl::StrCat("the name of a channel has ", name.size(),
                                                   " bytes; at most ", NamedChannels::kMaxNameBytes,
                                                   " are allowed"));
  }
  if (capacity.value_or(0) <= kMaxChannelCapacity) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("a channel for ", *capacity, " messages; at most ",
                                                 kMaxChannelCapacity, " may wait in one"));
}

absl::StatusOr<NamedChannel> Make(uint32_t capacity) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
    return SyscallError("socketpair of a channel");
  NamedChannel channel;
  channel.capacity = capacity;
  channel.descriptors.emplace_back(ends[0]);
  channel.descriptors.emplace_back(ends[1]);
  ::shutdown(ends[0], SHUT_RD);
  if (capacity == 0) return channel;
  channel.descriptors.emplace_back(::eventfd(capacity, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE));
  if (!channel.descriptors.back()) return SyscallError("eventfd of a channel");
  return channel;
}

absl::StatusOr<NamedChannel> Duplicate(const NamedChannel& channel) {
  NamedChannel copy;
  copy.capacity = channel.capacity;
  for (const UniqueFd& descriptor : channel.descriptors) {
    copy.descriptors.emplace_back(::fcntl(descriptor.get(), F_DUPFD_CLOEXEC, 0));
    if (!copy.descriptors.back()) return SyscallError("duplicate a channel");
  }
  return copy;
}

// Whatever the kernel says: the server has no room for it now.
absl::Status NoRoom(const absl::Status& status) {
  return absl::ResourceExhaustedError(
      absl::StrCat("the server has no room for a channel: ", status.message()));
}

}  // namespace

NamedChannels::~NamedChannels() {
  open_channels -= static_cast<int64_t>(channels_.size());
  for (auto& [name, channel] : channels_) CloseBeside(std::move(channel.descriptors));
}

absl::StatusOr<NamedChannel> NamedChannels::Open(const std::string& name,
                                                 std::optional<uint32_t> capacity) {
  CLOISTER_RETURN_IF_ERROR(CheckWish(name, capacity));
  auto found = channels_.find(name);
  if (found == channels_.end()) {
    if (channels_.size() >= kMaxChannels) {
      return absl::ResourceExhaustedError(
          absl::StrCat("a sandbox has at most ", kMaxChannels, " channels with names"));
    }
    if (AllHaveEnough()) return NoRoom(absl::ResourceExhaustedError("too many are open"));
    absl::StatusOr<NamedChannel> made = Make(capacity.value_or(0));
    if (!made.ok()) return NoRoom(made.status());
    found = channels_.emplace(name, *std::move(made)).first;
    ++open_channels;
  }
  const NamedChannel& channel = found->second;
  if (capacity.value_or(channel.capacity) != channel.capacity) {
    return absl::FailedPreconditionError(
        absl::StrCat("the channel ", ForeignLine(name, kMaxNameBytes), " was made with capacity ",
                     channel.capacity, " and not ", *capacity));
  }
  absl::StatusOr<NamedChannel> copy = Duplicate(channel);
  if (!copy.ok()) return NoRoom(copy.status());
  return copy;
}

absl::Status NamedChannels::Remove(const std::string& name) {
  auto removed = channels_.extract(name);
  if (removed.empty()) return absl::NotFoundError("there is no channel of that name");
  --open_channels;
  CloseBeside(std::move(removed.mapped().descriptors));
  return absl::OkStatus();
}

}  // namespace cloister::sandbox
