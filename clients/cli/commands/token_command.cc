#include "clients/cli/commands/token_command.h"

#include <fcntl.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "clients/cli/commands/exit_code.h"
#include "clients/cli/commands/reply.h"
#include "clients/cli/commands/units.h"

namespace cloister::cli {
namespace {

constexpr size_t kMaximumTenantBytes = 63;
constexpr size_t kMaximumCommentBytes = 200;

// As the server's configuration.
bool IsTenantName(const std::string& name) {
  return !name.empty() && name.size() <= kMaximumTenantBytes && name.front() != '-' &&
         name.back() != '-' && std::all_of(name.begin(), name.end(), [](char c) {
           return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '-';
         });
}

// `cloister_`, by which secret scanners know it, and 256 random bits. Empty where there is no
// randomness.
std::string MakeToken() {
  std::array<unsigned char, 32> bits{};
  if (RAND_bytes(bits.data(), static_cast<int>(bits.size())) != 1) return "";
  const std::string text = absl::WebSafeBase64Escape(
      absl::string_view(reinterpret_cast<const char*>(bits.data()), bits.size()));
  return absl::StrCat("cloister_", text);
}

std::string EntryFor(const std::string& token, const NewTokenOptions& options, absl::Time expires) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> hash{};
  SHA256(reinterpret_cast<const unsigned char*>(token.data()), token.size(), hash.data());
  std::string entry = absl::StrCat("token {\n  sha256: \"",
                                   absl::BytesToHexString(absl::string_view(
                                       reinterpret_cast<const char*>(hash.data()), hash.size())),
                                   "\"\n  tenant: \"", options.tenant, "\"\n");
  if (expires != absl::InfiniteFuture()) {
    absl::StrAppend(&entry, "  expires { seconds: ", absl::ToUnixSeconds(expires), " }  # ",
                    absl::FormatTime("%Y-%m-%d %H:%M:%S UTC", expires, absl::UTCTimeZone()), "\n");
  }
  if (!options.comment.empty()) {
    absl::StrAppend(&entry, "  comment: \"", absl::CEscape(options.comment), "\"\n");
  }
  return entry + "}\n";
}

// At its end, in one write, so that a server that reads it meanwhile sees all or nothing of it.
bool Append(const std::string& path, const std::string& entry) {
  const int file = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
  if (file < 0) return false;
  const ssize_t written = ::write(file, entry.data(), entry.size());
  const int error = written < 0 ? errno : ENOSPC;
  const bool is_closed = ::close(file) == 0;
  if (written == static_cast<ssize_t>(entry.size()) && is_closed) return true;
  errno = written < 0 || is_closed ? error : errno;
  return false;
}

}  // namespace

int NewToken(const NewTokenOptions& options, OutputFds fds) {
  if (!IsTenantName(options.tenant)) {
    Complain(fds.err, "--tenant must be 1 to 63 characters of [a-z0-9-], with no '-' at its ends");
    return kExitUsage;
  }
  if (options.comment.size() > kMaximumCommentBytes) {
    Complain(fds.err, absl::StrCat("--comment must have at most ", kMaximumCommentBytes, " bytes"));
    return kExitUsage;
  }
  absl::Time expires = absl::InfiniteFuture();
  if (!options.expires_in.empty()) {
    const absl::StatusOr<absl::Duration> length = ParseDuration(options.expires_in);
    if (!length.ok()) {
      Complain(fds.err, absl::StrCat("--expires-in: ", length.status().message()));
      return kExitUsage;
    }
    expires = absl::Now() + *length;
  }
  const std::string token = MakeToken();
  if (token.empty()) {
    Complain(fds.err, "the machine gives no random numbers");
    return kExitInternal;
  }
  const std::string entry = EntryFor(token, options, expires);
  if (options.file.empty()) {
    (void)Print(entry, {.out = fds.err, .err = fds.err});
  } else if (!Append(options.file, entry)) {
    Complain(fds.err, absl::StrCat("cannot add to ", options.file, ": ", std::strerror(errno)));
    return kExitInputOutput;
  }
  return Print(token + "\n", fds);
}

}  // namespace cloister::cli
