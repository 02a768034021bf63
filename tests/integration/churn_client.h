// One of the clients that a churn test lets loose on a server: does one thing after another, at
// random, with sandboxes of its own, and knows what must come of each.
//
// churn_client.cc has what concerns whole sandboxes, churn_interpreters.cc their further
// interpreters, churn_messages.cc their messages, churn_files.cc their files.

#ifndef CLOISTER_TESTS_INTEGRATION_CHURN_CLIENT_H_
#define CLOISTER_TESTS_INTEGRATION_CHURN_CLIENT_H_

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "tests/integration/server_process.h"

namespace cloister::testing {

// Thread-safety: none, but for `total`; each client has a thread of its own. Ownership: the server
// must outlive it.
class ChurnClient {
 public:
  // So many live sandboxes it has at most, for longer than a call.
  static constexpr size_t kMaximumSandboxes = 6;
  static constexpr int kMaximumForks = 3;
  // Of each of them.
  static constexpr int64_t kWorkspaceBytes = 8 << 20;
  static constexpr int64_t kFileBytes = 6 << 20;

  ChurnClient(ServerProcess* server, unsigned seed) : server_(server), random_(seed) {}

  // Works until it is told to stop or something was wrong, which it reports as a test failure.
  void WorkUntil(const std::atomic<bool>& stop);

  // How many operations it has done so far.
  int64_t total() const { return total_; }
  // How often it did what; when it has stopped.
  const std::map<std::string, int64_t>& done() const { return done_; }
  // Calls that a busy server refused, as it may.
  int64_t refused() const { return refused_; }

 private:
  // What it knows of a sandbox: the variable `n` in it and the file `n` beside it, which agree.
  struct Held {
    std::string name;
    int64_t n = 0;
  };
  struct Operation {
    const char* name;
    int weight;
    void (ChurnClient::*run)();
    bool needs_sandbox;
  };
  static const std::vector<Operation>& Operations();

  // A cell that says that it is on, and never ends.
  static constexpr char kLoop[] = "print('on', flush=True)\nwhile True: pass";

  static std::unique_ptr<grpc::ClientContext> Context(int64_t milliseconds = 60'000);

  void Create();
  void CreateAndVanish();
  void Execute();
  void ExecuteFresh();
  void Raise();
  void FlushOut();
  void Fork();
  void ForkAndVanish();
  void ForkAndDeleteParent();
  void Snapshot();
  void Interrupt();
  void InterruptStorm();
  void VanishMidStream();
  void Delete();
  void DeleteWhileBusy();
  void Restart();
  void Abort() { Crash("import os; os.abort()", "SIGNALED 6"); }
  void ExitNow() { Crash("import os; os._exit(3)", "EXITED 3"); }
  void MemoryBomb();
  void Wedge();
  void BreakProtocol() { Crash("import os; os.write(3, b'x' * 300)", "POLICY_VIOLATION"); }
  void LeaveThreads();

  void UseInterpreter();
  void InterruptInterpreter();
  void ExhaustInterpreter();
  void DeleteBusyInterpreter();
  void LeaveInterpreters();
  void CreateInterpreterAndVanish();
  void CrashInterpreter();
  void CrashInterpretersProcess();
  void WedgeInterpreter();

  void ExchangeMessages();
  void VanishMidCall();
  void CallBetweenInterpreters();

  void UseFiles();
  void ForkWithFiles();
  void SnapshotWithFiles();
  void FillWorkspace();
  void UploadAndVanish();
  void DownloadAndVanish();
  void DeleteWhileUploading();

  // A cell that costs the sandbox; sometimes the sandbox starts anew, else it is deleted.
  void Crash(const std::string& code, const std::string& outcome);
  // Picks one of its sandboxes.
  Held& Pick();
  void Forget(const std::string& name);
  void DeleteNamed(const std::string& name);
  // Adds what was made with `n` as it should have it, or deletes it where there are too many.
  void Adopt(const std::string& name, int64_t n);
  // `n` and the file, raised by one in a cell.
  void Step(Held& held);
  // In a sandbox's `main`, or in the interpreter of that name.
  std::string RunCell(const std::string& interpreter, const std::string& code, std::string* value);
  // Expects the call to be refused so.
  void ExpectRefused(const grpc::Status& status, const std::string& reason, const char* what);
  std::string AnyBytes(int maximum);

  // Interpreters. A name that is empty: the server was too busy.
  v1::Interpreter::Profile AnyProfile();
  std::string MakeInterpreter(const std::string& sandbox, v1::Interpreter::Profile profile,
                              int64_t memory_limit_bytes = 0);
  // Returns how many others were lost by it.
  int DeleteInterpreter(const std::string& name);
  void RestartInterpreter(const std::string& name);
  grpc::Status TryCell(const std::string& interpreter, const std::string& code);

  // Messages. Null: the server was too busy.
  struct Connection;
  std::unique_ptr<Connection> ConnectClient(const std::string& interpreter);

  // Files.
  grpc::Status Put(const std::string& sandbox, const std::string& path, const std::string& data);
  std::string Get(const std::string& sandbox, const std::string& path);
  void Remove(const std::string& sandbox, const std::string& path);
  void ExpectFiles(const std::string& sandbox, const std::string& directory,
                   const std::string& wanted);
  void ExpectCopies(const Held& source, const std::vector<std::string>& copies,
                    const std::string& data);

  // True where it went well; counts what a busy server may refuse; else reports a failure.
  bool Check(const grpc::Status& status, const char* what);
  void Expect(const std::string& seen, const std::string& wanted, const char* what);
  int Below(int bound) { return std::uniform_int_distribution<int>(0, bound - 1)(random_); }

  ServerProcess* const server_;
  std::mt19937 random_;
  std::vector<Held> held_;
  bool wrong_ = false;
  int64_t refused_ = 0;
  const char* current_ = "";
  std::atomic<int64_t> total_ = 0;
  std::map<std::string, int64_t> done_;
};

}  // namespace cloister::testing

#endif  // CLOISTER_TESTS_INTEGRATION_CHURN_CLIENT_H_
