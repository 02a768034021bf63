// `cloister` as a person uses it: under a terminal, with Ctrl-C and Ctrl-D.

#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "tests/integration/live_test.h"

namespace cloister::testing {
namespace {

constexpr int kPatienceMilliseconds = 20'000;

// A terminal with the command at its other end.
class Typist {
 public:
  explicit Typist(const std::string& server, std::vector<std::string> arguments = {"repl"}) {
    arguments.insert(arguments.begin(), {"cloister", "--server", server});
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    pid_ = ::forkpty(&terminal_, nullptr, nullptr, nullptr);
    if (pid_ != 0) return;
    ::setenv("TERM", "dumb", 1);
    ::setenv("LC_ALL", "C", 1);  // as where no language is set up
    ::execv(CLOISTER_CLI, argv.data());
    ::_exit(127);
  }
  Typist(const Typist&) = delete;
  Typist& operator=(const Typist&) = delete;
  ~Typist() {
    if (pid_ > 0 && ::waitpid(pid_, nullptr, WNOHANG) == 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
    ::close(terminal_);
  }

  void Type(const std::string& text) {
    ASSERT_EQ(::write(terminal_, text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }

  // Waits until this was shown, after what was awaited before.
  void Await(const std::string& text) {
    size_t found;
    while ((found = shown_.find(text)) == std::string::npos) {
      pollfd readable{terminal_, POLLIN, 0};
      char piece[4096];
      const ssize_t got = ::poll(&readable, 1, kPatienceMilliseconds) == 1
                              ? ::read(terminal_, piece, sizeof(piece))
                              : -1;
      if (got <= 0) {
        ADD_FAILURE() << "waited for " << text << ", was shown " << shown_;
        return;
      }
      shown_.append(piece, static_cast<size_t>(got));
    }
    shown_.erase(0, found + text.size());
  }

  void Signal(int signal) { ::kill(pid_, signal); }

  // The exit code, or minus the signal it died of. Types `again` now and then until it ends.
  int AwaitExit(const std::string& again = "") {
    int status = 0;
    char piece[4096];
    for (;;) {
      pollfd readable{terminal_, POLLIN, 0};
      if (!again.empty() && ::poll(&readable, 1, 50) == 0) {
        Type(again);
      } else if (::read(terminal_, piece, sizeof(piece)) <= 0) {
        break;
      }
    }
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }

 private:
  pid_t pid_ = -1;
  int terminal_ = -1;
  std::string shown_;
};

class ReplTest : public LiveTest {
 protected:
  int SandboxCount() {
    v1::ListSandboxesResponse left;
    EXPECT_TRUE(
        server_->sandboxes().ListSandboxes(Context().get(), v1::ListSandboxesRequest(), &left).ok());
    return left.sandboxes_size();
  }
  // The exit code of a line of a shell's, where "cli" is the command; $S the server.
  int Shell(const std::string& line) {
    const std::string script = absl::StrCat("cli() { ", CLOISTER_CLI, " --server ",
                                            server_->address(), " \"$@\"; }; ", line);
    const int status = ::system(absl::StrCat("bash -c '", script, "'").c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
};

TEST_F(ReplTest, KeepsStateThroughBlocksErrorsAndInterrupts) {
  Typist typist(server_->address());
  typist.Await(">>> ");
  typist.Type("x = 20\n");
  typist.Await(">>> ");
  typist.Type("def f():\n");
  typist.Await("... ");
  typist.Type("  return x + 1\n");
  typist.Await("... ");
  typist.Type("\n");
  typist.Await(">>> ");
  typist.Type("f() * 2\n");
  typist.Await("42");
  typist.Await(">>> ");
  typist.Type("1 / 0\n");
  typist.Await("ZeroDivisionError");
  typist.Await(">>> ");
  typist.Type("print('run' + 'ning', flush=True); exec('while True: pass')\n");
  typist.Await("running");
  typist.Type("\x03");
  typist.Await("KeyboardInterrupt");
  typist.Await(">>> ");
  typist.Type("half a li\x03");
  typist.Await("^C");
  typist.Await(">>> ");
  typist.Type("name = input('who' + '? ')\n");
  typist.Await("who? ");
  typist.Type("me\n");
  typist.Await(">>> ");
  typist.Type("name, x\n");
  typist.Await("('me', 20)");
  typist.Await(">>> ");
  typist.Type("\x04");
  EXPECT_EQ(typist.AwaitExit(), 0);
  EXPECT_EQ(SandboxCount(), 0) << "its own sandbox ends with it";
}

TEST_F(ReplTest, TakesWhatIsTypedAsItIs) {
  Typist typist(server_->address());
  typist.Await(">>> ");
  typist.Type("len('äö€') * 1000 + 7\n");
  typist.Await("3007");
  typist.Await(">>> ");
  typist.Type("if True:\n");
  typist.Await("... ");
  typist.Type("\tx = len('\t') * 5\n");
  typist.Await("... ");
  typist.Type("\n");
  typist.Await(">>> ");
  typist.Type("x * 1001\n");
  typist.Await("5005");
  typist.Await(">>> ");
  typist.Type("\x04");
  EXPECT_EQ(typist.AwaitExit(), 0);
}

TEST_F(ReplTest, CtrlDEndsWhatAsksAndNotTheSession) {
  Typist typist(server_->address());
  typist.Await(">>> ");
  typist.Type("input('who' + '? ')\n");
  typist.Await("who? ");
  typist.Type("\x04");
  typist.Await("EOFError");
  typist.Await(">>> ");
  typist.Type("import getpass; getpass.getpass('pass' + 'word? ')\n");
  typist.Await("password? ");
  typist.Type("\x04");
  typist.Await("EOFError");
  typist.Await(">>> ");
  typist.Type("getpass.getpass('pass' + 'word? ')\n");
  typist.Await("password? ");
  typist.Type("\x03");
  typist.Await("KeyboardInterrupt");
  typist.Await(">>> ");
  typist.Type("len(getpass.getpass('pass' + 'word? ')) * 111\n");
  typist.Await("password? ");
  typist.Type("secret\n");
  typist.Await("666");
  typist.Await(">>> ");
  typist.Type("\x04");
  EXPECT_EQ(typist.AwaitExit(), 0);
}

TEST_F(ReplTest, LeavesWithTheProgramsExitCode) {
  Typist typist(server_->address());
  typist.Await(">>> ");
  typist.Type("import sys; sys.exit(4)\n");
  EXPECT_EQ(typist.AwaitExit(), 4);
  EXPECT_EQ(Shell("echo \"exit()\" | cli repl"), 0);
  EXPECT_EQ(Shell("echo \"quit(3)\" | cli repl"), 3);
  EXPECT_EQ(Shell("printf \"import os\\nos._exit(5)\\n\" | cli repl 2>/dev/null"), 5);
  EXPECT_EQ(SandboxCount(), 0);
}

TEST_F(ReplTest, ItsSandboxEndsHoweverItEnds) {
  for (const int signal : {SIGHUP, SIGTERM}) {
    Typist typist(server_->address());
    typist.Await(">>> ");
    EXPECT_EQ(SandboxCount(), 1);
    typist.Signal(signal);
    EXPECT_EQ(typist.AwaitExit(), 128 + signal);
    EXPECT_EQ(SandboxCount(), 0);
  }
  EXPECT_EQ(Shell("echo 1 | cli repl 2>/dev/null >/dev/full"), 74);
  EXPECT_EQ(SandboxCount(), 0);
  EXPECT_EQ(Shell("yes \"print(1)\" | cli repl 2>/dev/null | head -1 >/dev/null; exit ${PIPESTATUS[1]}"), 74);
  EXPECT_EQ(SandboxCount(), 0);
}

TEST_F(ReplTest, TellsOfASandboxThatIsNotThereBeforeAnythingIsTyped) {
  Typist typist(server_->address(), {"repl", "sandboxes/nobody"});
  typist.Await("SANDBOX_NOT_FOUND");
  EXPECT_EQ(typist.AwaitExit(), 2);
}

TEST_F(ReplTest, TellsThatALineWasNotRunAfterALoss) {
  Typist typist(server_->address());
  typist.Await(">>> ");
  typist.Type("import os; os.abort()\n");
  typist.Await("SIGABRT");
  typist.Await(">>> ");
  typist.Type("print('never')\n");
  typist.Await("what was typed last was not run");
  typist.Await(">>> ");
  typist.Type("40 + 2\n");
  typist.Await("42");
  typist.Await(">>> ");
  typist.Type("\x04");
  EXPECT_EQ(typist.AwaitExit(), 0);
}

TEST_F(ReplTest, AProgramCanBeTypedAndGivenUp) {
  Typist abandoned(server_->address(), {"run", "-"});
  // Nothing tells when it reads.
  EXPECT_EQ(abandoned.AwaitExit("\x03"), -SIGINT);

  Typist typist(server_->address(), {"run", "-"});
  typist.Type("print(6 * 7)\n\x04");
  typist.Await("42");
  EXPECT_EQ(typist.AwaitExit(), 0);
}

}  // namespace
}  // namespace cloister::testing
