// The way to a live sandbox's files, and all who are on it: it opens when the sandbox has started,
// and closes for everybody at once when that is lost, restarted or ended.
//
// Thread-safety: loop thread only.

#ifndef CLOISTER_SERVICE_CORE_FILE_GATE_H_
#define CLOISTER_SERVICE_CORE_FILE_GATE_H_

#include <functional>
#include <set>
#include <utility>

#include "absl/status/status.h"
#include "sandbox/sandbox.h"

namespace cloister::core {

// One call's use of the files, as the gate sees it.
class FileVisitor {
 public:
  virtual ~FileVisitor() = default;
  // Once, unless it left before: nothing can be asked any more. May leave others.
  virtual void OnGateClosed(const absl::Status& why) = 0;
};

// Ownership: of nothing. Visitors leave before they go.
class FileGate {
 public:
  // `on_use` is called with every request.
  explicit FileGate(std::function<void()> on_use) : on_use_(std::move(on_use)) {}
  FileGate(const FileGate&) = delete;
  FileGate& operator=(const FileGate&) = delete;

  void Open(sandbox::Sandbox* sandbox) { sandbox_ = sandbox; }
  // The sandbox is about to go; Close follows.
  void Shut() { sandbox_ = nullptr; }
  // May destroy this: the last visitor may hold what holds it.
  void Close(const absl::Status& why) {
    while (!visitors_.empty()) {
      FileVisitor* const visitor = visitors_.extract(visitors_.begin()).value();
      const bool is_last = visitors_.empty();
      visitor->OnGateClosed(why);
      if (is_last) return;
    }
  }

  bool is_open() const { return sandbox_ != nullptr; }
  void Enter(FileVisitor* visitor) { visitors_.insert(visitor); }
  void Leave(FileVisitor* visitor) { visitors_.erase(visitor); }
  size_t count() const { return visitors_.size(); }

  // While it is open.
  void Ask(internal::v1::FileRequest request, sandbox::Sandbox::FileCallback done) {
    on_use_();
    sandbox_->AccessFiles(std::move(request), std::move(done));
  }

 private:
  const std::function<void()> on_use_;
  sandbox::Sandbox* sandbox_ = nullptr;
  std::set<FileVisitor*> visitors_;
};

}  // namespace cloister::core

#endif  // CLOISTER_SERVICE_CORE_FILE_GATE_H_
