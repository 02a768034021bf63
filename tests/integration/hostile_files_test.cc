// Programs that make their files, and the process that serves them, as hard to handle as they can.

#include <fstream>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "tests/integration/files_test.h"

namespace cloister::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

class HostileFilesTest : public FilesTest {};

TEST_F(HostileFilesTest, LinksAndOtherTricksAreRefused) {
  const std::string sandbox = Create().name();
  (void)Cell(sandbox,
             "import os\nos.symlink('/etc/passwd', 'file')\nos.symlink('/tmp', 'dir')\n"
             "os.symlink('..', 'up')\nos.mkfifo('pipe')\nos.mkdir('d')\nos.mkdir('closed', 0)\n"
             "open('d/x', 'w').write('1')");
  for (const char* path : {"file", "dir/x", "up/etc/passwd", "pipe", "d", "d/x/y", "closed/x"}) {
    std::string data;
    EXPECT_EQ(Reason(TryGet(sandbox, path, &data)), "PATH_REFUSED") << path;
    v1::WriteFileRequest first;
    first.set_make_parents(true);
    EXPECT_EQ(Reason(Put(sandbox, path, "x", first)), "PATH_REFUSED") << path;
  }
  for (const char* path : {"", "/etc/passwd", "../x", "d/../x", "d//x", "./x", "d/"}) {
    std::string data;
    EXPECT_EQ(Reason(TryGet(sandbox, path, &data)), "FIELD_INVALID") << path;
    EXPECT_EQ(Reason(Put(sandbox, path, "x")), "FIELD_INVALID") << path;
    EXPECT_EQ(Reason(Remove(sandbox, path)), "FIELD_INVALID") << path;
  }
  EXPECT_EQ(Reason(Remove(sandbox, "d")), "PATH_REFUSED");
  EXPECT_EQ(StatReason(sandbox, "nothing"), "FILE_NOT_FOUND");
  v1::FileInfo info;
  ASSERT_TRUE(Stat(sandbox, "file", &info).ok());
  EXPECT_EQ(info.kind(), v1::FileInfo::KIND_SYMBOLIC_LINK);
  for (const char* path : {"file", "dir", "up", "pipe", "closed"}) {
    EXPECT_TRUE(Remove(sandbox, path).ok()) << path;
  }
  EXPECT_TRUE(Remove(sandbox, "d", true).ok());
  EXPECT_THAT(List(sandbox, ""), IsEmpty());
}

TEST_F(HostileFilesTest, NamesOfAnyBytesAndInAnyNumber) {
  const std::string sandbox = Create().name();
  (void)Cell(sandbox,
             "import os\nopen(b'\\xff\\xfe', 'w')\nopen('\\n\\x1b', 'w')\nos.mkdir('many')\n"
             "for i in range(12000): os.symlink('t', f'many/{i:05}')");
  EXPECT_THAT(List(sandbox, ""),
              UnorderedElementsAre("\n\x1b", "many", "\xEF\xBF\xBD\xEF\xBF\xBD"));
  EXPECT_EQ(List(sandbox, "many", false, 1000).size(), 12000u);
  EXPECT_TRUE(Remove(sandbox, "many", true).ok());
  EXPECT_EQ(StatReason(sandbox, "many"), "FILE_NOT_FOUND");
}

// What a program can try on the process beside it, whose number it knows. Prints what it may do,
// which is nothing. (ptrace and process_vm_readv cost it its life, whomever they name.)
constexpr char kAttack[] = R"(
import ctypes, os, signal
libc = ctypes.CDLL(None, use_errno=True)
tried = 0
def attempt(what, action):
    global tried
    tried += 1
    try:
        action()
        print('ESCAPED:', what)
    except OSError:
        pass
for number in (0, signal.SIGKILL, signal.SIGSTOP, signal.SIGUSR1):
    attempt(f'signal {number}', lambda: os.kill(pid, number))
attempt('list fd', lambda: os.listdir(f'/proc/{pid}/fd'))
attempt('readlink', lambda: os.readlink(f'/proc/{pid}/root'))
for name in ('mem', 'maps', 'environ', 'auxv', 'comm', 'status', 'stack', 'syscall'):
    attempt(name, lambda: open(f'/proc/{pid}/{name}', 'rb').close())
for call in ((434, pid, 0), (424, pid, 9, 0, 0), (62, pid, 0)):
    if libc.syscall(*call) >= 0:
        print('ESCAPED: system call', call)
print('tried', tried, str(pid) in os.listdir('/proc'))
)";

// The number a process has in the innermost pid namespace.
std::string InnerPid(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("NSpid:", 0) == 0) return line.substr(line.find_last_of("\t ") + 1);
  }
  return "";
}

TEST_F(HostileFilesTest, ProgramsCannotTouchTheProcess) {
  const std::string sandbox = Create().name();
  ASSERT_TRUE(Put(sandbox, "f", "1").ok());
  const std::vector<pid_t> processes = FileProcesses();
  ASSERT_EQ(processes.size(), 1u);
  const std::string pid = InnerPid(processes[0]);
  ASSERT_NE(pid, "");
  const v1::RunCodeResponse response = Cell(sandbox, absl::StrCat("pid = ", pid, "\n", kAttack));
  EXPECT_THAT(response.stdout(), Not(HasSubstr("ESCAPED")));
  EXPECT_THAT(response.stdout(), HasSubstr("tried 14 False")) << response.stderr();
  EXPECT_EQ(Read(sandbox, "f"), "1");
  EXPECT_EQ(FileProcesses(), processes);
}

TEST_F(HostileFilesTest, SwappedDirectoriesNeverLeadOut) {
  const std::string sandbox = Create().name();
  ASSERT_TRUE(Put(sandbox, "d/secret", "inside",
                  [] {
                    v1::WriteFileRequest first;
                    first.set_make_parents(true);
                    return first;
                  }())
                  .ok());
  RunningCell cell(server_->executions(), sandbox,
                   "import os\nos.symlink('/tmp', 'l')\nopen('/tmp/secret', 'w').write('outside')\n"
                   "print('begun', flush=True)\n"
                   "while not os.path.exists('stop'):\n"
                   "  os.rename('d', 'm'); os.rename('l', 'd'); os.rename('d', 'l'); "
                   "os.rename('m', 'd')\n"
                   "print(sorted(os.listdir('/tmp')), flush=True)");
  cell.AwaitOutput("begun");
  for (int i = 0; i < 500; ++i) {
    std::string data;
    if (TryGet(sandbox, "d/secret", &data).ok()) {
      EXPECT_EQ(data, "inside");
    }
    (void)Put(sandbox, "d/new", "new");
  }
  ASSERT_TRUE(Put(sandbox, "stop", "").ok());
  cell.AwaitOutput("['secret']");
}

// A removal does not go on for as long as the program likes. It fills no more than memory has room for.
TEST_F(HostileFilesTest, WhatIsFilledAgainIsRemovedOrNotButSoon) {
  const std::string sandbox = Create().name();
  RunningCell cell(server_->executions(), sandbox,
                   "import os\nos.makedirs('d/e', exist_ok=True)\nprint('begun', flush=True)\n"
                   "n = 0\n"
                   "while not os.path.exists('stop'):\n"
                   "  try:\n"
                   "    if len(os.listdir('d/e')) > 15_000: continue\n"
                   "    for i in range(100): n += 1; os.symlink('t', f'd/e/{n}')\n"
                   "  except FileNotFoundError: os.makedirs('d/e', exist_ok=True)\n"
                   "  except OSError: pass");
  cell.AwaitOutput("begun");
  const grpc::Status status = Remove(sandbox, "d", true);
  if (!status.ok()) {
    EXPECT_EQ(Reason(status), "PATH_REFUSED") << status.error_message();
    EXPECT_THAT(status.error_message(), HasSubstr("filled again"));
  }
  ASSERT_TRUE(Put(sandbox, "stop", "").ok());
  while (cell.Next().event_case() != v1::ExecutionEvent::EVENT_NOT_SET) {
  }
  EXPECT_TRUE(Remove(sandbox, "d", true).ok());
}

}  // namespace
}  // namespace cloister::testing
