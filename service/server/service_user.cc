#include "service/server/service_user.h"

#include <pwd.h>
#include <sys/resource.h>
#include <unistd.h>

#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "sandbox/base/status_macros.h"
#include "sandbox/linux/capabilities.h"
#include "sandbox/linux/user_namespace.h"

namespace cloister::server {
namespace {

constexpr uint32_t kNobody = 65534;
constexpr rlim_t kWantedDescriptors = 1 << 18;

absl::Status BecomeForGood(const ServiceUser& user) {
  CLOISTER_RETURN_IF_ERROR(sandbox::BecomeUser(user.uid, user.gid));
  if (::getgroups(0, nullptr) != 0) return absl::InternalError("supplementary groups are left");
  if (::setuid(0) == 0) return absl::InternalError("root could be had back after setresuid");
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ServiceUser> FindServiceUser(const std::string& text) {
  ServiceUser user{};
  const std::vector<std::string> ids = absl::StrSplit(text, ':');
  if (ids.size() == 2 && absl::SimpleAtoi(ids[0], &user.uid) &&
      absl::SimpleAtoi(ids[1], &user.gid)) {
    if (user.uid == 0) return absl::InvalidArgumentError("must not be root");
    return user;
  }
  const passwd* entry = ::getpwnam(text.c_str());
  if (entry == nullptr && text == kDedicatedUser) return FindServiceUser("nobody");
  if (entry == nullptr && text == "nobody") return ServiceUser{kNobody, kNobody};
  if (entry == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("there is no user \"", text, "\"; give a name or uid:gid"));
  }
  if (entry->pw_uid == 0) return absl::InvalidArgumentError("must not be root");
  return ServiceUser{entry->pw_uid, entry->pw_gid};
}

absl::Status DropPrivileges(const ServiceUser& user) {
  CLOISTER_RETURN_IF_ERROR(sandbox::SetNoNewPrivileges());
  if (::geteuid() == 0) {
    CLOISTER_RETURN_IF_ERROR(sandbox::DropBoundingSet());
    CLOISTER_RETURN_IF_ERROR(BecomeForGood(user));
  }
  CLOISTER_RETURN_IF_ERROR(sandbox::DropAllCapabilities());
  return sandbox::SetNotDumpable();
}

void RaiseDescriptorLimit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  if (limit.rlim_max < kWantedDescriptors) {
    const rlimit raised{kWantedDescriptors, kWantedDescriptors};
    if (::setrlimit(RLIMIT_NOFILE, &raised) == 0) return;
  }
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace cloister::server
