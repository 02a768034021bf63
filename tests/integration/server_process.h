// A real cloisterd with a real spawner, started for a test on a unix socket of its own and ended
// with it.

#ifndef CLOISTER_TESTS_INTEGRATION_SERVER_PROCESS_H_
#define CLOISTER_TESTS_INTEGRATION_SERVER_PROCESS_H_

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cloister/v1/execution_service.grpc.pb.h"
#include "cloister/v1/file_service.grpc.pb.h"
#include "cloister/v1/info_service.grpc.pb.h"
#include "cloister/v1/interpreter_service.grpc.pb.h"
#include "cloister/v1/message_service.grpc.pb.h"
#include "cloister/v1/sandbox_service.grpc.pb.h"
#include "sandbox/base/unique_fd.h"

namespace cloister::testing {

// Thread-safety: none. Ownership: the process, its scratch directory, its channel.
class ServerProcess {
 public:
  // `config` is a text proto without `listen`; `wrapper` a command that executes the one it is given. Aborts
  // the test where the server cannot be executed.
  explicit ServerProcess(const std::string& config = "", std::vector<std::string> flags = {},
                         std::vector<std::string> wrapper = {});

  // Ends the server with SIGTERM (SIGKILL after 30 s) and removes its files.
  ~ServerProcess();

  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  // Waits for the standard health service to answer SERVING.
  absl::Status WaitUntilReady(absl::Duration timeout = absl::Seconds(30));

  // Sends a signal to cloisterd.
  void Signal(int number);

  // Waits for cloisterd's end and returns its wait status (as waitpid(2)).
  int WaitForExit();

  pid_t pid() const { return pid_; }
  const std::string& address() const { return address_; }
  // What the server wrote to stderr so far.
  std::string Log() const;

  v1::ExecutionService::Stub& executions() { return *executions_; }
  v1::SandboxService::Stub& sandboxes() { return *sandboxes_; }
  v1::InterpreterService::Stub& interpreters() { return *interpreters_; }
  v1::FileService::Stub& files() { return *files_; }
  v1::MessageService::Stub& messages() { return *messages_; }
  v1::InfoService::Stub& info() { return *info_; }
  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }

 private:
  std::string directory_;
  std::string address_;
  pid_t pid_ = -1;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::ExecutionService::Stub> executions_;
  std::unique_ptr<v1::SandboxService::Stub> sandboxes_;
  std::unique_ptr<v1::InterpreterService::Stub> interpreters_;
  std::unique_ptr<v1::FileService::Stub> files_;
  std::unique_ptr<v1::MessageService::Stub> messages_;
  std::unique_ptr<v1::InfoService::Stub> info_;
};

// Every process below `root`, itself included, by /proc's parent links; of any pid namespace.
std::vector<pid_t> ProcessTree(pid_t root);

// The name the kernel knows a process by, at most 15 characters; empty where it is gone.
std::string ProcessName(pid_t pid);

// Waits until none of the processes exists; returns those that still do after the timeout.
std::vector<pid_t> WaitUntilGone(const std::vector<pid_t>& pids,
                                 absl::Duration timeout = absl::Seconds(10));

// Directories in any cgroup hierarchy that a spawner among these processes has made for its groups, or had: they
// are named after it. Those of other servers come and go.
std::vector<std::string> CgroupsOf(const std::vector<pid_t>& pids);

// Lines of this process's mount table that mention cloister.
std::vector<std::string> MountLeftovers();

}  // namespace cloister::testing

#endif  // CLOISTER_TESTS_INTEGRATION_SERVER_PROCESS_H_
