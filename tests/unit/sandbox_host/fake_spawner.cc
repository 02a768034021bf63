#include "tests/unit/sandbox_host/fake_spawner.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "gtest/gtest.h"
#include "sandbox/wire/frame.h"

namespace cloister::sandbox {

using internal::v1::GuestFrame;
using internal::v1::SandboxExited;
using internal::v1::SpawnerEvent;

bool RunUntil(AsioLoop* loop, const std::function<bool()>& done) {
  const absl::Time deadline = loop->Now() + absl::Seconds(10);
  std::function<void()> look = [&] {
    if (done() || loop->Now() > deadline) return loop->Stop();
    loop->CallAfter(absl::Microseconds(200), look);
  };
  loop->Post(look);
  loop->Run();
  EXPECT_TRUE(done()) << "nothing happened within 10 s";
  return done();
}

// ---- FakeGuest ----------------------------------------------------------------------------------

namespace {

// In the guest's process: waits for its end or its work, holding nothing else open.
[[noreturn]] void BeGuest(int command, FakeGuest::Work work) {
  ::signal(SIGSEGV, SIG_DFL);  // a sanitizer's would report, and exit
  ::dup2(command, 0);
  ::syscall(SYS_close_range, 1, ~0u, 0);
  unsigned char status = 0;
  if (::read(0, &status, 1) != 1 || work == FakeGuest::Work::kNone) _exit(status);
  constexpr size_t kBite = size_t{1} << 20;
  size_t bites = 0;
  for (;;) {
    if (work != FakeGuest::Work::kEatMemory || bites == 64) continue;
    void* bite = ::mmap(nullptr, kBite, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (bite != MAP_FAILED) ++bites;
  }
}

}  // namespace

FakeGuest::FakeGuest(int64_t sandbox_id, Work work) : sandbox_id_(sandbox_id) {
  int command[2];
  EXPECT_EQ(::pipe2(command, O_CLOEXEC), 0);
  command_.reset(command[1]);
  pid_ = ::fork();
  if (pid_ == 0) BeGuest(command[0], work);
  ::close(command[0]);
  int ends[2];
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  channel_.reset(ends[0]);
  host_channel_.reset(ends[1]);
  EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  host_stdout_.reset(ends[0]);
  stdout_.reset(ends[1]);
  EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  host_stderr_.reset(ends[0]);
  stderr_.reset(ends[1]);
}

FakeGuest::FakeGuest(int64_t sandbox_id, std::vector<UniqueFd> ends)
    : sandbox_id_(sandbox_id),
      channel_(std::move(ends.at(0))),
      stdout_(std::move(ends.at(1))),
      stderr_(std::move(ends.at(2))) {}

FakeGuest::~FakeGuest() {
  if (pid_ > 0) (void)Die(SIGKILL);
}

std::vector<UniqueFd> FakeGuest::TakeHostEnds(bool with_cgroup) {
  std::vector<UniqueFd> ends;
  ends.emplace_back(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
  ends.push_back(std::move(host_channel_));
  ends.push_back(std::move(host_stdout_));
  ends.push_back(std::move(host_stderr_));
  if (with_cgroup) {
    UniqueFd peak(::memfd_create("cgroup file", MFD_CLOEXEC));
    WriteTo(peak.get(), "4096\n");
    ends.push_back(std::move(peak));
  }
  return ends;
}

void FakeGuest::Say(const GuestFrame& frame) {
  ASSERT_TRUE(WriteFrame(channel_.get(), frame, kMaxGuestFrameBytes).ok());
}

void FakeGuest::SayWith(const GuestFrame& frame, const std::vector<UniqueFd>& descriptors) {
  std::vector<int> numbers;
  for (const UniqueFd& fd : descriptors) numbers.push_back(fd.get());
  ASSERT_TRUE(WriteFrame(channel_.get(), frame, kMaxGuestFrameBytes, numbers).ok());
}

void FakeGuest::SayReady() {
  GuestFrame frame;
  frame.mutable_ready();
  Say(frame);
}

void FakeGuest::SayFinished(internal::v1::Finished::Kind kind) {
  GuestFrame frame;
  frame.mutable_finished()->set_kind(kind);
  Say(frame);
}

void FakeGuest::SayRaw(std::string_view bytes) {
  ASSERT_EQ(::send(channel_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(bytes.size()));
}

internal::v1::HostFrame FakeGuest::ReadHostFrame(std::vector<UniqueFd>* descriptors) {
  internal::v1::HostFrame frame;
  std::vector<UniqueFd> unwanted;
  const absl::Status status = ReadFrame(channel_.get(), &frame, kMaxHostFrameBytes,
                                        descriptors == nullptr ? &unwanted : descriptors);
  EXPECT_TRUE(status.ok()) << status;
  return frame;
}

internal::v1::RunProgram FakeGuest::ReadProgram() { return ReadHostFrame().run_program(); }

void FakeGuest::WriteTo(int fd, std::string_view bytes) {
  ASSERT_EQ(::write(fd, bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
}

bool FakeGuest::CanRead() const {
  pollfd readable{channel_.get(), POLLIN, 0};
  return ::poll(&readable, 1, 0) == 1;
}

bool FakeGuest::CanWrite() const {
  pollfd writable{stdout_.get(), POLLOUT, 0};
  return ::poll(&writable, 1, 0) == 1;
}

void FakeGuest::CloseOutput() {
  stdout_.reset();
  stderr_.reset();
}

void FakeGuest::BeginWork() { ASSERT_EQ(::write(command_.get(), "w", 1), 1); }

SandboxExited FakeGuest::Exit(int status, Ends ends) {
  const unsigned char byte = static_cast<unsigned char>(status);
  EXPECT_EQ(::write(command_.get(), &byte, 1), 1);
  return Reap(ends);
}

SandboxExited FakeGuest::Die(int signal) {
  EXPECT_EQ(::kill(pid_, signal), 0);
  return Reap(Ends::kClose);
}

SandboxExited FakeGuest::Reap(Ends ends) {
  siginfo_t info{};
  EXPECT_EQ(::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED), 0);
  pid_ = -1;
  if (ends == Ends::kClose) {
    CloseChannel();
    CloseOutput();
  }
  SandboxExited exited;
  exited.set_sandbox_id(sandbox_id_);
  exited.set_wait_code(info.si_code);
  exited.set_wait_status(info.si_status);
  exited.set_cpu_nanoseconds(1'000'000);
  exited.set_peak_memory_bytes(8192);
  return exited;
}

// ---- FakeSpawner --------------------------------------------------------------------------------

FakeSpawner::FakeSpawner() {
  auto pair = MakePacketPair();
  EXPECT_TRUE(pair.ok());
  socket_ = std::move(pair->first);
  host_end_ = std::move(pair->second);
  SpawnerEvent event;
  event.mutable_spawner_ready()->mutable_facilities()->set_setting(
      internal::v1::Facilities::SETTING_ROOT);
  Say(event);
}

internal::v1::SpawnerRequest FakeSpawner::Next() {
  internal::v1::SpawnerRequest request;
  const absl::Status status = ReceivePacket(socket_.get(), &request, nullptr, MSG_DONTWAIT);
  EXPECT_TRUE(status.ok()) << status;
  return request;
}

bool FakeSpawner::Silent() {
  pollfd readable{socket_.get(), POLLIN, 0};
  return ::poll(&readable, 1, 0) == 0;
}

void FakeSpawner::Say(const SpawnerEvent& event, const std::vector<UniqueFd>& fds) {
  std::vector<int> numbers;
  for (const UniqueFd& fd : fds) numbers.push_back(fd.get());
  const absl::Status status = SendPacket(socket_.get(), event, numbers, MSG_DONTWAIT);
  ASSERT_TRUE(status.ok()) << status;
}

void FakeSpawner::SayExited(SandboxExited exited) {
  SpawnerEvent event;
  *event.mutable_sandbox_exited() = std::move(exited);
  Say(event);
}

void FakeSpawner::SayCreated(FakeGuest* guest, bool with_cgroup) {
  SpawnerEvent event;
  event.mutable_sandbox_created()->set_sandbox_id(guest->sandbox_id());
  event.mutable_sandbox_created()->set_host_pid(guest->pid());
  Say(event, guest->TakeHostEnds(with_cgroup));
}

// ---- RecordingObserver --------------------------------------------------------------------------

void RecordingObserver::OnOutput(OutputStream stream, std::string_view bytes) {
  EXPECT_FALSE(finished_) << "output after the end";
  (stream == OutputStream::kStdout ? out : err).append(bytes);
  longest_piece = std::max(longest_piece, bytes.size());
  if (on_output) on_output();
}

void RecordingObserver::OnFinished(ExecutionEnd end) {
  EXPECT_FALSE(finished_) << "a second end";
  finished_ = true;
  end_ = std::move(end);
  if (on_finished) on_finished();
}

}  // namespace cloister::sandbox
