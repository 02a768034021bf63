#include "clients/cli/command_line.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
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
  for (const char* command : {"create", "list", "show", "restart", "fork", "snapshot", "rm"}) {
    const std::string help = Cloister({"sandbox", command, "--help"}).out;
    EXPECT_THAT(help, HasSubstr(std::string("cloister sandbox ") + command));
    EXPECT_THAT(help, HasSubstr("Exit codes:"));
  }
  for (const char* command : {"list", "show", "rm"}) {
    const std::string help = Cloister({"snapshot", command, "--help"}).out;
    EXPECT_THAT(help, HasSubstr(std::string("cloister snapshot ") + command));
    EXPECT_THAT(help, HasSubstr("Exit codes:"));
  }
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

// An empty value would pass for one that was not given: `exec "$unset" …` for a fresh sandbox.
TEST(CommandLineTest, AnEmptyValueIsBadUsage) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> wrong = {
      {{"exec", "", "-c", "1"}, "SANDBOX is empty"},
      {{"repl", ""}, "SANDBOX is empty"},
      {{"attach", ""}, "EXECUTION is empty"},
      {{"interrupt", ""}, "EXECUTION is empty"},
      {{"sandbox", "show", ""}, "SANDBOX is empty"},
      {{"sandbox", "rm", "sandboxes/a", ""}, "SANDBOX is empty"},
      {{"interp", "list", ""}, "SANDBOX is empty"},
      {{"interp", "rm", ""}, "NAME is empty"},
      {{"files", "ls", ""}, "SANDBOX is empty"},
      {{"files", "get", "sandboxes/a", ""}, "REMOTE is empty"},
      {{"run", ""}, "FILE is empty"},
      {{"run", "-c", "1", "--wall", ""}, "--wall is empty"},
      {{"run", "-c", "1", "--memory", ""}, "--memory is empty"},
      {{"run", "-c", "1", "--processes", ""}, "--processes is empty"},
      {{"run", "-c", "1", "-t", ""}, "--template is empty"},
  };
  for (const auto& [arguments, message] : wrong) {
    const Said said = Cloister(arguments);
    EXPECT_EQ(said.code, 2) << testing::PrintToString(arguments);
    EXPECT_THAT(said.err, HasSubstr(message));
  }
  // Nothing is wrong with an empty program or argument, but that nobody listens.
  EXPECT_EQ(Cloister({"run", "-c", "", "--arg", ""}).code, 69);
}

TEST(CommandLineTest, WhatIsNotUtf8IsToldBeforeAnythingIsSent) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> wrong = {
      {{"run", "-c", "1", "--arg", "\xff"}, "--arg is not UTF-8"},
      {{"run", "-c", "1", "--", "\xff"}, "an argument after -- is not UTF-8"},
      {{"run", "-c", "1", "-e", "A=\xff"}, "--env is not UTF-8"},
      {{"run", "-c", "1", "-f", "/dev/null:\xff"}, "--file is not UTF-8"},
      {{"exec", "sandboxes/\xff", "-c", "1"}, "SANDBOX is not UTF-8"},
      {{"sandbox", "show", "\xff"}, "SANDBOX is not UTF-8"},
      {{"files", "rm", "sandboxes/a", "\xff"}, "PATH is not UTF-8"},
  };
  for (const auto& [arguments, message] : wrong) {
    const Said said = Cloister(arguments);
    EXPECT_EQ(said.code, 2) << testing::PrintToString(arguments);
    EXPECT_THAT(said.err, HasSubstr(message));
  }
  EXPECT_EQ(Cloister({"run", "-c", "b'\xff'"}).code, 69) << "code is bytes";
  ::setenv("CLOISTER_TEST_BYTES", "\xff", 1);
  EXPECT_THAT(Cloister({"run", "-c", "1", "-e", "CLOISTER_TEST_BYTES"}).err,
              HasSubstr("--env CLOISTER_TEST_BYTES: its value is not UTF-8"));
  ::unsetenv("CLOISTER_TEST_BYTES");
}

TEST(CommandLineTest, NamesWhatItDoesNotKnowAndWhereHelpIs) {
  EXPECT_THAT(Cloister({"foo"}).err, HasSubstr("there is no command \"foo\" (see `cloister --help`)"));
  EXPECT_THAT(Cloister({"sandbox", "foo"}).err, HasSubstr("\"foo\" (see `cloister sandbox --help`)"));
  EXPECT_THAT(Cloister({"sandbox", "fork", "sandboxes/a", "--foo"}).err,
              HasSubstr("--foo (see `cloister sandbox fork --help`)"));
  EXPECT_THAT(Cloister({"--foo"}).err, HasSubstr("there is no option --foo"));
}

TEST(CommandLineTest, SaysWhatANumberMayBe) {
  for (const char* number : {"-1", "x", "1.5", "99999999999999999999"}) {
    EXPECT_EQ(Cloister({"attach", "executions/a", "--after", number}).err,
              absl::StrCat("cloister: --after: \"", number, "\" is no event's number; events are numbered from 1 "
                           "(see `cloister attach --help`)\n"));
  }
  EXPECT_THAT(Cloister({"run", "-c", "1", "--memory", "99999999T"}).err,
              HasSubstr("at least one byte and less than 8388608T"));
}

TEST(CommandLineTest, SaysWhichCommandRemovesWhatIsNoSandbox) {
  EXPECT_EQ(Cloister({"sandbox", "rm", "snapshots/a"}).err,
            "cloister: snapshots/a: is no sandbox; `cloister snapshot rm` removes it\n");
  EXPECT_EQ(Cloister({"sandbox", "rm", "sandboxes/a/interpreters/b"}).code, 2);
}

TEST(CommandLineTest, KnowsItsVersion) {
  const Said said = Cloister({"--version"});
  EXPECT_EQ(said.code, 0);
  EXPECT_THAT(said.out, testing::MatchesRegex("cloister [0-9.]+\n"));
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
