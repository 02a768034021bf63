#include "tests/integration/spawner/spawner_client.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "sandbox/wire/frame.h"
#include "sandbox/wire/packet_socket.h"

namespace cloister::sandbox {
namespace {

namespace fs = std::filesystem;
using internal::v1::SpawnerEvent;
using internal::v1::SpawnerRequest;

constexpr int kPatienceMilliseconds = 20'000;

// A test that waits in vain cannot go on: what it would touch next does not exist.
[[noreturn]] void Die(const std::string& what) {
  fprintf(stderr, "spawner test: %s\n", what.c_str());
  abort();
}

void WaitReadable(int fd, const char* what) {
  pollfd polled = {fd, POLLIN, 0};
  if (poll(&polled, 1, kPatienceMilliseconds) <= 0) Die(absl::StrCat("timed out: ", what));
}

// The dynamic loader and every library that `program` needs, at the paths it expects.
void CopyLibraries(const std::string& program, const fs::path& image) {
  FILE* ldd = popen(absl::StrCat("ldd ", program).c_str(), "r");
  if (ldd == nullptr) Die("ldd");
  char line[1024];
  while (fgets(line, sizeof(line), ldd) != nullptr) {
    const char* begin = strchr(line, '/');
    if (begin == nullptr) continue;  // the vdso
    const fs::path library(std::string(begin, strcspn(begin, " \n")));
    fs::create_directories(image / library.parent_path().relative_path());
    fs::copy_file(library, image / library.relative_path(), fs::copy_options::skip_existing);
  }
  if (pclose(ldd) != 0) Die("ldd failed");
}

std::string MakeImageDirectory() {
  std::string name = "/tmp/cloister-spawner-test-XXXXXX";
  if (mkdtemp(name.data()) == nullptr) Die("mkdtemp");
  chmod(name.c_str(), 0755);
  for (const char* directory : {"dev", "proc", "tmp", "workspace", "etc"}) {
    fs::create_directories(fs::path(name) / "image" / directory);
  }
  CopyLibraries(TINY_GUEST, fs::path(name) / "image");
  fs::copy_file(TINY_GUEST, fs::path(name) / "tiny_guest");
  fs::permissions(fs::path(name) / "tiny_guest", fs::perms(0755));
  return name;
}

}  // namespace

SpawnerClient::SpawnerClient(const std::vector<std::string>& command_prefix)
    : directory_(MakeImageDirectory()) {
  PacketPair sockets = MakePacketPair().value();
  std::vector<std::string> command = command_prefix;
  command.insert(command.end(),
                 {SPAWNER, absl::StrCat("--fd=", static_cast<int>(kSpawnerSocketDescriptor))});
  std::vector<char*> arguments;
  for (std::string& argument : command) arguments.push_back(argument.data());
  arguments.push_back(nullptr);
  pid_ = fork();
  if (pid_ == 0) {
    const int fd = fcntl(sockets.second.get(), F_DUPFD_CLOEXEC, 10);
    dup2(fd, kSpawnerSocketDescriptor);
    execv(arguments[0], arguments.data());
    _exit(127);
  }
  socket_ = std::move(sockets.first);
  sockets.second.reset();
  ready_ = Next(SpawnerEvent::kSpawnerReady).event.spawner_ready();
}

SpawnerClient::~SpawnerClient() {
  if (pid_ > 0) Close();
  fs::remove_all(directory_);
}

void SpawnerClient::Send(const SpawnerRequest& request) {
  const absl::Status status = SendPacket(socket_.get(), request);
  if (!status.ok()) Die(status.ToString());
}

Received SpawnerClient::Next() {
  Received received;
  WaitReadable(socket_.get(), "an event of the spawner");
  const absl::Status status = ReceivePacket(socket_.get(), &received.event, &received.descriptors);
  if (!status.ok()) Die(status.ToString());
  return received;
}

Received SpawnerClient::Next(SpawnerEvent::EventCase wanted) {
  for (;;) {
    Received received = Next();
    if (received.event.event_case() == wanted) return received;
  }
}

internal::v1::ZygoteSpec SpawnerClient::Spec() const {
  internal::v1::ZygoteSpec spec;
  spec.set_template_name("tiny");
  spec.set_image_root(directory_ + "/image");
  spec.set_guest_binary(directory_ + "/tiny_guest");
  spec.mutable_default_limits()->set_memory_bytes(64 << 20);
  spec.mutable_default_limits()->set_process_count(16);
  spec.set_default_workspace_bytes(8 << 20);
  return spec;
}

Received SpawnerClient::StartZygote(int64_t id, const internal::v1::ZygoteSpec& spec) {
  SpawnerRequest request;
  request.mutable_start_zygote()->set_zygote_id(id);
  *request.mutable_start_zygote()->mutable_spec() = spec;
  Send(request);
  return Next();
}

CreatedSandbox SpawnerClient::Create(int64_t sandbox_id, int64_t zygote_id, bool forkable) {
  SpawnerRequest request;
  request.mutable_create_sandbox()->set_sandbox_id(sandbox_id);
  request.mutable_create_sandbox()->set_zygote_id(zygote_id);
  request.mutable_create_sandbox()->set_forkable(forkable);
  Send(request);
  return TakeCreated(Next());
}

Received SpawnerClient::Fork(int64_t parent_id, int64_t sandbox_id, bool snapshot) {
  const internal::v1::ZygoteSpec spec = Spec();
  SendFork(parent_id, sandbox_id, spec.default_limits(), spec.default_workspace_bytes(), snapshot);
  return Next();
}

void SpawnerClient::SendFork(int64_t parent_id, int64_t sandbox_id,
                             const internal::v1::CgroupLimits& limits, int64_t workspace_bytes,
                             bool snapshot) {
  SpawnerRequest request;
  internal::v1::ForkSandbox& fork = *request.mutable_fork_sandbox();
  fork.set_parent_id(parent_id);
  fork.set_sandbox_id(sandbox_id);
  *fork.mutable_limits() = limits;
  fork.set_workspace_bytes(workspace_bytes);
  fork.set_snapshot(snapshot);
  Send(request);
}

Received SpawnerClient::AddProcess(int64_t sandbox_id, int64_t process_id) {
  SpawnerRequest request;
  request.mutable_add_process()->set_sandbox_id(sandbox_id);
  request.mutable_add_process()->set_process_id(process_id);
  Send(request);
  return Next();
}

void SpawnerClient::Signal(int64_t sandbox_id, int signal) {
  SpawnerRequest request;
  request.mutable_signal_sandbox()->set_sandbox_id(sandbox_id);
  request.mutable_signal_sandbox()->set_signal(signal);
  Send(request);
}

void SpawnerClient::Kill(int64_t sandbox_id) {
  SpawnerRequest request;
  request.mutable_kill_sandbox()->set_sandbox_id(sandbox_id);
  Send(request);
}

internal::v1::SandboxExited SpawnerClient::WaitForExit(int64_t sandbox_id) {
  for (;;) {
    const Received received = Next(SpawnerEvent::kSandboxExited);
    if (received.event.sandbox_exited().sandbox_id() == sandbox_id) {
      return received.event.sandbox_exited();
    }
  }
}

int SpawnerClient::Close() {
  socket_.reset();
  return Wait();
}

int SpawnerClient::Wait() {
  int status = 0;
  waitpid(pid_, &status, 0);
  pid_ = -1;
  return status;
}

CreatedSandbox TakeCreated(Received received) {
  if (!received.event.has_sandbox_created()) Die(received.event.ShortDebugString());
  if (received.descriptors.size() < 4) Die("too few descriptors");
  CreatedSandbox sandbox;
  sandbox.id = received.event.sandbox_created().sandbox_id();
  sandbox.host_pid = static_cast<pid_t>(received.event.sandbox_created().host_pid());
  sandbox.pidfd = std::move(received.descriptors[0]);
  sandbox.channel = std::move(received.descriptors[1]);
  sandbox.output = std::move(received.descriptors[2]);
  sandbox.error = std::move(received.descriptors[3]);
  if (received.descriptors.size() > 4) sandbox.peak = std::move(received.descriptors[4]);
  return sandbox;
}

void PrepareFork(const CreatedSandbox& sandbox) {
  internal::v1::HostFrame frame;
  frame.mutable_prepare_fork();
  const absl::Status status = WriteFrame(sandbox.channel.get(), frame, kMaxHostFrameBytes);
  if (!status.ok()) Die(status.ToString());
  const internal::v1::GuestFrame prepared = ReadGuestFrame(sandbox);
  if (!prepared.has_fork_prepared()) Die(prepared.ShortDebugString());
}

void ResumeParent(const CreatedSandbox& sandbox) {
  internal::v1::HostFrame frame;
  frame.mutable_resume_parent();
  const absl::Status status = WriteFrame(sandbox.channel.get(), frame, kMaxHostFrameBytes);
  if (!status.ok()) Die(status.ToString());
}

void RunProgram(const CreatedSandbox& sandbox, const std::string& code) {
  internal::v1::HostFrame frame;
  frame.mutable_run_program()->mutable_program()->set_code(code);
  const absl::Status status = WriteFrame(sandbox.channel.get(), frame, kMaxHostFrameBytes);
  if (!status.ok()) Die(status.ToString());
}

// What a sandbox that ends has said.
static std::string ReadToEnd(int fd) {
  std::string text;
  char bytes[1024];
  for (ssize_t got; (got = read(fd, bytes, sizeof(bytes))) > 0;) {
    text.append(bytes, static_cast<size_t>(got));
  }
  return text;
}

internal::v1::GuestFrame ReadGuestFrame(const CreatedSandbox& sandbox) {
  internal::v1::GuestFrame frame;
  WaitReadable(sandbox.channel.get(), "a frame of the guest");
  const absl::Status status = ReadFrame(sandbox.channel.get(), &frame, kMaxGuestFrameBytes);
  if (!status.ok())
    Die(absl::StrCat(status.ToString(), "; on stderr: ", ReadToEnd(sandbox.error.get())));
  return frame;
}

std::string ReadLines(int fd, int lines) {
  std::string text;
  char byte;
  while (lines > 0) {
    WaitReadable(fd, "output");
    if (read(fd, &byte, 1) != 1) break;
    text += byte;
    if (byte == '\n') --lines;
  }
  return text;
}

std::vector<pid_t> ProcessTree(pid_t root) {
  std::vector<pid_t> tree = {root};
  for (size_t i = 0; i < tree.size(); ++i) {
    std::ifstream file(absl::StrCat("/proc/", tree[i], "/task/", tree[i], "/children"));
    for (pid_t child; file >> child;) tree.push_back(child);
  }
  return tree;
}

std::string ProcessName(pid_t pid) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/comm"));
  std::string name;
  std::getline(file, name);
  return name;
}

std::string NamespaceOf(pid_t pid, const char* name) {
  return fs::read_symlink(absl::StrCat("/proc/", pid, "/ns/", name)).string();
}

std::string CgroupOf(pid_t pid) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/cgroup"));
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string CgroupFile(pid_t pid, const std::string& controller, const std::string& file) {
  std::ifstream groups(absl::StrCat("/proc/", pid, "/cgroup"));
  for (std::string line; std::getline(groups, line);) {
    // number:controllers:path; version 2 names none
    const size_t names = line.find(':') + 1;
    const size_t path = line.find(':', names) + 1;
    const std::string controllers = line.substr(names, path - 1 - names);
    if (!controllers.empty() && controllers != controller) continue;
    const fs::path root = fs::path("/sys/fs/cgroup") / controllers;
    std::ifstream found(root.string() + line.substr(path) + "/" + file);
    if (std::string text; std::getline(found, text)) return text;
  }
  return "";
}

std::string StatusLine(pid_t pid, const std::string& name) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/status"));
  for (std::string line; std::getline(file, line);) {
    if (line.rfind(name + ":", 0) == 0) return line;
  }
  return "";
}

bool AllGone(const std::vector<pid_t>& pids) {
  const absl::Time deadline = absl::Now() + absl::Milliseconds(kPatienceMilliseconds);
  for (pid_t pid : pids) {
    while (fs::exists(absl::StrCat("/proc/", pid))) {
      if (absl::Now() > deadline) return false;
      sched_yield();
    }
  }
  return true;
}

}  // namespace cloister::sandbox
