// Sandboxes in an ordinary container, which allows neither root nor namespaces: Landlock, seccomp
// and rlimits alone. The container is imitated by ordinary_container.cc.

#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "sandbox/host/asio_loop.h"
#include "sandbox/host/spawner_client.h"
#include "sandbox/host/spawner_process.h"
#include "tests/integration/probe.h"
#include "tests/integration/server_process.h"

namespace cloister::testing {
namespace {

namespace fs = std::filesystem;
using internal::v1::Facilities;
using sandbox::Limits;
using sandbox::Sandbox;
using sandbox::SpawnerClient;
using sandbox::SpawnerProcess;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr unsigned int kNobody = 65534;

struct Result {
  std::string output;
  v1::Outcome outcome;
  std::vector<v1::ReturnedFile> files;
};

class Recorder final : public sandbox::ExecutionObserver {
 public:
  explicit Recorder(sandbox::AsioLoop* loop) : loop_(loop) {}
  void OnOutput(sandbox::OutputStream, std::string_view bytes) override {
    result_.output.append(bytes);
  }
  void OnFinished(sandbox::ExecutionEnd end) override {
    result_.outcome = std::move(end.outcome);
    result_.files = std::move(end.files);
    loop_->Stop();
  }
  const Result& result() const { return result_; }

 private:
  sandbox::AsioLoop* const loop_;
  Result result_;
};

// Where the spawner makes its scratch directory; belongs to the container's user.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    EXPECT_NE(mkdtemp(path_.data()), nullptr);
    EXPECT_EQ(chown(path_.c_str(), kNobody, kNobody), 0);
    setenv("TMPDIR", path_.c_str(), 1);
  }
  ~TemporaryDirectory() {
    unsetenv("TMPDIR");
    fs::remove_all(path_);
  }
  const std::string& path() const { return path_; }

  // The one directory in it; empty where there is none.
  std::string Scratch() const {
    for (const auto& entry : fs::directory_iterator(path_)) return entry.path();
    return "";
  }

 private:
  std::string path_ = "/tmp/cloister-container-test-XXXXXX";
};

class ContainerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto process = SpawnerProcess::Start(ORDINARY_CONTAINER, {CLOISTER_SPAWNER_BINARY});
    ASSERT_TRUE(process.ok()) << process.status();
    process_.emplace(*std::move(process));
    auto client = SpawnerClient::Connect(&loop_, process_->TakeSocket(), absl::Seconds(10));
    ASSERT_TRUE(client.ok()) << client.status();
    client_ = *std::move(client);
    const absl::Status started = StartZygote(Spec());
    ASSERT_TRUE(started.ok()) << started;
  }

  internal::v1::ZygoteSpec Spec() const {
    internal::v1::ZygoteSpec spec;
    spec.set_template_name("test");
    spec.set_image_root(absl::StrCat(CLOISTER_IMAGES, "/python3.14/rootfs"));
    spec.set_guest_binary(CLOISTER_GUEST_BINARY);
    spec.mutable_default_limits()->set_memory_bytes(int64_t{256} << 20);
    spec.mutable_default_limits()->set_process_count(64);
    spec.set_default_workspace_bytes(int64_t{64} << 20);
    return spec;
  }

  absl::Status StartZygote(const internal::v1::ZygoteSpec& spec) {
    absl::Status status;
    client_->StartZygote(spec, [&](absl::StatusOr<sandbox::ZygoteInfo> info) {
      status = info.status();
      if (info.ok()) zygote_id_ = info->zygote_id;
      loop_.Stop();
    });
    loop_.Run();
    return status;
  }

  std::unique_ptr<Sandbox> MakeSandbox() {
    std::unique_ptr<Sandbox> sandbox;
    client_->CreateSandbox(zygote_id_, [&](absl::StatusOr<std::unique_ptr<Sandbox>> made) {
      EXPECT_TRUE(made.ok()) << made.status();
      if (made.ok()) sandbox = *std::move(made);
      loop_.Stop();
    });
    loop_.Run();
    return sandbox;
  }

  Result Run(v1::Program program, const Limits& limits = {}) {
    const std::unique_ptr<Sandbox> sandbox = MakeSandbox();
    if (sandbox == nullptr) return {};
    Recorder recorder(&loop_);
    sandbox->Run(std::move(program), limits, &recorder);
    loop_.Run();
    return recorder.result();
  }

  Result Run(const std::string& code, const Limits& limits = {}) {
    v1::Program program;
    program.set_code(code);
    return Run(std::move(program), limits);
  }

  TemporaryDirectory temporary_;
  std::optional<SpawnerProcess> process_;
  sandbox::AsioLoop loop_;
  std::unique_ptr<SpawnerClient> client_;
  int64_t zygote_id_ = 0;
};

TEST_F(ContainerTest, TellsWhatIsInForce) {
  const Facilities& facilities = client_->facilities();
  EXPECT_EQ(facilities.setting(), Facilities::SETTING_CONTAINER);
  std::map<std::string, internal::v1::Facility> layers;
  for (const auto& facility : facilities.facilities()) layers[facility.name()] = facility;
  for (const char* name : {"landlock", "landlock_scope", "seccomp", "rlimits", "no_new_privs"}) {
    EXPECT_TRUE(layers[name].available()) << name << ": " << layers[name].detail();
  }
  for (const char* name : {"user_namespace", "pid_namespace", "network_namespace", "read_only_root",
                           "private_tmpfs"}) {
    EXPECT_FALSE(layers[name].available()) << name;
    EXPECT_NE(layers[name].detail(), "") << name;
  }
  EXPECT_THAT(layers["private_tmpfs"].detail(), HasSubstr("scratch directory"));
}

TEST_F(ContainerTest, RunsAProgramOnTheImagesPython) {
  const Result result =
      Run("import ctypes, datetime, hashlib, os, ssl, sys, tempfile, threading, zoneinfo\n"
          "thread = threading.Thread(target=lambda: print('hello'))\n"
          "thread.start(); thread.join()\n"
          "print(sys.path[0] == os.getcwd() == os.environ['HOME'], hashlib.sha256().digest_size)\n"
          "print(tempfile.gettempdir() == os.environ['TMPDIR'] != '/tmp', len(tempfile.mkdtemp()) "
          "> 5)\n"
          "zone = zoneinfo.ZoneInfo('Europe/Berlin')\n"
          "print(datetime.datetime(2026, 7, 1, tzinfo=zone).utcoffset())\n");
  EXPECT_EQ(Describe(result.outcome), "SUCCEEDED") << result.outcome.ShortDebugString();
  EXPECT_EQ(result.output, "hello\nTrue 32\nTrue True\n2:00:00\n");
}

TEST_F(ContainerTest, TakesFilesInAndOut) {
  v1::Program program;
  program.set_code(
      "import helper, pathlib, sys\n"
      "pathlib.Path('sub').mkdir()\n"
      "pathlib.Path('sub/out').write_text(helper.twice(sys.stdin.read()))\n");
  program.set_stdin("ab");
  program.add_files()->set_path("helper.py");
  program.mutable_files(0)->set_content("def twice(text): return text * 2\n");
  program.add_return_files("sub/out");
  const Result result = Run(std::move(program));
  EXPECT_EQ(Describe(result.outcome), "SUCCEEDED") << result.outcome.ShortDebugString();
  ASSERT_EQ(result.files.size(), 1u);
  EXPECT_EQ(result.files[0].content(), "abab") << result.files[0].error();
}

TEST_F(ContainerTest, RefusesFilesOfTheMachineAndOfSiblings) {
  const std::unique_ptr<Sandbox> sibling = MakeSandbox();
  ASSERT_NE(sibling, nullptr);
  const std::string scratch = temporary_.Scratch();
  const Result result = Run(absl::StrCat(
      "import os, pathlib\n"
      "def attempt(what, function, *arguments):\n"
      "    try: function(*arguments)\n"
      "    except PermissionError: pass\n"
      "    except OSError as error: print(what, error)\n"
      "    else: print('ESCAPED', what)\n"
      "here = pathlib.Path.cwd()\n"
      "for entry in pathlib.Path('",
      scratch,
      "').glob('*/workspace'): attempt('list', os.listdir, entry)\n"
      "sibling = str(here.parent.parent / str(int(here.parent.name) - 1) / 'workspace')\n"
      "assert os.path.isdir(sibling)\n"
      "attempt('list sibling', os.listdir, sibling)\n"
      "attempt('write sibling', open, sibling + '/x', 'w')\n"
      "attempt('close sibling', os.chmod, sibling, 0)\n"
      "attempt('list scratch', os.listdir, '",
      scratch,
      "')\n"
      "attempt('beside', open, here.parent / 'x', 'w')\n"
      "for path in ('/etc/passwd', '/proc/self/maps', '/proc/self/environ', '/proc/1/cmdline',\n"
      "             '/sys/kernel/notes'):\n"
      "    attempt(path, open, path)\n"
      "for path in ('/tmp/x', '/dev/shm/x', '/var/tmp/x', '",
      temporary_.path(),
      "/x'):\n"
      "    attempt(path, open, path, 'w')\n"
      "attempt('image', open, os.path.dirname(os.__file__) + '/os.py', 'a')\n"
      "attempt('times', os.utime, '",
      temporary_.path(),
      "')\n"
      "open('mine', 'w').close()\n"
      "print('done')\n"));
  EXPECT_EQ(result.output, "done\n") << result.outcome.ShortDebugString();
}

TEST_F(ContainerTest, RefusesSocketsAndProcesses) {
  const Result result =
      Run("import os, socket, subprocess, sys\n"
          "for attempt in (lambda: socket.socket(), lambda: socket.socket(socket.AF_UNIX),\n"
          "                os.fork, lambda: subprocess.run([sys.executable]),\n"
          "                lambda: os.execv(sys.executable, [sys.executable])):\n"
          "    try: attempt()\n"
          "    except PermissionError: print('refused')\n");
  EXPECT_EQ(result.output, "refused\nrefused\nrefused\nrefused\nrefused\n")
      << result.outcome.ShortDebugString();
}

TEST_F(ContainerTest, ReachesNoOtherProcess) {
  const std::unique_ptr<Sandbox> sibling = MakeSandbox();
  const std::vector<pid_t> others = ProcessTree(process_->pid());
  ASSERT_GE(others.size(), 4u);  // spawner, keeper, zygote, sibling
  const Result result = Run(absl::StrCat(
      "import os, signal\n"
      "attempts = {\n"
      "    'probe': lambda pid: os.kill(pid, 0),\n"
      "    'kill': lambda pid: os.kill(pid, signal.SIGKILL),\n"
      "    'nice': lambda pid: os.setpriority(os.PRIO_PROCESS, pid, 19),\n"
      "    'pin': lambda pid: os.sched_setaffinity(pid, {0}),\n"
      "    'schedule': lambda pid: os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0)),\n"
      "}\n"
      "for pid in (",
      absl::StrJoin(others, ", "),
      "):\n"
      "    for name, attempt in attempts.items():\n"
      "        try: attempt(pid)\n"
      "        except PermissionError: continue\n"
      "        print('ESCAPED', name, pid)\n"
      "try: os.setpriority(os.PRIO_USER, 0, 19)\n"
      "except PermissionError: print('done')\n"));
  EXPECT_EQ(result.output, "done\n") << result.outcome.ShortDebugString();
  // The sandbox that tried may be gone by now; none of the others is.
  const std::vector<pid_t> left = ProcessTree(process_->pid());
  for (const pid_t pid : others) EXPECT_EQ(std::count(left.begin(), left.end(), pid), 1) << pid;
}

TEST_F(ContainerTest, EndsAtItsTime) {
  Limits limits;
  limits.wall_time = absl::Milliseconds(300);
  EXPECT_EQ(Describe(Run("import time\ntime.sleep(60)", limits).outcome), "WALL_TIMEOUT");
  limits = {};
  limits.cpu_time = absl::Milliseconds(300);
  EXPECT_EQ(Describe(Run("while True: pass", limits).outcome), "CPU_TIMEOUT");
}

TEST_F(ContainerTest, EndsAtItsMemory) {
  Limits limits;
  limits.memory_bytes = int64_t{64} << 20;
  const Result result = Run("import time\nkept = b'x' * (120 << 20)\ntime.sleep(9)", limits);
  EXPECT_EQ(Describe(result.outcome), "MEMORY_LIMIT");
}

TEST_F(ContainerTest, RemovesWhateverAProgramLeft) {
  const Result result =
      Run("import os\n"
          "for depth in range(3000):\n"
          "    os.mkdir('d', 0o700); os.chdir('d')\n"
          "    open('file', 'w').close()\n"
          "os.mkdir('closed', 0)\n"
          "os.symlink('/etc', 'link')\n"
          "print('done')\n");
  EXPECT_EQ(result.output, "done\n") << result.outcome.ShortDebugString();
  // Ids are counted from 1, which is the zygote's.
  const std::string scratch = temporary_.Scratch();
  const absl::Time deadline = absl::Now() + absl::Seconds(20);
  while (fs::exists(scratch + "/2") || !fs::is_empty(scratch + "/discarded")) {
    ASSERT_LT(absl::Now(), deadline);
    sched_yield();
  }
}

TEST_F(ContainerTest, RefusesTemplatesWithSubprocesses) {
  internal::v1::ZygoteSpec spec = Spec();
  spec.set_allow_subprocesses(true);
  EXPECT_THAT(std::string(StartZygote(spec).message()), HasSubstr("allow_subprocesses"));
}

TEST_F(ContainerTest, LeavesNothing) {
  std::unique_ptr<Sandbox> sandbox = MakeSandbox();
  const std::vector<pid_t> tree = ProcessTree(process_->pid());
  ASSERT_GE(tree.size(), 4u);
  ASSERT_NE(temporary_.Scratch(), "");
  sandbox.reset();
  client_.reset();  // closes the socket, as a dying server does
  EXPECT_TRUE(process_->WaitForEnd(absl::Seconds(10)).ok());
  EXPECT_EQ(temporary_.Scratch(), "");
  EXPECT_THAT(WaitUntilGone(tree), IsEmpty());
}

TEST_F(ContainerTest, LeavesNothingWhenTheSpawnerIsKilled) {
  const std::unique_ptr<Sandbox> sandbox = MakeSandbox();
  const std::vector<pid_t> tree = ProcessTree(process_->pid());
  ASSERT_GE(tree.size(), 4u);
  ASSERT_NE(temporary_.Scratch(), "");
  kill(process_->pid(), SIGKILL);
  EXPECT_TRUE(process_->WaitForEnd(absl::Seconds(10)).ok());
  EXPECT_THAT(WaitUntilGone(tree), IsEmpty());  // the keeper as well, when it has done its work
  EXPECT_EQ(temporary_.Scratch(), "");
}

TEST_F(ContainerTest, SandboxesEndWithTheirZygote) {
  const std::unique_ptr<Sandbox> sandbox = MakeSandbox();
  std::vector<pid_t> ended;
  for (pid_t pid : ProcessTree(process_->pid())) {
    if (ProcessName(pid) == "zygote" || ProcessName(pid) == "sandbox") ended.push_back(pid);
  }
  ASSERT_EQ(ended.size(), 2u);
  kill(ended[0], SIGKILL);
  EXPECT_THAT(WaitUntilGone(ended), IsEmpty());
}

}  // namespace
}  // namespace cloister::testing
