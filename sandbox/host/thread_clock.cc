#include "sandbox/host/thread_clock.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "sandbox/base/unique_fd.h"

namespace cloister::sandbox {
namespace {

std::string ReadFile(const std::string& path) {
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  char text[4096];
  const ssize_t got = file ? ::read(file.get(), text, sizeof(text)) : 0;
  return got > 0 ? std::string(text, static_cast<size_t>(got)) : std::string();
}

// Its id in the innermost pid namespace; 0 where the thread is gone.
pid_t InnerId(const std::string& status) {
  constexpr absl::string_view kName = "NSpid:";
  for (absl::string_view line : absl::StrSplit(status, '\n')) {
    if (line.substr(0, kName.size()) != kName) continue;
    const std::vector<absl::string_view> ids =
        absl::StrSplit(line.substr(kName.size()), absl::ByAnyChar("\t "), absl::SkipEmpty());
    pid_t id = 0;
    return !ids.empty() && absl::SimpleAtoi(ids.back(), &id) ? id : 0;
  }
  return 0;
}

// The youngest first.
std::vector<pid_t> YoungestThreads(const std::string& tasks) {
  std::vector<pid_t> threads;
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(tasks.c_str()), ::closedir);
  if (directory == nullptr) return threads;
  // The kernel lists them in the order in which they were made.
  while (const dirent* const entry = ::readdir(directory.get())) {
    pid_t thread = 0;
    if (absl::SimpleAtoi(entry->d_name, &thread)) threads.push_back(thread);
  }
  std::reverse(threads.begin(), threads.end());
  if (threads.size() > kMostThreadsLookedAt) threads.resize(kMostThreadsLookedAt);
  return threads;
}

}  // namespace

std::optional<pid_t> FindThread(pid_t process, pid_t inner_id) {
  if (inner_id <= 0) return std::nullopt;
  const std::string tasks = absl::StrCat("/proc/", process, "/task");
  for (const pid_t thread : YoungestThreads(tasks)) {
    if (InnerId(ReadFile(absl::StrCat(tasks, "/", thread, "/status"))) == inner_id) return thread;
  }
  return std::nullopt;
}

absl::Duration ThreadCpuTime(pid_t process, pid_t thread, absl::Duration fallback) {
  const std::string text = ReadFile(absl::StrCat("/proc/", process, "/task/", thread, "/schedstat"));
  int64_t nanoseconds = 0;
  if (!absl::SimpleAtoi(text.substr(0, text.find(' ')), &nanoseconds)) return fallback;
  return absl::Nanoseconds(nanoseconds);
}

}  // namespace cloister::sandbox
