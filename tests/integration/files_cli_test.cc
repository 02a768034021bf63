// `cloister files` against a real server.

#include <stdlib.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
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

  // What a shell says to a command line in the directory; "cli" stands for `cloister files`.
  struct Answer {
    int code = -1;
    std::string output;  // stdout and stderr
  };
  Answer Shell(const std::string& line) {
    const std::string script =
        absl::StrCat("cd ", directory_.string(), " && S=", sandbox_, " && cli() { ", CLOISTER_CLI,
                     " --server ", server_->address(), " files \"$@\"; }; exec 2>&1; ", line);
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
