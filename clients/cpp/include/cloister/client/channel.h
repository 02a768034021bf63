// Where the server is and how to reach it.

#ifndef CLOISTER_CLIENT_CHANNEL_H_
#define CLOISTER_CLIENT_CHANNEL_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "grpcpp/channel.h"

namespace cloister::client {

inline constexpr char kDefaultServerAddress[] = "unix:/run/cloister/cloister.sock";

// The address to use: `given` (a --server flag) if not empty, else the environment's
// CLOISTER_SERVER, else kDefaultServerAddress. "unix:/path", an absolute "/path", "host:port" and
// "[v6]:port" are understood. Errors: INVALID_ARGUMENT says which of them was wrong and how.
absl::StatusOr<std::string> ResolveServerAddress(const std::string& given);

// A channel to a resolved address, in plain text. Connects lazily, so an absent server shows at the
// first call. Messages may be as large as the server's own bounds allow. Each channel has a
// connection of its own. `token`: goes with every call; empty for none.
std::shared_ptr<grpc::Channel> CreateChannel(const std::string& address,
                                             const std::string& token = "");

}  // namespace cloister::client

#endif  // CLOISTER_CLIENT_CHANNEL_H_
