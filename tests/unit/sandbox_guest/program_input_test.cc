// Files, stdin, environment and limits of a program.

#include "tests/unit/sandbox_guest/guest_test.h"

namespace cloister::sandbox {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

using ProgramInputTest = GuestTest;

void AddFile(v1::Program& program, const std::string& path, const std::string& content) {
  program.add_files()->set_path(path);
  program.mutable_files()->rbegin()->set_content(content);
}

TEST_F(ProgramInputTest, StandardInputAtBothLevels) {
  v1::Program program;
  program.set_stdin("one\ntwo\nthree");
  program.set_code(
      "import os, sys\nprint([input(), sys.stdin.readline(), sys.stdin.read(), sys.stdin.read()])\n"
      "try: input()\nexcept EOFError: print('end')\n");
  EXPECT_EQ(Run(program).output, "['one', 'two\\n', 'three', '']\nend\n");
  program.set_code("import os\nprint(os.read(0, 100), os.read(0, 100))");
  EXPECT_EQ(Run(program).output, "b'one\\ntwo\\nthree' b''\n");
  program.set_stdin(std::string("\0\xff", 2));
  program.set_code("import sys\nprint(sys.stdin.buffer.read())");
  EXPECT_EQ(Run(program).output, "b'\\x00\\xff'\n");
}

TEST_F(ProgramInputTest, LargeStandardInput) {
  v1::Program program;
  program.set_stdin(std::string(5 << 20, 'x'));
  program.set_code("import sys\nprint(len(sys.stdin.read()))");
  EXPECT_EQ(Run(program).output, "5242880\n");
}

TEST_F(ProgramInputTest, NoStandardInputIsTheEnd) {
  EXPECT_EQ(ExpectRaised(Run("input()"), "EOFError").message(), "EOF when reading a line");
}

TEST_F(ProgramInputTest, EnvironmentReachesPythonAndC) {
  v1::Program program;
  (*program.mutable_environment())["GREETING"] = "h\xc3\xa9llo";
  (*program.mutable_environment())["HOME"] = "/elsewhere";
  program.set_code(
      "import ctypes, os\nlibc = ctypes.CDLL(None)\nlibc.getenv.restype = ctypes.c_char_p\n"
      "print(os.environ['GREETING'], libc.getenv(b'GREETING'), os.environ['HOME'], "
      "sorted(os.environ))");
  EXPECT_EQ(Run(program).output,
            "h\xc3\xa9llo b'h\\xc3\\xa9llo' /elsewhere ['GREETING', 'HOME', 'LANG', 'PATH']\n");
}

TEST_F(ProgramInputTest, FilesArePlaced) {
  v1::Program program;
  AddFile(program, "data/deep/a.bin", std::string("\0\xff", 2));
  AddFile(program, "run.sh", "x");
  program.mutable_files(1)->set_executable(true);
  AddFile(program, "run.sh", "replaced");
  program.set_code(
      "import os\nprint(os.getcwd(), open('data/deep/a.bin', 'rb').read(), "
      "open('/workspace/run.sh').read(),\n"
      "  oct(os.stat('run.sh').st_mode), oct(os.stat('data').st_mode))");
  EXPECT_EQ(Run(program).output, "/workspace b'\\x00\\xff' replaced 0o100755 0o40755\n");
}

TEST_F(ProgramInputTest, FilesThatCannotBePlacedAreAnError) {
  v1::Program escape;
  AddFile(escape, "../out", "x");
  EXPECT_THAT(ExpectRaised(Run(escape), "OSError").message(), HasSubstr("'../out'"));
  v1::Program conflict;
  AddFile(conflict, "a", "x");
  AddFile(conflict, "a/b", "x");
  EXPECT_EQ(ExpectRaised(Run(conflict), "NotADirectoryError").message(),
            "[Errno 20] Not a directory: 'a/b'");
  v1::Program large;
  AddFile(large, "big", std::string(9 << 20, 'x'));
  EXPECT_THAT(ExpectRaised(Run(large), "OSError").message(),
              StartsWith("[Errno 28] No space left"));
}

TEST_F(ProgramInputTest, FilesAreReturned) {
  v1::Program program;
  program.set_code(
      "import os\nos.makedirs('out'); open('out/a', 'wb').write(b'\\0\\xff')\n"
      "left_open = open('late', 'w'); left_open.write('flushed at the end')\n"
      "os.symlink('/etc/passwd', 'link'); os.symlink('/etc', 'way'); os.mkfifo('pipe')\n"
      "os.chdir('/')\n");
  for (const char* path :
       {"out/a", "late", "missing", "link", "way/passwd", "pipe", "out", "../etc/passwd"}) {
    program.add_return_files(path);
  }
  const GuestRun run = Run(program);
  ExpectSucceeded(run);
  std::map<std::string, std::string> got;
  for (const auto& file : run.finished->files()) {
    got[file.path()] = file.error().empty() ? file.content() : "! " + file.error();
  }
  EXPECT_EQ(got, (std::map<std::string, std::string>{
                     {"out/a", std::string("\0\xff", 2)},
                     {"late", "flushed at the end"},
                     {"missing", "! missing"},
                     {"link", "! not a regular file"},
                     {"way/passwd", "! not a regular file"},
                     {"pipe", "! not a regular file"},
                     {"out", "! not a regular file"},
                     {"../etc/passwd", "! not a path below the workspace"}}));
}

TEST_F(ProgramInputTest, FilesAreReturnedAfterAnException) {
  v1::Program program;
  program.set_code("f = open('log', 'w')\nf.write('so far')\n1 / 0");
  program.add_return_files("log");
  const GuestRun run = Run(program);
  ExpectRaised(run, "ZeroDivisionError");
  ASSERT_EQ(run.finished->files_size(), 1);
  EXPECT_EQ(run.finished->files(0).content(), "so far");
}

TEST_F(ProgramInputTest, ReturnedFilesAreBounded) {
  v1::Program program;
  program.set_code("open('sparse', 'w').truncate(1 << 40)\nopen('small', 'w').write('x')");
  program.add_return_files("sparse");
  program.add_return_files("small");
  const GuestRun run = Run(program);
  ExpectSucceeded(run);
  EXPECT_THAT(run.finished->files(0).error(), StartsWith("too large: 1099511627776 bytes"));
  EXPECT_EQ(run.finished->files(1).content(), "x");
}

TEST_F(ProgramInputTest, LimitsAreApplied) {
  internal::v1::RunProgram request;
  request.mutable_limits()->set_open_file_count(20);
  request.mutable_limits()->set_file_bytes(1000);
  request.mutable_limits()->set_data_bytes(int64_t{512} << 20);
  request.mutable_limits()->set_cpu_seconds(7);
  AddFile(*request.mutable_program(), "given", std::string(5000, 'x'));
  request.mutable_program()->set_stdin(std::string(5000, 'x'));
  request.mutable_program()->set_code(
      "import resource as r, errno\n"
      "print(*(r.getrlimit(n) for n in (r.RLIMIT_NOFILE, r.RLIMIT_FSIZE, r.RLIMIT_DATA, "
      "r.RLIMIT_CPU)))\n"
      "try: open('f', 'wb', 0).write(b'x' * 2000) == 1000 and open('f', 'ab', 0).write(b'x')\n"
      "except OSError as e: print(errno.errorcode[e.errno])\n"
      "try: bytearray(1 << 30)\n"
      "except MemoryError: print('MemoryError')\n"
      "files = []\n"
      "try:\n  while True: files.append(open('given'))\n"
      "except OSError as e: print(errno.errorcode[e.errno])\n");
  const GuestRun run = harness_->Run(request);
  ExpectSucceeded(run);
  EXPECT_EQ(run.output,
            "(20, 20) (1000, 1000) (536870912, 536870912) (7, 8)\nEFBIG\nMemoryError\nEMFILE\n");
}

}  // namespace
}  // namespace cloister::sandbox
