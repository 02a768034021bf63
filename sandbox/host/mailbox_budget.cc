#include "sandbox/host/mailbox_budget.h"

#include <algorithm>
#include <set>

namespace cloister::sandbox {
namespace {

// What is free is left eight parts of for each part that a mailbox has.
constexpr size_t kPartsLeft = 8;

// Of the process: one server, one loop.
struct AllMailboxes {
  size_t held_bytes = 0;
  // Who waits for others, by the free bytes that it needs.
  std::set<std::pair<size_t, MailboxBudget*>> waiting;

  size_t free_bytes() const {
    return MailboxBudget::kMaxBytesOfAll - std::min(held_bytes, MailboxBudget::kMaxBytesOfAll);
  }
};

AllMailboxes& All() {
  static AllMailboxes& all = *new AllMailboxes;
  return all;
}

}  // namespace

MailboxBudget::~MailboxBudget() {
  Close();
  Give(held_bytes_);
}

size_t MailboxBudget::NeedFor(size_t bytes) const {
  return bytes + kPartsLeft * (held_bytes_ + bytes);
}

bool MailboxBudget::HasRoomFor(size_t bytes) const {
  if (held_bytes_ + bytes > kMaxBytes) return false;
  return held_bytes_ + bytes <= kOwnBytes || NeedFor(bytes) <= All().free_bytes();
}

bool MailboxBudget::Take(size_t bytes) {
  if (HasRoomFor(bytes)) {
    held_bytes_ += bytes;
    All().held_bytes += bytes;
    return true;
  }
  is_refused_ = true;
  // Otherwise it waits for itself alone.
  if (held_bytes_ + bytes <= kMaxBytes) AwaitOthers(NeedFor(bytes));
  return false;
}

void MailboxBudget::AwaitOthers(size_t need) {
  if (waiting_need_ != 0 && waiting_need_ <= need) return;
  ForgetOthers();
  waiting_need_ = need;
  All().waiting.emplace(need, this);
}

void MailboxBudget::ForgetOthers() {
  if (waiting_need_ != 0) All().waiting.erase({std::exchange(waiting_need_, 0), this});
}

void MailboxBudget::Give(size_t bytes) {
  held_bytes_ -= bytes;
  All().held_bytes -= bytes;
  if (is_refused_ && bytes > 0 && on_room_ != nullptr) {
    is_refused_ = false;
    on_room_();
  }
  TellNext();
}

std::shared_ptr<void> MailboxBudget::Keep(size_t bytes) {
  struct Kept {
    ~Kept() { budget->Give(bytes); }
    const std::shared_ptr<MailboxBudget> budget;
    const size_t bytes;
  };
  held_bytes_ += bytes;
  All().held_bytes += bytes;
  return std::shared_ptr<Kept>(new Kept{shared_from_this(), bytes});
}

void MailboxBudget::TellNext() {
  AllMailboxes& all = All();
  // One at a time: when it has tried, it is the turn of the next.
  if (all.waiting.empty() || all.waiting.begin()->first > all.free_bytes()) return;
  MailboxBudget& next = *all.waiting.begin()->second;
  next.ForgetOthers();
  next.is_refused_ = false;
  if (next.on_room_ != nullptr) next.on_room_();
}

void MailboxBudget::Tried() { TellNext(); }

void MailboxBudget::Close() {
  on_room_ = nullptr;
  ForgetOthers();
  TellNext();
}

}  // namespace cloister::sandbox
