// The server that does nothing: the floor under every call.

#ifndef CLOISTER_CLIENTS_CLI_BENCH_ECHO_SERVER_H_
#define CLOISTER_CLIENTS_CLI_BENCH_ECHO_SERVER_H_

#include <string>

namespace cloister::cli::bench {

// Serves EchoService on `address` with the callback API until standard input ends, so that it never
// outlives whoever started it. Writes "ready\n" to stdout when it can be called. Returns an exit
// code.
int RunEchoServer(const std::string& address);

}  // namespace cloister::cli::bench

#endif  // CLOISTER_CLIENTS_CLI_BENCH_ECHO_SERVER_H_
