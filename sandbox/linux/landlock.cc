#include "sandbox/linux/landlock.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "sandbox/base/status_macros.h"
#include "sandbox/base/syscall_status.h"

// The kernel interface, spelled out: distributions' headers are older than the kernels they run on.
#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule 445
#define SYS_landlock_restrict_self 446
#endif

namespace cloister::sandbox {
namespace {

constexpr uint32_t kCreateRulesetVersion = 1;
constexpr int kRulePathBeneath = 1;

struct RulesetAttributes {
  uint64_t handled_access_fs;
  uint64_t handled_access_net;  // from ABI 4
  uint64_t scoped;              // from ABI 6
};

struct PathBeneathAttributes {
  uint64_t allowed_access;
  int32_t parent_fd;
} __attribute__((packed));

constexpr uint64_t kExecute = 1 << 0;
constexpr uint64_t kWriteFile = 1 << 1;
constexpr uint64_t kReadFile = 1 << 2;
constexpr uint64_t kReadDirectory = 1 << 3;
constexpr uint64_t kRemoveDirectory = 1 << 4;
constexpr uint64_t kRemoveFile = 1 << 5;
constexpr uint64_t kMakeDirectory = 1 << 7;
constexpr uint64_t kMakeRegular = 1 << 8;
constexpr uint64_t kMakeSocket = 1 << 9;
constexpr uint64_t kMakeFifo = 1 << 10;
constexpr uint64_t kMakeSymbolicLink = 1 << 12;
constexpr uint64_t kRefer = 1 << 13;        // ABI 2
constexpr uint64_t kTruncate = 1 << 14;     // ABI 3
constexpr uint64_t kIoctlDevice = 1 << 15;  // ABI 5

constexpr uint64_t kTcpBindAndConnect = 3;             // ABI 4
constexpr uint64_t kScopeAbstractSocketAndSignal = 3;  // ABI 6

// Rights that make sense on a file that is no directory; the kernel refuses others there.
constexpr uint64_t kFileRights = kExecute | kWriteFile | kReadFile | kTruncate | kIoctlDevice;

// Every right on files that this ABI can refuse. ABI 1 has the first 13, device nodes among them.
uint64_t HandledFileAccess(int abi) {
  uint64_t rights = kRefer - 1;
  if (abi >= 2) rights |= kRefer;
  if (abi >= 3) rights |= kTruncate;
  if (abi >= 5) rights |= kIoctlDevice;
  return rights;
}

uint64_t RightsOf(LandlockAccess access) {
  switch (access) {
    case LandlockAccess::kReadExecute:
      return kExecute | kReadFile | kReadDirectory;
    case LandlockAccess::kReadWrite:
      return kReadFile | kReadDirectory | kWriteFile | kTruncate | kRemoveDirectory | kRemoveFile |
             kMakeDirectory | kMakeRegular | kMakeSocket | kMakeFifo | kMakeSymbolicLink | kRefer;
    case LandlockAccess::kDevice:
      return kReadFile | kWriteFile | kTruncate | kIoctlDevice;
  }
  return 0;
}

}  // namespace

int LandlockAbi() {
  const long abi = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, kCreateRulesetVersion);
  return abi < 0 ? 0 : static_cast<int>(abi);
}

absl::StatusOr<LandlockPolicy> LandlockPolicy::Create() {
  const int abi = LandlockAbi();
  if (abi == 0) {
    return absl::UnimplementedError("this kernel has no Landlock, or has it switched off");
  }
  // Older kernels take a longer structure as long as what they do not know is zero.
  RulesetAttributes attributes = {};
  attributes.handled_access_fs = HandledFileAccess(abi);
  if (abi >= 4) attributes.handled_access_net = kTcpBindAndConnect;
  if (abi >= kLandlockScopeAbi) attributes.scoped = kScopeAbstractSocketAndSignal;
  const long fd = ::syscall(SYS_landlock_create_ruleset, &attributes, sizeof(attributes), 0);
  if (fd < 0) return SyscallError("landlock_create_ruleset");
  return LandlockPolicy(abi, UniqueFd(static_cast<int>(fd)));
}

absl::Status LandlockPolicy::Allow(const std::string& path, LandlockAccess access) {
  const UniqueFd fd(::open(path.c_str(), O_PATH | O_CLOEXEC | O_NOFOLLOW));
  if (!fd) return SyscallError(absl::StrCat("open ", path, " for a Landlock rule"));
  const absl::Status status = Allow(fd.get(), access);
  if (!status.ok()) {
    return absl::Status(status.code(), absl::StrCat(status.message(), " for ", path));
  }
  return status;
}

absl::Status LandlockPolicy::Allow(int fd, LandlockAccess access) {
  struct stat info = {};
  if (::fstat(fd, &info) < 0) return SyscallError("fstat for a Landlock rule");
  PathBeneathAttributes rule = {};
  rule.allowed_access = RightsOf(access) & HandledFileAccess(abi_);
  if (!S_ISDIR(info.st_mode)) rule.allowed_access &= kFileRights;
  rule.parent_fd = fd;
  if (::syscall(SYS_landlock_add_rule, ruleset_.get(), kRulePathBeneath, &rule, 0) < 0) {
    return SyscallError("landlock_add_rule");
  }
  return absl::OkStatus();
}

absl::Status LandlockPolicy::Enforce() && {
  if (::syscall(SYS_landlock_restrict_self, ruleset_.get(), 0) < 0) {
    return SyscallError("landlock_restrict_self (is no_new_privs set?)");
  }
  ruleset_.reset();
  return absl::OkStatus();
}

}  // namespace cloister::sandbox
