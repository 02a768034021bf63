// Copies of live sandboxes with a real interpreter in them, driven frame by frame. Needs root and
// the image python3.14.

#include <signal.h>
#include <unistd.h>

#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "sandbox/wire/frame.h"
#include "tests/integration/spawner/spawner_client.h"

namespace cloister::sandbox {
namespace {

using internal::v1::Finished;
using internal::v1::GuestFrame;
using internal::v1::HostFrame;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

constexpr int64_t kZygote = 1;

class PythonForkTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(geteuid(), 0u) << "needs root";
    client_ = std::make_unique<SpawnerClient>();
    internal::v1::ZygoteSpec spec = client_->Spec();
    spec.set_template_name("python3.14");
    spec.set_image_root(absl::StrCat(CLOISTER_IMAGES, "/python3.14/rootfs"));
    spec.set_guest_binary(CLOISTER_GUEST_BINARY);
    spec.mutable_default_limits()->set_memory_bytes(512 << 20);
    const Received started = client_->StartZygote(kZygote, spec);
    ASSERT_TRUE(started.event.has_zygote_started()) << started.event.ShortDebugString();
    parent_ = client_->Create(10, kZygote, /*forkable=*/true);
    ASSERT_TRUE(ReadGuestFrame(parent_).has_ready());
    HostFrame open;
    open.mutable_open_session();
    Send(parent_, open);
    ASSERT_TRUE(ReadGuestFrame(parent_).has_session_opened());
  }

  static void Send(const CreatedSandbox& sandbox, const HostFrame& frame) {
    ASSERT_TRUE(WriteFrame(sandbox.channel.get(), frame, kMaxHostFrameBytes).ok());
  }

  // What the cell printed, which must be one line, without its end.
  std::string Run(const CreatedSandbox& sandbox, const std::string& code) {
    HostFrame frame;
    frame.mutable_execute_cell()->set_number(++cells_);
    frame.mutable_execute_cell()->mutable_program()->set_code(code);
    Send(sandbox, frame);
    const bool prints = absl::StrContains(code, "print(");
    GuestFrame answer = ReadGuestFrame(sandbox);
    while (!answer.has_finished()) answer = ReadGuestFrame(sandbox);
    EXPECT_EQ(answer.finished().kind(), Finished::KIND_SUCCEEDED)
        << answer.finished().exception().ShortDebugString();
    if (!prints || answer.finished().kind() != Finished::KIND_SUCCEEDED) return "";
    std::string line = ReadLines(sandbox.output.get(), 1);
    if (!line.empty()) line.pop_back();
    return line;
  }

  std::vector<std::string> Obstacles(const CreatedSandbox& sandbox) {
    HostFrame frame;
    frame.mutable_prepare_fork();
    Send(sandbox, frame);
    const GuestFrame prepared = ReadGuestFrame(sandbox);
    EXPECT_TRUE(prepared.has_fork_prepared()) << prepared.ShortDebugString();
    const auto& obstacles = prepared.fork_prepared().obstacles();
    return {obstacles.begin(), obstacles.end()};
  }

  CreatedSandbox Fork(const CreatedSandbox& sandbox, int64_t id) {
    EXPECT_THAT(Obstacles(sandbox), ElementsAre());
    CreatedSandbox fork = TakeCreated(client_->Fork(sandbox.id, id));
    const GuestFrame ready = ReadGuestFrame(fork);
    EXPECT_TRUE(ready.has_ready()) << ready.ShortDebugString();
    ResumeParent(sandbox);
    return fork;
  }

  std::unique_ptr<SpawnerClient> client_;
  CreatedSandbox parent_;
  int64_t cells_ = 0;
};

TEST_F(PythonForkTest, CopiesVariablesAndModules) {
  Run(parent_, "import json, decimal\nx = [1]\ndef f(): return len(x)");
  const CreatedSandbox fork = Fork(parent_, 11);
  Run(parent_, "x.append(2)");
  EXPECT_EQ(Run(fork, "x += [5, 6]\nprint(f(), json.dumps(x))"), "3 [1, 5, 6]");
  EXPECT_EQ(Run(parent_, "print(f(), json.dumps(x))"), "2 [1, 2]");
}

TEST_F(PythonForkTest, CopiesOpenFilesWithTheirPositions) {
  Run(parent_, R"(
import os, tempfile
f = open('/workspace/a.txt', 'w+'); f.write('hello world'); f.flush(); f.seek(6)
t = tempfile.TemporaryFile(); t.write(b'temporary'); t.flush(); t.seek(4)
m = os.memfd_create('m'); os.write(m, b'memory')
os.makedirs('/workspace/d'); os.chdir('/workspace/d'); os.umask(0o77)
)");
  const CreatedSandbox fork = Fork(parent_, 11);
  const std::string state =
      "print(f.read(), t.read(), os.pread(m, 9, 0), os.getcwd(), oct(os.umask(0o77)))";
  EXPECT_EQ(Run(fork, state), "world b'orary' b'memory' /workspace/d 0o77");
  EXPECT_EQ(Run(parent_, state), "world b'orary' b'memory' /workspace/d 0o77");
  Run(fork, "f.seek(0); f.write('HELLO'); f.flush(); os.pwrite(m, b'MEMORY', 0)");
  EXPECT_EQ(Run(parent_, "print(open('/workspace/a.txt').read(), os.pread(m, 9, 0))"),
            "hello world b'memory'");
  EXPECT_EQ(Run(fork, "print(open('/workspace/a.txt').read())"), "HELLO world");
}

TEST_F(PythonForkTest, HasRandomnessOfItsOwn) {
  Run(parent_,
      "import random, uuid, tempfile, ssl, os\nrandom.random(); uuid.uuid4(); uuid.uuid1()");
  std::vector<CreatedSandbox> sandboxes;
  for (int64_t id = 11; id < 14; ++id) sandboxes.push_back(Fork(parent_, id));
  sandboxes.push_back(std::move(parent_));
  for (const char* expression :
       {"random.random()", "uuid.uuid4()", "uuid.uuid1().node", "ssl.RAND_bytes(8)",
        "next(tempfile._get_candidate_names())", "os.urandom(8)"}) {
    std::set<std::string> values;
    for (const CreatedSandbox& sandbox : sandboxes) {
      values.insert(Run(sandbox, absl::StrCat("print(", expression, ")")));
    }
    EXPECT_EQ(values.size(), sandboxes.size()) << expression;
  }
}

TEST_F(PythonForkTest, NamesWhatCannotBeCopied) {
  Run(parent_,
      "import threading, mmap, os, socket\nstop = threading.Event()\n"
      "t = threading.Thread(target=stop.wait, name='worker'); t.start()");
  EXPECT_THAT(Obstacles(parent_), ElementsAre(HasSubstr("1 thread is alive beside the main one: "
                                                        "worker")));
  Run(parent_, "stop.set(); t.join()\na, b = socket.socketpair()");
  EXPECT_THAT(Obstacles(parent_), ElementsAre(HasSubstr("socket:["), HasSubstr("socket:[")));
  Run(parent_, "a.close(); b.close()\nr, w = os.pipe()");
  EXPECT_THAT(Obstacles(parent_), ElementsAre(HasSubstr("pipe:["), HasSubstr("pipe:[")));
  Run(parent_, "os.close(r); os.close(w)\nm = mmap.mmap(-1, 4096)");
  EXPECT_THAT(Obstacles(parent_), ElementsAre(HasSubstr("memory is mapped from /dev/zero")));
  Run(parent_, "m.close()");
  EXPECT_EQ(Run(Fork(parent_, 11), "print(6 * 7)"), "42");
}

// What is shared in a sandbox would be shared with its copy.
TEST_F(PythonForkTest, SharesNoMemoryWithItsParent) {
  Run(parent_,
      "import cloister\nbuffer, lock = cloister.SharedBuffer(10000), cloister.Lock()\n"
      "semaphore, condition = cloister.Semaphore(), cloister.Condition()\n"
      "lock.acquire(); buffer.atomic_add(0, 1)");
  EXPECT_THAT(
      Obstacles(parent_),
      UnorderedElementsAre(HasSubstr("a cloister.SharedBuffer is open, which a copy would share"),
                           HasSubstr("a cloister.Lock is open"),
                           HasSubstr("a cloister.Semaphore is open"),
                           HasSubstr("a cloister.Condition is open")));
  Run(parent_, "lock.release(); buffer.close(); del lock, semaphore, condition");
  const CreatedSandbox fork = Fork(parent_, 11);
  const std::string own =
      "buffer, lock = cloister.SharedBuffer(8), cloister.Lock()\n"
      "lock.acquire(); buffer.atomic_add(0, 1); lock.release(); lock.acquire()\n"
      "print(buffer.atomic_load(0), lock.owner_died, cloister.clone(lock).acquire(False))";
  EXPECT_EQ(Run(fork, own), "1 False False");
  EXPECT_EQ(Run(parent_, own), "1 False False");
}

TEST_F(PythonForkTest, KeepsSignalHandlersAndOutput) {
  Run(parent_, R"(
import signal, os, sys
def handler(*_): sys.stdout.write(f'handled {os.getpid()}\n')
signal.signal(signal.SIGUSR1, handler)
saved = os.dup(1)
)");
  const CreatedSandbox fork = Fork(parent_, 11);
  EXPECT_EQ(Run(fork, "os.kill(os.getpid(), signal.SIGUSR1)  # print("), "handled 2");
  EXPECT_EQ(Run(fork, "os.write(saved, b'saved\\n')  # print("), "saved");
  EXPECT_EQ(Run(fork, "import subprocess\ntry: os.fork()\nexcept OSError as e: print(e.errno)"),
            "1");
}

TEST_F(PythonForkTest, RunsThreadsAndInterruptsInCopies) {
  const CreatedSandbox fork = Fork(parent_, 11);
  EXPECT_EQ(Run(fork,
                "import threading\nx = []\nt = threading.Thread(target=lambda: x.append(1))\n"
                "t.start(); t.join(); print(x, threading.main_thread().is_alive())"),
            "[1] True");
  EXPECT_EQ(Run(fork,
                "import signal\ntry: signal.raise_signal(signal.SIGINT)\n"
                "except KeyboardInterrupt: print('interrupted')"),
            "interrupted");
}

TEST_F(PythonForkTest, CopiesLargeHeapsAgainAndAgain) {
  Run(parent_, "import sys\nheap = [bytearray(1000) for _ in range(100_000)]\ndepth = 0");
  CreatedSandbox sandbox = std::move(parent_);
  for (int64_t id = 11; id < 31; ++id) {
    CreatedSandbox fork = Fork(sandbox, id);
    client_->Kill(sandbox.id);
    client_->WaitForExit(sandbox.id);
    sandbox = std::move(fork);
    Run(sandbox, "depth += 1; heap[depth][0] = depth");
  }
  EXPECT_EQ(Run(sandbox, "print(depth, sum(b[0] for b in heap))"), "20 210");
}

}  // namespace
}  // namespace cloister::sandbox
