// The token that calls are made with.

#ifndef CLOISTER_CLIENT_TOKEN_H_
#define CLOISTER_CLIENT_TOKEN_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace cloister::client {

// That of the file `given` (a --token-file flag) if not empty, else the environment's
// CLOISTER_TOKEN, else that of the file CLOISTER_TOKEN_FILE; empty for none. Of a file the first
// line counts. Errors: INVALID_ARGUMENT says which of them was wrong and how, and never what it
// held.
absl::StatusOr<std::string> ResolveToken(const std::string& given);

// Whether a token may be sent to a resolved address. Errors: FAILED_PRECONDITION for one that
// others on the network could read it on the way to, unless the environment's
// CLOISTER_INSECURE_PLAINTEXT is "1".
absl::Status CheckTokenMayGoTo(const std::string& address);

}  // namespace cloister::client

#endif  // CLOISTER_CLIENT_TOKEN_H_
