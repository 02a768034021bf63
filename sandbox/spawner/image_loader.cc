#include "sandbox/spawner/image_loader.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "sandbox/base/syscall_status.h"

namespace cloister::sandbox {
namespace {

// As the psABI of each machine has it, and Debian's directory for its libraries.
#if defined(__x86_64__)
constexpr char kLoader[] = "lib64/ld-linux-x86-64.so.2";
constexpr char kMultiarch[] = "x86_64-linux-gnu";
#elif defined(__aarch64__)
constexpr char kLoader[] = "lib/ld-linux-aarch64.so.1";
constexpr char kMultiarch[] = "aarch64-linux-gnu";
#else
#error "add this machine's dynamic loader and library directory"
#endif

std::string LibraryPath(const std::string& root) {
  const std::vector<std::string> directories = {absl::StrCat(root, "/usr/lib/", kMultiarch),
                                                absl::StrCat(root, "/lib/", kMultiarch),
                                                absl::StrCat(root, "/usr/lib64"),
                                                absl::StrCat(root, "/lib64"),
                                                absl::StrCat(root, "/usr/local/lib"),
                                                absl::StrCat(root, "/usr/lib")};
  return absl::StrJoin(directories, ":");
}

}  // namespace

absl::StatusOr<UniqueFd> OpenImageLoader(const std::string& image_root) {
  // The loader takes both for separators, and has no way to quote them.
  if (absl::StrContains(image_root, ':') || absl::StrContains(image_root, ';')) {
    return absl::FailedPreconditionError(absl::StrCat(
        image_root, ": without namespaces, an image's path may have neither ':' nor ';' in it"));
  }
  const UniqueFd root(open(image_root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root) return SyscallError(absl::StrCat("open the image ", image_root));
  open_how how = {};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT;
  UniqueFd loader(static_cast<int>(syscall(SYS_openat2, root.get(), kLoader, &how, sizeof(how))));
  if (!loader) {
    return SyscallError(absl::StrCat("open the image's dynamic loader ", image_root, "/", kLoader));
  }
  return loader;
}

std::vector<std::string> LoaderArguments(const std::string& image_root,
                                         const std::string& guest_binary) {
  // The cache would be the machine's.
  return {kLoader, "--inhibit-cache", "--library-path", LibraryPath(image_root), guest_binary};
}

std::map<std::string, std::string> ImageEnvironment(const std::string& image_root) {
  return {{"PATH", absl::StrCat(image_root, "/usr/bin")},
          {"PYTHONTZPATH", absl::StrCat(image_root, "/usr/share/zoneinfo")},
          {"TZDIR", absl::StrCat(image_root, "/usr/share/zoneinfo")},
          {"SSL_CERT_DIR", absl::StrCat(image_root, "/etc/ssl/certs")},
          {"OPENSSL_CONF", absl::StrCat(image_root, "/etc/ssl/openssl.cnf")}};
}

}  // namespace cloister::sandbox
