// The descriptors that messages of an interpreter go through, so that a copy of its process knows
// them.
//
// Thread-safety: with the GIL of the interpreter.

#ifndef CLOISTER_SANDBOX_GUEST_MESSAGES_MESSAGE_ENDS_H_
#define CLOISTER_SANDBOX_GUEST_MESSAGES_MESSAGE_ENDS_H_

#include <pthread.h>

#include <array>
#include <string>
#include <vector>

#include "sandbox/base/unique_fd.h"

namespace cloister::sandbox {

// Up to three descriptors that are closed together, for each of which a thread may wait. Known to
// the interpreter in which it was made as long as it lives.
class MessageEnds {
 public:
  enum class Of {
    kMailbox,  // made anew in a copy
    kChannel,
    kCall,
  };

  MessageEnds();
  MessageEnds(const MessageEnds&) = delete;
  MessageEnds& operator=(const MessageEnds&) = delete;
  ~MessageEnds();

  Of of = Of::kChannel;

  UniqueFd& operator[](size_t index) { return fds_[index]; }
  int fd(size_t index) const { return fds_[index].get(); }

  bool is_closed() const { return is_closed_; }
  const bool* closed() const { return &is_closed_; }

  // From here on is_closed; descriptors are closed once no thread waits for them, and threads that
  // do are woken.
  void Close();

  // For who waits in ways of its own, as event loops do: gives a duplicate of the descriptor, and
  // keeps all of them open until it is let go of, though they be closed. -1 with errno.
  int Hold(size_t index);
  void LetGo(int duplicate);
  bool is_held() const { return !held_.empty(); }

  // Closes them even where they are held.
  void End();

  void ForgetWaitsOfOtherThreads();

  // Appends all that are open.
  void List(std::vector<int>* fds) const;

  // As End(), but leaves the numbers alone: in a copy of the process, which does not have them.
  void Abandon();

  // While a thread waits for one of the descriptors.
  class Waiting {
   public:
    explicit Waiting(MessageEnds* ends);
    Waiting(const Waiting&) = delete;
    Waiting& operator=(const Waiting&) = delete;
    ~Waiting();

   private:
    friend class MessageEnds;
    MessageEnds& ends_;
    const pthread_t thread_;
    Waiting* next_;
  };

 private:
  friend struct EndsList;
  void Unlink();

  std::array<UniqueFd, 3> fds_;
  bool is_closed_ = false;
  Waiting* waiting_ = nullptr;
  std::vector<UniqueFd> held_;
  MessageEnds* previous_ = this;
  MessageEnds* next_ = this;

  struct ListHead {};
  explicit MessageEnds(ListHead) {}
};

// Of the calling interpreter.
struct MessageDescriptors {
  std::vector<int> fds;                // all of them
  std::vector<std::string> obstacles;  // why there can be no copy, a sentence each
};
MessageDescriptors ListMessageDescriptors();

// Closes those of the mailbox.
void CloseMailboxDescriptors();

// In a fork that the program made: waits of threads that are not there are none.
void ForgetWaitsOfOtherThreads();

// In a copy of the process, which has none of them.
void AbandonMessageDescriptors();

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_MESSAGES_MESSAGE_ENDS_H_
