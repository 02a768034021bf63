// The way to a live sandbox's files, and all who are on it: it opens when the sandbox has started,
// and closes for everybody at once when that is lost, restarted or ended.
//
// The sandbox is asked one thing at a time. What waits for its turn waits here, and goes when who
// asked for it leaves: callers that come and go do not fill anybody's memory.
//
// Thread-safety: loop thread only.

#ifndef CLOISTER_SERVICE_CORE_FILE_GATE_H_
#define CLOISTER_SERVICE_CORE_FILE_GATE_H_

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
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

// Ownership: of nothing but what waits. Visitors leave before they go.
class FileGate {
 public:
  // `on_use` is called with every request.
  explicit FileGate(std::function<void()> on_use) : on_use_(std::move(on_use)) {}
  FileGate(const FileGate&) = delete;
  FileGate& operator=(const FileGate&) = delete;

  void Open(sandbox::Sandbox* sandbox) { sandbox_ = sandbox; }
  // The sandbox is about to go; what waits is forgotten, and Close follows.
  void Shut();
  // May destroy this: the last visitor may hold what holds it.
  void Close(const absl::Status& why);

  bool is_open() const { return sandbox_ != nullptr; }
  void Enter(FileVisitor* visitor) { visitors_.insert(visitor); }
  // Whether something it asked for had not been sent, and never will be.
  bool Leave(FileVisitor* visitor);
  size_t count() const { return visitors_.size(); }
  // What has not been sent yet.
  size_t waiting_count() const { return waiting_.size(); }

  // While it is open. Visitors ask one thing at a time, and are answered in the order they came:
  // never inline, and not at all where the gate closes before.
  void Ask(FileVisitor* visitor, internal::v1::FileRequest request,
           sandbox::Sandbox::FileCallback done);
  // The same for what frees something and is not waited for: it comes before all that waits.
  void Tell(internal::v1::FileRequest request);

 private:
  struct Waiting {
    FileVisitor* visitor;  // or nobody
    internal::v1::FileRequest request;
    sandbox::Sandbox::FileCallback done;
  };

  void SendNext();

  const std::function<void()> on_use_;
  sandbox::Sandbox* sandbox_ = nullptr;
  std::set<FileVisitor*> visitors_;
  std::deque<Waiting> waiting_;
  bool is_asked_ = false;  // the sandbox, something it has not answered
  // Expires with the gate, and when it is shut: an answer that comes later is of a sandbox that has
  // gone.
  std::shared_ptr<char> open_ = std::make_shared<char>();
};

}  // namespace cloister::core

#endif  // CLOISTER_SERVICE_CORE_FILE_GATE_H_
