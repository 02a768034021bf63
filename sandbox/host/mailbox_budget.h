// What mailboxes hold of their guests' in the server's memory: frames that are announced, requests that wait for their
// answers, answers that their guest is slow to read, posts that nobody has taken yet. Bounded for each mailbox, and for
// all together. What finds no room waits.
//
// Of what nobody holds, a mailbox may have an eighth of the rest: who takes as much as it can gets leaves others room for
// the longest message they may send, and a little is each one's own.
//
// Thread-safety: the loop's thread only.
// Ownership: shared by a mailbox and the posts of it that wait for a client.

#ifndef CLOISTER_SANDBOX_HOST_MAILBOX_BUDGET_H_
#define CLOISTER_SANDBOX_HOST_MAILBOX_BUDGET_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <utility>

namespace cloister::sandbox {

class MailboxBudget : public std::enable_shared_from_this<MailboxBudget> {
 public:
  // Of one mailbox: two requests of the greatest length, and posts of as much as may wait for a client.
  static constexpr size_t kMaxBytes = size_t{48} << 20;
  // Of that, whatever others hold.
  static constexpr size_t kOwnBytes = size_t{64} << 10;
  // Of all mailboxes.
  static constexpr size_t kMaxBytesOfAll = size_t{512} << 20;

  // `on_room` is told, perhaps inline, that what was refused may find room now; it has to be tried again later, and `Tried`
  // called then.
  explicit MailboxBudget(std::function<void()> on_room) : on_room_(std::move(on_room)) {}
  MailboxBudget(const MailboxBudget&) = delete;
  MailboxBudget& operator=(const MailboxBudget&) = delete;
  ~MailboxBudget();

  // False where there is no room; on_room follows when there may be.
  bool Take(size_t bytes);
  void Give(size_t bytes);
  // What is here already, room or not: given back with the last copy.
  std::shared_ptr<void> Keep(size_t bytes);

  // Others may find room that this mailbox was told of first.
  void Tried();
  // The mailbox goes; posts of it may stay.
  void Close();

 private:
  // Free bytes of all that this takes to be admitted.
  size_t NeedFor(size_t bytes) const;
  bool HasRoomFor(size_t bytes) const;
  void AwaitOthers(size_t need);
  void ForgetOthers();
  // Tells the next of all mailboxes that wait for one another.
  static void TellNext();

  std::function<void()> on_room_;
  size_t held_bytes_ = 0;
  bool is_refused_ = false;   // since on_room was told
  size_t waiting_need_ = 0;   // under which it waits for others; 0: it does not
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_HOST_MAILBOX_BUDGET_H_
