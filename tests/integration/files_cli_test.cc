// `cloister files` against a real server.

#include <stdlib.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "tests/integration/live_test.h"

namespace cloister::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class FilesCliTest : public LiveTest {
 protected:
  void SetUp() override {
    char name[] = "/tmp/cloister_files_cli_XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    directory_ = name;
    sandbox_ = Create().name();
  }
  void TearDown() override {
    LiveTest::TearDown();
    fs::remove_all(directory_);
  }

  // What a shell says to a command line in the directory; "cli" stands for `cloister files`, $S for the sandbox.
  struct Answer {
    int code = -1;
    std::string output;  // stdout and stderr
  };
  Answer Shell(const std::string& line) {
    const std::string script =
        absl::StrCat("cd ", directory_.string(), " && S=", sandbox_, " && cli() { ", CLOISTER_CLI,
                     " --server ", server_->address(), " files \"$@\"; }; cloister() { ", CLOISTER_CLI, " --server ",
                     server_->address(), " \"$@\"; }; exec 2>&1; ", line);
    std::ofstream(directory_ / ".script") << script;
    std::FILE* pipe = popen(absl::StrCat("bash ", directory_.string(), "/.script").c_str(), "r");
    Answer answer;
    std::array<char, 4096> piece;
    while (const size_t count = fread(piece.data(), 1, piece.size(), pipe)) {
      answer.output.append(piece.data(), count);
    }
    answer.code = WEXITSTATUS(pclose(pipe));
    return answer;
  }
  std::string Local(const std::string& name) {
    std::ostringstream text;
    text << std::ifstream(directory_ / name).rdbuf();
    return text.str();
  }

  fs::path directory_;
  std::string sandbox_;
};

TEST_F(FilesCliTest, PutsAndGetsFiles) {
  EXPECT_EQ(Shell("printf hello > a.txt; cli put $S a.txt in/b.txt; cli put $S a.txt; "
                  "cli put $S a.txt dir/")
                .code,
            0);
  EXPECT_EQ(Value(sandbox_, "[open(p).read() for p in ('in/b.txt', 'a.txt', 'dir/a.txt')]"),
            "['hello', 'hello', 'hello']");
  EXPECT_EQ(Shell("cli get $S in/b.txt; cat b.txt; cli get $S a.txt -").output, "hellohello");
  EXPECT_EQ(Shell("mkdir d; cli get $S a.txt d; cat d/a.txt").output, "hello");
  EXPECT_EQ(Shell("printf piped | cli put $S - p; cli get $S p -").output, "piped");
  EXPECT_EQ(Shell("printf '#!' > x; chmod +x x; cli put $S x; cli get $S x y; test -x y").code, 0);
}

TEST_F(FilesCliTest, CopiesDirectories) {
  const Answer put = Shell(
      "mkdir -p t/sub t/empty; printf 1 > t/one; printf 2 > t/sub/two; "
      "ln -s one t/link; cli put $S t/ -r");
  EXPECT_EQ(put.code, 74);
  EXPECT_THAT(put.output, HasSubstr("t/link: is a symbolic link and was left out"));
  EXPECT_EQ(Shell("cli get $S t back -r").code, 0);
  EXPECT_EQ(Local("back/one") + Local("back/sub/two"), "12");
  EXPECT_TRUE(fs::is_directory(directory_ / "back" / "empty"));
}

TEST_F(FilesCliTest, ListsAndRemoves) {
  (void)Cell(sandbox_,
             "import os\nos.makedirs('d/e')\nopen('d/f', 'w').write('123')\n"
             "open('d/\\x1b[31m', 'w')");
  const Answer list = Shell("cli ls $S d");
  EXPECT_EQ(list.code, 0);
  EXPECT_THAT(list.output, HasSubstr("d/e"));
  EXPECT_THAT(list.output, HasSubstr(" 3 "));
  EXPECT_EQ(list.output.find('\x1b'), std::string::npos);
  EXPECT_THAT(Shell("cli ls $S d/f").output, HasSubstr("d/f"));
  EXPECT_THAT(Shell("cli ls $S --json").output, HasSubstr("\"kind\": \"KIND_DIRECTORY\""));
  EXPECT_EQ(Shell("cli rm $S d").code, 2);
  EXPECT_EQ(Shell("cli rm $S d -r && cli mkdir $S a/b && cli rm $S gone -f").code, 0);
  EXPECT_EQ(Value(sandbox_, "os.path.isdir('a/b'), os.path.exists('d')"), "(True, False)");
}

TEST_F(FilesCliTest, KnowsTheWorkspaceByItsNames) {
  EXPECT_EQ(Shell("mkdir -p tree/sub; printf 1 > tree/sub/f; cd tree; cli put $S . -r; cli put $S . all -r; "
                  "cli put $S sub/f .")
                .code,
            0);
  EXPECT_EQ(Value(sandbox_, "[open(p).read() for p in ('tree/sub/f', 'all/sub/f', 'f')]"), "['1', '1', '1']");
  for (const char* all : {".", "./", "/workspace"}) {
    EXPECT_THAT(Shell(absl::StrCat("cli ls $S ", all)).output, HasSubstr("  tree\n")) << all;
  }
  EXPECT_THAT(Shell("cli ls $S ./tree/").output, HasSubstr("  tree/sub\n"));
  const Answer outside = Shell("cli ls $S /");
  EXPECT_EQ(outside.code, 2);
  EXPECT_THAT(outside.output, HasSubstr("files ls: /: is outside of /workspace"));
  EXPECT_EQ(Shell("cli get $S . out -r").code, 0);
  EXPECT_EQ(Local("out/tree/sub/f") + Local("out/f"), "11");
  EXPECT_EQ(Shell("cli get $S .").code, 2);
  EXPECT_EQ(Shell("cli get $S ../x out2 -r").code, 2);
  EXPECT_EQ(Shell("cli get $S missing out2 -r").code, 2);
  EXPECT_FALSE(fs::exists(directory_ / "out2")) << "nothing is made for what is not there";
}

TEST_F(FilesCliTest, LeavesOutWhatItCannotNameAndGoesOn) {
  (void)Cell(sandbox_,
             "import os\nos.makedirs(b't/d\\xff')\nopen(b't/d\\xff/in', 'w')\nopen(b't/a\\xe9', 'w')\n"
             "open('t/z', 'w').write('3')\nos.symlink('z', 't/link')\n");
  const Answer get = Shell("cli get $S t out -r");
  EXPECT_EQ(get.code, 74);
  EXPECT_THAT(get.output, HasSubstr("t/a\\ufffd: has a name that is not UTF-8 and was left out"));
  EXPECT_THAT(get.output, HasSubstr("t/link: is a symbolic link and was left out"));
  EXPECT_EQ(Local("out/z"), "3");
  EXPECT_EQ(std::distance(fs::directory_iterator(directory_ / "out"), {}), 1);
  EXPECT_THAT(Shell("cli ls $S t").output, HasSubstr("t/a\\ufffd\n"));

  const Answer put = Shell("mkdir -p p/$'\\xff'; printf 1 > p/$'b\\xfe'; printf 2 > p/c; cli put $S p -r");
  EXPECT_EQ(put.code, 74);
  EXPECT_THAT(put.output, HasSubstr("p/b\\376: has a name that is not UTF-8 and was left out"));
  EXPECT_EQ(Value(sandbox_, "os.listdir('p')"), "['c']");
}

TEST_F(FilesCliTest, DevicesLinksAndFifosStayWhatTheyAre) {
  (void)Cell(sandbox_, "open('f', 'w').write('new')");
  EXPECT_EQ(Shell("printf old > real; ln -s real link; ln -s /dev/full full; cli get $S f link && cat real").output, "new");
  EXPECT_TRUE(fs::is_symlink(directory_ / "link"));
  const Answer full = Shell("cli get $S f full");
  EXPECT_EQ(full.code, 74);
  EXPECT_THAT(full.output, HasSubstr("full: No space left on device"));
  EXPECT_EQ(Shell("mkfifo ff; cat ff & cli get $S f ff; wait; test -p ff").output, "new");
  const Answer put = Shell("{ printf piped > ff; } & cli put $S ff; wait; cli get $S ff -");
  EXPECT_THAT(put.output, HasSubstr("ff: is a FIFO; waiting for what is written to it"));
  EXPECT_THAT(put.output, ::testing::EndsWith("piped"));
  EXPECT_EQ(Shell("cli put $S <(printf quick) q; cli get $S q -").output, "quick");
}

TEST_F(FilesCliTest, OutputThatCannotBeWrittenIsTold) {
  (void)Cell(sandbox_, "open('f', 'w').write('x')");
  for (const char* command : {"cli get $S f -", "cli ls $S", "cloister sandbox list", "cloister info",
                              "cloister exec $S -c 'print(1)'", "cloister exec $S -c 1 --value"}) {
    const Answer answer = Shell(absl::StrCat(command, " > /dev/full"));
    EXPECT_EQ(answer.code, 74) << command;
    EXPECT_THAT(answer.output, HasSubstr("stdout: No space left on device\n"));
  }
  const Answer closed = Shell("cloister sandbox list >&-");
  EXPECT_EQ(closed.code, 74);
  EXPECT_EQ(closed.output, "cloister: stdout: Bad file descriptor\n");
  const Answer no_input = Shell("cloister run - <&-");
  EXPECT_EQ(no_input.code, 2);
  EXPECT_THAT(no_input.output, HasSubstr("cannot read standard input: Bad file descriptor"));
  EXPECT_EQ(Shell("cli get $S f alone <&- >&- 2>&-").code, 0);
  EXPECT_EQ(Local("alone"), "x") << "nothing else was written where a stream was closed";
  // What was made can still be removed.
  const Answer made = Shell("N=$(cloister sandbox create 2>&1 >/dev/full | sed -n 's/.*made //p'); "
                            "cloister sandbox rm $N");
  EXPECT_EQ(made.code, 0) << made.output;
}

TEST_F(FilesCliTest, SnapshotsAreListedShownAndRemoved) {
  const Answer answer = Shell("P=$(cloister sandbox snapshot $S) && cloister snapshot list | grep -c $P; "
                              "cloister snapshot show $P; cloister snapshot show $P --json | grep -c '\"name\"'; "
                              "cloister snapshot list --json | grep -c $P; cloister sandbox rm $P; "
                              "cloister snapshot rm $P; cloister snapshot show $P");
  EXPECT_EQ(answer.code, 2);
  EXPECT_THAT(answer.output, ::testing::StartsWith("1\nname"));
  EXPECT_THAT(answer.output, HasSubstr(absl::StrCat("sandbox      ", sandbox_)));
  EXPECT_THAT(answer.output, HasSubstr("is no sandbox; `cloister snapshot rm` removes it"));
  EXPECT_THAT(answer.output, HasSubstr("SNAPSHOT_NOT_FOUND"));
}

TEST_F(FilesCliTest, ShowsASandboxAndWhatHelpsALostOne) {
  const std::string shown = Shell("cloister sandbox show $S").output;
  EXPECT_THAT(shown, HasSubstr("memory       256 MiB\n"));
  EXPECT_THAT(shown, HasSubstr("wall time    10s\n"));
  (void)Cell(sandbox_, "import os\nos.abort()");
  const Answer lost = Shell("cloister exec $S -c 1");
  EXPECT_EQ(lost.code, 2);
  EXPECT_THAT(lost.output, HasSubstr("`cloister sandbox restart SANDBOX` gives it a new start"));
}

TEST_F(FilesCliTest, FailuresHaveCodesAndLeaveNothing) {
  EXPECT_EQ(Shell("printf old > keep; cli get $S missing keep").code, 2);
  EXPECT_EQ(Local("keep"), "old");
  EXPECT_EQ(Shell("cli get $S missing new").code, 2);
  EXPECT_FALSE(fs::exists(directory_ / "new"));
  EXPECT_EQ(Shell("cli put $S nothing-here").code, 74);
  EXPECT_EQ(Shell("cli put $S -").code, 2);
  EXPECT_EQ(Shell("mkdir dir; cli put $S dir").code, 2);
  EXPECT_EQ(Shell("cli ls sandboxes/nobody").code, 2);
  EXPECT_EQ(Shell("printf 1 > f; cli put $S f; cli put $S f -n").code, 2);
  EXPECT_EQ(Shell("head -c 70000000 /dev/zero | cli put $S - large").code, 69);
  EXPECT_EQ(Shell("cli put $S f ../f").code, 2);
  EXPECT_EQ(Shell("cli frobnicate").code, 2);
  EXPECT_THAT(Shell("cli --help").output, HasSubstr("files get $s plot.png"));
  EXPECT_EQ(Shell("ls -A | grep -c cloister-").output, "0\n");
}

}  // namespace
}  // namespace cloister::testing
