#include "clients/cli/command_line.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace cloister::cli {
namespace {

using testing::HasSubstr;

struct Said {
  int code = 0;
  std::string out;
  std::string err;
};

std::string Contents(int fd) {
  std::string text(static_cast<size_t>(::lseek(fd, 0, SEEK_END)), '\0');
  EXPECT_EQ(::pread(fd, text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
  ::close(fd);
  return text;
}

// Runs `cloister` in this process; an address where nobody listens stands in for a server.
Said Cloister(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"--server", "unix:/nonexistent/cloister.sock"});
  const OutputFds fds{::memfd_create("out", MFD_CLOEXEC), ::memfd_create("err", MFD_CLOEXEC)};
  const int code = RunCommandLine(arguments, fds);
  return {code, Contents(fds.out), Contents(fds.err)};
}

TEST(CommandLineTest, EveryCommandHasHelpWithAnExample) {
  EXPECT_THAT(Cloister({"--help"}).out, HasSubstr("Examples:"));
  for (const char* command : {"run", "attach", "interrupt", "info", "bench"}) {
    const Said said = Cloister({command, "--help"});
    EXPECT_EQ(said.code, 0) << command;
    EXPECT_THAT(said.out, HasSubstr("Example")) << command;
    EXPECT_THAT(said.out, HasSubstr(std::string("cloister ") + command)) << command;
  }
  EXPECT_THAT(Cloister({"run", "--help"}).out, HasSubstr("Exit codes:"));
}

TEST(CommandLineTest, WrongInputIsOneClearLine) {
  const std::vector<std::vector<std::string>> wrong = {
      {},
      {"frobnicate"},
      {"run"},
      {"run", "/nonexistent.py"},
      {"run", "-c"},
      {"run", "-c", "1", "--memory", "12Q"},
      {"run", "-c", "1", "--frobnicate"},
      {"run", "a.py", "b.py"},
      {"run", "a.py", "-c", "1"},
      {"attach"},
      {"attach", "executions/a", "--after", "-1"},
      {"interrupt"},
      {"bench"},
      {"bench", "frobnicate"},
      {"bench", "echo", "--duration", "never"},
      {"bench", "echo", "--clients", "0"},
      {"info", "--", "x"},
  };
  for (const auto& arguments : wrong) {
    const Said said = Cloister(arguments);
    EXPECT_EQ(said.code, 2) << testing::PrintToString(arguments);
    EXPECT_EQ(std::count(said.err.begin(), said.err.end(), '\n'), 1) << said.err;
    EXPECT_THAT(said.err, testing::StartsWith("cloister: "));
    EXPECT_EQ(said.out, "");
  }
}

TEST(CommandLineTest, AnAddressThatIsNoneIsBadUsage) {
  const Said said = Cloister({"--server", "nowhere", "info"});
  EXPECT_EQ(said.code, 2);
}

TEST(CommandLineTest, AnAbsentServerIsUnavailable) {
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{"info"},
                                             {"run", "-c", "1"},
                                             {"run", "-c", "1", "--", "--memory", "[1,2]", "info"},
                                             {"attach", "executions/a"},
                                             {"interrupt", "executions/a"},
                                             {"bench", "fresh"}}) {
    const Said said = Cloister(arguments);
    EXPECT_EQ(said.code, 69) << testing::PrintToString(arguments) << said.err;
    EXPECT_THAT(said.err, HasSubstr("cannot reach the server at unix:/nonexistent/cloister.sock"));
  }
}

TEST(CommandLineTest, TheServerMayBeNamedAfterTheCommand) {
  const OutputFds fds{::memfd_create("out", MFD_CLOEXEC), ::memfd_create("err", MFD_CLOEXEC)};
  EXPECT_EQ(RunCommandLine({"info", "--server", "unix:/nonexistent/other.sock"}, fds), 69);
  Contents(fds.out);
  EXPECT_THAT(Contents(fds.err), HasSubstr("unix:/nonexistent/other.sock"));
}

}  // namespace
}  // namespace cloister::cli
