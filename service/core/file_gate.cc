#include "service/core/file_gate.h"

#include <algorithm>

namespace cloister::core {

void FileGate::Shut() {
  sandbox_ = nullptr;
  waiting_.clear();
  is_asked_ = false;
  open_ = std::make_shared<char>();
}

void FileGate::Close(const absl::Status& why) {
  while (!visitors_.empty()) {
    FileVisitor* const visitor = visitors_.extract(visitors_.begin()).value();
    const bool is_last = visitors_.empty();
    visitor->OnGateClosed(why);
    if (is_last) return;
  }
}

bool FileGate::Leave(FileVisitor* visitor) {
  visitors_.erase(visitor);
  const auto found = std::find_if(waiting_.begin(), waiting_.end(),
                                  [visitor](const Waiting& one) { return one.visitor == visitor; });
  if (found == waiting_.end()) return false;
  waiting_.erase(found);
  return true;
}

void FileGate::Ask(FileVisitor* visitor, internal::v1::FileRequest request,
                   sandbox::Sandbox::FileCallback done) {
  on_use_();
  waiting_.push_back({visitor, std::move(request), std::move(done)});
  SendNext();
}

void FileGate::Tell(internal::v1::FileRequest request) {
  waiting_.push_front({nullptr, std::move(request), [](const auto&) {}});
  SendNext();
}

void FileGate::SendNext() {
  if (is_asked_ || sandbox_ == nullptr || waiting_.empty()) return;
  is_asked_ = true;
  Waiting next = std::move(waiting_.front());
  waiting_.pop_front();
  sandbox_->AccessFiles(std::move(next.request), [this, open = std::weak_ptr<char>(open_),
                                                  done = std::move(next.done)](auto reply) {
    if (open.expired()) return;
    is_asked_ = false;
    done(std::move(reply));  // may destroy this
    if (!open.expired()) SendNext();
  });
}

}  // namespace cloister::core
