#include "tests/integration/server_process.h"

#include <fcntl.h>
#include <grpcpp/grpcpp.h>
#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <set>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "gtest/gtest.h"

extern char** environ;

namespace cloister::testing {
namespace {

namespace fs = std::filesystem;

// As much as can be read: what /proc tells of a process can end in the middle, with the process.
std::string ReadFile(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

int OpenPidfd(pid_t pid) { return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)); }

// Waits until the pidfd says that its process ended.
bool WaitForPidfd(int pidfd, absl::Duration timeout) {
  pollfd entry{pidfd, POLLIN, 0};
  return ::poll(&entry, 1, static_cast<int>(absl::ToInt64Milliseconds(timeout))) == 1;
}

pid_t Spawn(const std::vector<std::string>& arguments, const std::string& log_path) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, log_path.c_str(), O_CREAT | O_WRONLY | O_APPEND,
                                   0600);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  pid_t pid = -1;
  int error = ::posix_spawn(&pid, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  return error == 0 ? pid : -1;
}

// Those below `directory` with one of the names; what goes while it looks is not there.
void FindDirectories(const fs::path& directory, const std::set<std::string>& names,
                     std::vector<std::string>* found) {
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    if (it->is_symlink(error) || !it->is_directory(error)) continue;
    if (names.contains(it->path().filename())) found->push_back(it->path());
    FindDirectories(it->path(), names, found);
  }
}

}  // namespace

ServerProcess::ServerProcess(const std::string& config, std::vector<std::string> flags,
                             std::vector<std::string> wrapper) {
  char pattern[] = "/tmp/cloister-test.XXXXXX";
  directory_ = ::mkdtemp(pattern);
  // The server gives its privileges up before it binds.
  fs::permissions(directory_, fs::perms::all);
  address_ = absl::StrCat("unix:", directory_, "/socket");
  std::ofstream(directory_ + "/config.textproto") << config;

  std::vector<std::string> arguments = std::move(wrapper);
  arguments.insert(arguments.end(), {CLOISTERD_BINARY, "--config",
                                     directory_ + "/config.textproto", "--listen", address_});
  arguments.insert(arguments.end(), flags.begin(), flags.end());
  pid_ = Spawn(arguments, directory_ + "/log");
  if (pid_ < 0) {
    ADD_FAILURE() << "cannot execute " << CLOISTERD_BINARY;
    std::abort();
  }

  grpc::ChannelArguments channel_arguments;
  channel_arguments.SetMaxReceiveMessageSize(-1);
  channel_ =
      grpc::CreateCustomChannel(address_, grpc::InsecureChannelCredentials(), channel_arguments);
  executions_ = v1::ExecutionService::NewStub(channel_);
  sandboxes_ = v1::SandboxService::NewStub(channel_);
  interpreters_ = v1::InterpreterService::NewStub(channel_);
  files_ = v1::FileService::NewStub(channel_);
  messages_ = v1::MessageService::NewStub(channel_);
  info_ = v1::InfoService::NewStub(channel_);
}

ServerProcess::~ServerProcess() {
  if (pid_ > 0) {
    sandbox::UniqueFd pidfd(OpenPidfd(pid_));
    Signal(SIGTERM);
    if (!WaitForPidfd(pidfd.get(), absl::Seconds(30))) {
      ADD_FAILURE() << "cloisterd did not end within 30 s of SIGTERM\n" << Log();
      Signal(SIGKILL);
    }
    const int status = WaitForExit();
    if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL) {
      ADD_FAILURE() << "cloisterd was ended by signal " << WTERMSIG(status);
    }
  }
  if (::testing::Test::HasFailure()) std::cerr << "---- server log\n" << Log() << "----\n";
  std::error_code ignored;
  fs::remove_all(directory_, ignored);
}

absl::Status ServerProcess::WaitUntilReady(absl::Duration timeout) {
  auto health = grpc::health::v1::Health::NewStub(channel_);
  const absl::Time deadline = absl::Now() + timeout;
  while (absl::Now() < deadline) {
    grpc::ClientContext context;
    context.set_wait_for_ready(true);
    context.set_deadline(absl::ToChronoTime(deadline));
    auto reader = health->Watch(&context, {});
    grpc::health::v1::HealthCheckResponse response;
    while (reader->Read(&response)) {
      if (response.status() == grpc::health::v1::HealthCheckResponse::SERVING) {
        context.TryCancel();
        (void)reader->Finish();
        return absl::OkStatus();
      }
    }
    (void)reader->Finish();
    sandbox::UniqueFd pidfd(OpenPidfd(pid_));
    if (WaitForPidfd(pidfd.get(), absl::Milliseconds(20))) break;
  }
  return absl::UnavailableError(absl::StrCat("the server is not ready; its log:\n", Log()));
}

void ServerProcess::Signal(int number) {
  if (pid_ > 0) ::kill(pid_, number);
}

int ServerProcess::WaitForExit() {
  int status = -1;
  ::waitpid(pid_, &status, 0);
  pid_ = -1;
  return status;
}

std::string ServerProcess::Log() const { return ReadFile(directory_ + "/log"); }

std::vector<pid_t> ProcessTree(pid_t root) {
  std::multimap<pid_t, pid_t> children;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    pid_t pid = std::atoi(entry.path().filename().c_str());
    if (pid <= 0) continue;
    const std::string stat = ReadFile(entry.path() / "stat");
    // The name in parentheses may hold anything; what follows the last ')' is state and parent.
    const size_t end = stat.rfind(')');
    if (end == std::string::npos) continue;
    std::istringstream rest(stat.substr(end + 1));
    char state;
    pid_t parent;
    rest >> state >> parent;
    children.emplace(parent, pid);
  }
  std::vector<pid_t> tree = {root};
  for (size_t i = 0; i < tree.size(); ++i) {
    auto [begin, end] = children.equal_range(tree[i]);
    for (auto child = begin; child != end; ++child) tree.push_back(child->second);
  }
  return tree;
}

std::string ProcessName(pid_t pid) {
  return std::string(absl::StripSuffix(ReadFile(absl::StrCat("/proc/", pid, "/comm")), "\n"));
}

std::vector<pid_t> WaitUntilGone(const std::vector<pid_t>& pids, absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  std::vector<pid_t> left;
  for (pid_t pid : pids) {
    sandbox::UniqueFd pidfd(OpenPidfd(pid));
    if (!pidfd) continue;  // gone already
    if (!WaitForPidfd(pidfd.get(), std::max(deadline - absl::Now(), absl::ZeroDuration()))) {
      left.push_back(pid);
    }
  }
  return left;
}

std::vector<std::string> CgroupsOf(const std::vector<pid_t>& pids) {
  std::set<std::string> names;
  for (const pid_t pid : pids) names.insert(absl::StrCat("cloister-", pid));
  std::vector<std::string> found;
  FindDirectories("/sys/fs/cgroup", names, &found);
  return found;
}

std::vector<std::string> MountLeftovers() {
  std::vector<std::string> found;
  std::ifstream mounts("/proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    if (absl::StrContains(line, "cloister")) found.push_back(line);
  }
  return found;
}

}  // namespace cloister::testing
