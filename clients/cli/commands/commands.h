// What the subcommands of `cloister` do, without their command line: each takes its options and a
// stub, writes to the descriptors given, and returns the exit code.

#ifndef CLOISTER_CLIENTS_CLI_COMMANDS_COMMANDS_H_
#define CLOISTER_CLIENTS_CLI_COMMANDS_COMMANDS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "clients/cli/commands/execution_view.h"
#include "clients/cli/commands/request_builder.h"
#include "cloister/client/execution_follower.h"
#include "cloister/v1/execution_service.grpc.pb.h"
#include "cloister/v1/file_service.grpc.pb.h"
#include "cloister/v1/info_service.grpc.pb.h"
#include "cloister/v1/interpreter_service.grpc.pb.h"
#include "cloister/v1/message_service.grpc.pb.h"
#include "cloister/v1/sandbox_service.grpc.pb.h"

namespace cloister::cli {

// How a command reaches the server. The address is for messages.
struct Server {
  std::string address;
  v1::ExecutionService::StubInterface* executions = nullptr;
  v1::InfoService::StubInterface* info = nullptr;
  client::ReattachPolicy reattach = {};
  v1::SandboxService::StubInterface* sandboxes = nullptr;
  v1::InterpreterService::StubInterface* interpreters = nullptr;
  v1::FileService::StubInterface* files = nullptr;
  v1::MessageService::StubInterface* messages = nullptr;
};

// Runs a program and shows it to its end. Takes SIGINT, which must be blocked in every thread.
int RunProgram(const Server& server, const RunOptions& options, OutputFds fds);

struct MapOptions {
  // Program, template and limits, as for `run`.
  RunOptions program;
  std::string inputs;  // a file with a line of JSON for each, or "-"
  int concurrency = 0;
  bool by_completion = false;
  bool stop_on_failure = false;
  bool quiet = false;
};

// Runs a program over many inputs and prints a line of JSON for each. Takes SIGINT, as RunProgram.
int MapProgram(const Server& server, const MapOptions& options, OutputFds fds);

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

struct CreateSandboxOptions {
  // Template, limits, environment and files, as for `run`.
  RunOptions program;
  std::string snapshot;
  std::string ttl, idle_timeout;
  bool json = false;
};

// Live sandboxes. CreateSandbox prints the name.
int CreateSandbox(const Server& server, const CreateSandboxOptions& options, OutputFds fds);
int ListSandboxes(const Server& server, bool json, OutputFds fds);
int ShowSandbox(const Server& server, const std::string& name, bool json, OutputFds fds);
int RestartSandbox(const Server& server, const std::string& name, OutputFds fds);
// These two print the names of what they make.
int ForkSandbox(const Server& server, const std::string& name, int count, OutputFds fds);
int CreateSnapshot(const Server& server, const std::string& sandbox, OutputFds fds);
int ListSnapshots(const Server& server, bool json, OutputFds fds);
int ShowSnapshot(const Server& server, const std::string& name, bool json, OutputFds fds);
int RemoveSnapshots(const Server& server, const std::vector<std::string>& names, OutputFds fds);
int RemoveSandboxes(const Server& server, const std::vector<std::string>& names, OutputFds fds);

struct CreateInterpreterOptions {
  std::string sandbox;
  std::string id;                // empty: chosen by the server
  std::string profile = "auto";  // or isolated, shared_gil, process
  std::vector<std::string> imports;
  std::string memory;
  // The environment, as for `run`.
  RunOptions program;
  bool json = false;
};

// Interpreters of live sandboxes. CreateInterpreter prints the name.
int CreateInterpreter(const Server& server, const CreateInterpreterOptions& options, OutputFds fds);
int ListInterpreters(const Server& server, const std::string& sandbox, bool json, OutputFds fds);
int ShowInterpreter(const Server& server, const std::string& name, bool json, OutputFds fds);
int RestartInterpreter(const Server& server, const std::string& name, OutputFds fds);
// Tells which others were lost with one.
int RemoveInterpreters(const Server& server, const std::vector<std::string>& names, OutputFds fds);

struct ReplOptions {
  // Or an interpreter of one; empty: a sandbox of its own, which ends with it.
  std::string sandbox;
  std::string template_name;
};

// Reads code from standard input, piece by piece, and runs it in a live sandbox. Takes SIGINT, and for a sandbox of
// its own, which ends in any case, SIGHUP and SIGTERM: they must be blocked in every thread. The exit code is the
// program's, where it ends itself.
int RunRepl(const Server& server, const ReplOptions& options, OutputFds fds);

// Tells what the server is and offers.
int ShowInfo(const Server& server, bool json, OutputFds fds);

}  // namespace cloister::cli

#endif  // CLOISTER_CLIENTS_CLI_COMMANDS_COMMANDS_H_
