// `cloister repl` as a person uses it: under a terminal, with Ctrl-C and Ctrl-D.

#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

#include "gmock/gmock.h"
#include "tests/integration/live_test.h"

namespace cloister::testing {
namespace {

constexpr int kPatienceMilliseconds = 20'000;

// A terminal with the command at its other end.
class Typist {
 public:
  explicit Typist(const std::string& server) {
    pid_ = ::forkpty(&terminal_, nullptr, nullptr, nullptr);
    if (pid_ != 0) return;
    ::setenv("TERM", "dumb", 1);
    ::execl(CLOISTER_CLI, "cloister", "--server", server.c_str(), "repl", nullptr);
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

  int AwaitExit() {
    int status = 0;
    char piece[4096];
    while (::read(terminal_, piece, sizeof(piece)) > 0) {
    }
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

 private:
  pid_t pid_ = -1;
  int terminal_ = -1;
  std::string shown_;
};

class ReplTest : public LiveTest {};

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
  v1::ListSandboxesResponse left;
  ASSERT_TRUE(
      server_->sandboxes().ListSandboxes(Context().get(), v1::ListSandboxesRequest(), &left).ok());
  EXPECT_EQ(left.sandboxes_size(), 0) << "its own sandbox ends with it";
}

}  // namespace
}  // namespace cloister::testing
