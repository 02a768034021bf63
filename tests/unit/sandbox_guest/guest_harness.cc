#include "tests/unit/sandbox_guest/guest_harness.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string_view>
#include <utility>

#include "sandbox/base/monotonic_time.h"
#include "sandbox/wire/frame.h"
#include "sandbox/wire/packet_socket.h"

namespace cloister::sandbox {
namespace {

using internal::v1::GuestFrame;
using internal::v1::HostFrame;
using internal::v1::RunProgram;
using internal::v1::ZygoteEvent;
using internal::v1::ZygoteRequest;

constexpr int kPatienceMilliseconds = 30'000;

constexpr char kPackages[] = "/usr/lib/python3/dist-packages";
constexpr char kWarmUpModule[] = "warm_up_of_test";

// Puts a module where the image's Python finds it, over /workspace, which clones mount over again.
bool AddModule(const std::string& root, const std::string& source) {
  const std::string lower = root + kPackages;
  const std::string upper = root + "/workspace";
  const std::string work = upper + "/work";
  const std::string added = upper + "/added";
  const std::string options = "lowerdir=" + lower + ",upperdir=" + added + ",workdir=" + work;
  if (mkdir(work.c_str(), 0755) != 0 || mkdir(added.c_str(), 0755) != 0) return false;
  std::ofstream(added + "/" + kWarmUpModule + ".py") << source;
  return mount("overlay", lower.c_str(), "overlay", 0, options.c_str()) == 0;
}

// In the process that becomes the zygote: the image with a workspace, /tmp, /dev and /proc. Its
// mounts end with it.
bool EnterImage(const std::string& root, const std::string& warm_up_source) {
  return mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         mount("workspace", (root + "/workspace").c_str(), "tmpfs", 0, "size=8m") == 0 &&
         mount("tmp", (root + "/tmp").c_str(), "tmpfs", 0, "size=8m") == 0 &&
         mount("/dev", (root + "/dev").c_str(), nullptr, MS_BIND, nullptr) == 0 &&
         mount("proc", (root + "/proc").c_str(), "proc", 0, nullptr) == 0 &&
         (warm_up_source.empty() || AddModule(root, warm_up_source)) && chroot(root.c_str()) == 0 &&
         chdir("/") == 0;
}

[[noreturn]] void ExecHarness(int binary, int control, const GuestHarness::Options& options) {
  const UniqueFd null(open("/dev/null", O_RDWR));
  dup2(null.get(), STDIN_FILENO);
  dup2(control, 3);
  prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  if (options.pids != GuestHarness::Pids::kSameAsInZygote) {
    // The process with pid 1 waits; its death ends the namespace.
    if (pid_t zygote = fork(); zygote != 0) {
      close(control);
      close(3);
      waitpid(zygote, nullptr, 0);
      _exit(EXIT_SUCCESS);
    }
  }
  char name[] = "guest_harness";
  char* argv[] = {name, nullptr};
  if (EnterImage(GUEST_TEST_ROOTFS, options.warm_up_source)) fexecve(binary, argv, environ);
  perror("guest harness");
  _exit(EXIT_FAILURE);
}

// Appends what can be read; false at the end of the stream.
bool Drain(int fd, std::string* bytes) {
  char buffer[1 << 16];
  for (;;) {
    const ssize_t count = read(fd, buffer, sizeof(buffer));
    if (count == 0) return false;
    if (count < 0) return errno == EAGAIN || errno == EINTR;
    bytes->append(buffer, static_cast<size_t>(count));
  }
}

// One clone as its host sees it.
class Clone {
 public:
  explicit Clone(GuestHarness* harness) : harness_(*harness) {
    GuestHarness::CloneEnds ends = harness->StartClone();
    channel_ = std::move(ends.channel);
    output_ = std::move(ends.output);
    error_ = std::move(ends.error);
  }

  GuestRun Run(const RunProgram& program,
               const std::function<void(const std::string&)>& on_output) {
    GuestFrame ready;
    EXPECT_TRUE(ReadFrame(channel_.get(), &ready, kMaxGuestFrameBytes).ok());
    for (const auto& stage : ready.ready().stage_times()) {
      run_.ready_nanoseconds[stage.stage()] = stage.nanoseconds();
    }
    for (int fd : {channel_.get(), output_.get(), error_.get()}) {
      fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    }
    HostFrame frame;
    *frame.mutable_run_program() = program;
    const int64_t start = MonotonicNanoseconds();
    // Fits into the socket's buffer in all tests.
    fcntl(channel_.get(), F_SETFL, fcntl(channel_.get(), F_GETFL) & ~O_NONBLOCK);
    EXPECT_TRUE(WriteFrame(channel_.get(), frame, kMaxHostFrameBytes).ok());
    fcntl(channel_.get(), F_SETFL, fcntl(channel_.get(), F_GETFL) | O_NONBLOCK);
    Watch(on_output);
    run_.run_nanoseconds = MonotonicNanoseconds() - start;
    channel_.reset();
    harness_.AwaitExit(&run_);
    Drain(output_.get(), &run_.output);
    Drain(error_.get(), &run_.error);
    return std::move(run_);
  }

 private:
  // Until there is an answer, or the clone is gone.
  void Watch(std::function<void(const std::string&)> on_output) {
    std::string frame_bytes;
    FrameDecoder decoder(kMaxGuestFrameBytes);
    bool channel_open = true;
    while (channel_open && !run_.finished.has_value()) {
      // A clone that closed its end of the channel is told by its exit.
      pollfd polled[] = {{channel_.get(), POLLIN, 0},
                         {output_ ? output_.get() : -1, POLLIN, 0},
                         {error_ ? error_.get() : -1, POLLIN, 0}};
      if (poll(polled, 3, kPatienceMilliseconds) <= 0) {
        ADD_FAILURE() << "the program did not end; stdout: " << run_.output
                      << "\nstderr: " << run_.error;
        return;
      }
      if (polled[1].revents != 0 && !Drain(output_.get(), &run_.output)) output_.reset();
      if (polled[2].revents != 0 && !Drain(error_.get(), &run_.error)) error_.reset();
      if (on_output && !run_.output.empty()) std::exchange(on_output, nullptr)(run_.output);
      if (polled[0].revents == 0) continue;
      channel_open = Drain(channel_.get(), &frame_bytes);
      std::string_view rest = frame_bytes;
      EXPECT_TRUE(decoder.Consume(&rest).ok());
      frame_bytes = rest;
      if (auto message = decoder.TakeMessage()) {
        GuestFrame frame;
        EXPECT_TRUE(frame.ParseFromString(*message)) << "not a valid frame";
        EXPECT_TRUE(frame.has_finished()) << frame.ShortDebugString();
        run_.finished = frame.finished();
      }
    }
  }

  GuestHarness& harness_;
  UniqueFd channel_, output_, error_;
  GuestRun run_;
};

}  // namespace

GuestHarness::GuestHarness() { Start(Options()); }

GuestHarness::GuestHarness(const Options& options) { Start(options); }

GuestHarness::~GuestHarness() {
  control_.reset();
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
}

void GuestHarness::Start(const Options& options) {
  auto sockets = MakePacketPair();
  const UniqueFd binary(open(GUEST_TEST_HARNESS, O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(sockets.ok() && binary) << "is " << GUEST_TEST_HARNESS << " built?";
  const int flags = CLONE_NEWNS | CLONE_NEWPID;
  const UniqueFd pids(open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC));
  const UniqueFd mounts(open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC));
  ASSERT_EQ(unshare(flags), 0) << "these tests mount: run them as root";
  pid_ = fork();
  if (pid_ == 0) ExecHarness(binary.get(), sockets->second.get(), options);
  ASSERT_EQ(setns(pids.get(), CLONE_NEWPID), 0);
  ASSERT_EQ(setns(mounts.get(), CLONE_NEWNS), 0);
  control_ = std::move(sockets->first);
  sockets->second.reset();
  ZygoteRequest request;
  request.mutable_config()->set_namespaces(options.pids != Pids::kDistinct);
  for (const std::string& name : options.warm_up_imports) {
    request.mutable_config()->mutable_spec()->add_warm_up_imports(name);
  }
  if (!options.warm_up_source.empty()) {
    request.mutable_config()->mutable_spec()->add_warm_up_imports(kWarmUpModule);
  }
  auto& environment = *request.mutable_config()->mutable_spec()->mutable_environment();
  environment["PATH"] = "/usr/bin";
  environment["HOME"] = "/workspace";
  environment["LANG"] = "C.UTF-8";
  for (const auto& [name, value] : options.environment) {
    environment[name] = value;
  }
  ASSERT_TRUE(SendPacket(control_.get(), request).ok());
  ASSERT_TRUE(ReceivePacket(control_.get(), &start_, nullptr).ok()) << "the zygote died";
}

GuestHarness::CloneEnds GuestHarness::StartClone() {
  int channel[2], output[2], error[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel) != 0 ||
      pipe2(output, O_CLOEXEC) != 0 || pipe2(error, O_CLOEXEC) != 0) {
    ADD_FAILURE() << "cannot make descriptors";
    return {};
  }
  const UniqueFd theirs[] = {UniqueFd(channel[1]), UniqueFd(output[1]), UniqueFd(error[1])};
  ZygoteRequest request;
  request.mutable_clone_sandbox()->set_sandbox_id(1);
  const int descriptors[] = {channel[1], output[1], error[1]};
  EXPECT_TRUE(SendPacket(control_.get(), request, descriptors).ok());
  return {UniqueFd(channel[0]), UniqueFd(output[0]), UniqueFd(error[0])};
}

void GuestHarness::AwaitExit(GuestRun* run) {
  pollfd polled = {control_.get(), POLLIN, 0};
  if (poll(&polled, 1, kPatienceMilliseconds) <= 0) {
    ADD_FAILURE() << "the clone did not exit";
    return;
  }
  ZygoteEvent event;
  EXPECT_TRUE(ReceivePacket(control_.get(), &event, nullptr).ok());
  run->wait_code = event.child_exited().wait_code();
  run->wait_status = event.child_exited().wait_status();
}

pid_t GuestHarness::ClonePid() const {
  // Harness, zygote, clone: each has one child.
  for (pid_t pid = pid_;;) {
    const std::string name = std::to_string(pid);
    std::ifstream children("/proc/" + name + "/task/" + name + "/children");
    pid_t child = 0;
    if (!(children >> child)) return pid;
    pid = child;
  }
}

GuestRun GuestHarness::Run(const RunProgram& request,
                           const std::function<void(const std::string&)>& while_running) {
  return Clone(this).Run(request, while_running);
}

GuestRun GuestHarness::Run(const v1::Program& program) {
  RunProgram request;
  *request.mutable_program() = program;
  return Run(request);
}

GuestRun GuestHarness::Run(const std::string& code) {
  v1::Program program;
  program.set_code(code);
  return Run(program);
}

}  // namespace cloister::sandbox
