// Exceptions that are known by their words only, as what is raised inside a sandbox.

#ifndef CLOISTER_SERVICE_RPC_REMOTE_ERROR_H_
#define CLOISTER_SERVICE_RPC_REMOTE_ERROR_H_

#include <string>

#include "cloister/v1/outcome.pb.h"
#include "cloister/v1/value.pb.h"

namespace cloister::rpc {

// A cloister.RemoteError that says this.
v1::Value RemoteError(const std::string& text);

// The clone of what an execution raised: of its class where that is one of Python's own and its text tells the
// arguments it had, else a RemoteError.
std::string CloneOfException(const v1::Exception& exception);

}  // namespace cloister::rpc

#endif  // CLOISTER_SERVICE_RPC_REMOTE_ERROR_H_
