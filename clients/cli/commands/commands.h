// What the subcommands of `cloister` do, without their command line: each takes its options and a
// stub, writes to the descriptors given, and returns the exit code.

#ifndef CLOISTER_CLIENTS_CLI_COMMANDS_COMMANDS_H_
#define CLOISTER_CLIENTS_CLI_COMMANDS_COMMANDS_H_

#include <cstdint>
#include <string>

#include "clients/cli/commands/execution_view.h"
#include "clients/cli/commands/request_builder.h"
#include "clients/cpp/execution_follower.h"
#include "cloister/v1/execution_service.grpc.pb.h"
#include "cloister/v1/info_service.grpc.pb.h"

namespace cloister::cli {

// How a command reaches the server. The address is for messages.
struct Server {
  std::string address;
  v1::ExecutionService::StubInterface* executions = nullptr;
  v1::InfoService::StubInterface* info = nullptr;
  client::ReattachPolicy reattach = {};
};

// Runs a program and shows it to its end. Takes SIGINT, which must be blocked in every thread.
int RunProgram(const Server& server, const RunOptions& options, OutputFds fds);

struct AttachOptions {
  std::string execution;
  int64_t after_sequence = 0;
  bool json = false;
  bool quiet = false;
};

// Shows an execution that was started elsewhere, to its end.
int AttachProgram(const Server& server, const AttachOptions& options, OutputFds fds);

struct InterruptOptions {
  std::string execution;
  std::string grace;
};

// Interrupts an execution and tells how it ended.
int InterruptProgram(const Server& server, const InterruptOptions& options, OutputFds fds);

// Tells what the server is and offers.
int ShowInfo(const Server& server, bool json, OutputFds fds);

}  // namespace cloister::cli

#endif  // CLOISTER_CLIENTS_CLI_COMMANDS_COMMANDS_H_
