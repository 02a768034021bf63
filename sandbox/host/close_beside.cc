#include "sandbox/host/close_beside.h"

#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

namespace cloister::sandbox {
namespace {

// Its thread never ends: what it has not closed yet, the end of the process closes.
class Closer {
 public:
  Closer() {
    std::thread([this] { Run(); }).detach();
  }

  void Add(std::vector<UniqueFd> descriptors) {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (UniqueFd& descriptor : descriptors) waiting_.push_back(std::move(descriptor));
    changed_.notify_one();
  }

 private:
  [[noreturn]] void Run() {
    for (;;) {
      std::vector<UniqueFd> closed;
      std::unique_lock<std::mutex> lock(mutex_);
      changed_.wait(lock, [this] { return !waiting_.empty(); });
      closed.swap(waiting_);
      lock.unlock();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<UniqueFd> waiting_;
};

}  // namespace

void CloseBeside(std::vector<UniqueFd> descriptors) {
  if (descriptors.empty()) return;
  static Closer& closer = *new Closer;
  closer.Add(std::move(descriptors));
}

}  // namespace cloister::sandbox
