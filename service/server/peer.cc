#include "service/server/peer.h"

#include <arpa/inet.h>

#include "absl/strings/match.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"

namespace cloister::server {

bool IsLocalPeer(const std::string& peer) {
  // "fd:" are the connections of our own unix sockets, which gRPC was handed.
  if (absl::StartsWith(peer, "unix:") || absl::StartsWith(peer, "fd:")) return true;
  const size_t port = peer.rfind(':');
  if (absl::StartsWith(peer, "ipv4:") && port > 5) {
    in_addr address{};
    const std::string host = peer.substr(5, port - 5);
    return ::inet_pton(AF_INET, host.c_str(), &address) == 1 && ntohl(address.s_addr) >> 24 == 127;
  }
  if (absl::StartsWith(peer, "ipv6:") && port > 5) {
    // "ipv6:[::1]:80", and with the brackets percent-encoded in newer versions.
    const std::string host = absl::StrReplaceAll(peer.substr(5, port - 5),
                                                 {{"%5B", ""}, {"%5D", ""}, {"[", ""}, {"]", ""}});
    in6_addr address{};
    if (::inet_pton(AF_INET6, host.c_str(), &address) != 1) return false;
    return IN6_IS_ADDR_LOOPBACK(&address) ||
           (IN6_IS_ADDR_V4MAPPED(&address) && address.s6_addr[12] == 127);
  }
  return false;
}

}  // namespace cloister::server
