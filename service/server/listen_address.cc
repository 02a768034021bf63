#include "service/server/listen_address.h"

#include <arpa/inet.h>
#include <sys/un.h>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace cloister::server {
namespace {

bool IsLoopback(const std::string& host) {
  if (host == "localhost" || host == "[::1]") return true;
  in_addr address{};
  if (::inet_pton(AF_INET, host.c_str(), &address) != 1) return false;
  return (ntohl(address.s_addr) >> 24) == 127;
}

absl::StatusOr<ListenAddress> ParseUnix(std::string path) {
  constexpr size_t kMaximumPath = sizeof(sockaddr_un::sun_path) - 1;
  if (absl::StartsWith(path, "//")) path = path.substr(2);  // unix:///path
  if (path.empty() || path.front() != '/') {
    return absl::InvalidArgumentError("must be unix:/absolute/path");
  }
  if (path.size() > kMaximumPath) {
    return absl::InvalidArgumentError(
        absl::StrCat("is too long: a socket's path has at most ", kMaximumPath, " bytes"));
  }
  return ListenAddress{.path = std::move(path), .host_and_port = "", .is_local = true};
}

}  // namespace

absl::Status CheckHostAndPort(const std::string& text) {
  const size_t colon = text.rfind(':');
  int port = -1;
  if (colon == std::string::npos || colon == 0 ||
      !absl::SimpleAtoi(text.substr(colon + 1), &port) || port < 0 || port > 65535) {
    return absl::InvalidArgumentError(absl::StrCat("is \"", text, "\"; must be host:port"));
  }
  return absl::OkStatus();
}

absl::StatusOr<ListenAddress> ParseListenAddress(const std::string& text) {
  if (absl::StartsWith(text, "unix:")) return ParseUnix(text.substr(5));
  if (!CheckHostAndPort(text).ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("is \"", text, "\"; must be unix:/path or host:port"));
  }
  return ListenAddress{.path = "",
                       .host_and_port = text,
                       .is_local = IsLoopback(text.substr(0, text.rfind(':')))};
}

}  // namespace cloister::server
