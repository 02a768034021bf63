#include "sandbox/guest/messages/message_ends.h"

#include <fcntl.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "sandbox/guest/interpreter_local.h"
#include "sandbox/guest/interrupts.h"

namespace cloister::sandbox {

struct EndsList {
  EndsList() : head(MessageEnds::ListHead()) {}
  ~EndsList() {
    // Its interpreter ends: peers are to know, whatever holds the objects.
    while (head.next_ != &head) {
      head.next_->End();
      head.next_->Unlink();
    }
  }

  template <typename Visit>
  void ForEach(const Visit& visit) {
    for (MessageEnds* one = head.next_; one != &head; one = one->next_) visit(one);
  }

  MessageEnds head;
};

namespace {

const InterpreterLocal<EndsList> here;

std::string Sentence(int count, const char* one, const char* many) {
  return count == 1 ? one : absl::StrCat(count, " ", many);
}

}  // namespace

MessageEnds::MessageEnds() : previous_(&here->head), next_(previous_->next_) {
  previous_->next_ = this;
  next_->previous_ = this;
}

MessageEnds::~MessageEnds() { Unlink(); }

void MessageEnds::Unlink() {
  previous_->next_ = next_;
  next_->previous_ = previous_;
  previous_ = next_ = this;
}

void MessageEnds::Close() {
  is_closed_ = true;
  if (waiting_ == nullptr && held_.empty()) {
    for (UniqueFd& fd : fds_) fd.reset();
    return;
  }
  for (const Waiting* one = waiting_; one != nullptr; one = one->next_) WakeThread(one->thread_);
}

int MessageEnds::Hold(size_t index) {
  UniqueFd duplicate(fcntl(fds_[index].get(), F_DUPFD_CLOEXEC, 0));
  if (!duplicate) return -1;
  held_.push_back(std::move(duplicate));
  return held_.back().get();
}

void MessageEnds::LetGo(int duplicate) {
  const size_t gone =
      std::erase_if(held_, [&](const UniqueFd& held) { return held.get() == duplicate; });
  if (gone > 0 && held_.empty() && is_closed_) Close();
}

void MessageEnds::End() {
  is_closed_ = true;
  for (UniqueFd& fd : fds_) fd.reset();
  held_.clear();
}

void MessageEnds::ForgetWaitsOfOtherThreads() {
  Waiting** link = &waiting_;
  while (*link != nullptr) {
    if (pthread_equal((*link)->thread_, pthread_self()) != 0) {
      link = &(*link)->next_;
    } else {
      *link = (*link)->next_;
    }
  }
}

void MessageEnds::Abandon() {
  is_closed_ = true;
  for (UniqueFd& fd : fds_) (void)fd.release();
  for (UniqueFd& fd : held_) (void)fd.release();
  held_.clear();
}

MessageEnds::Waiting::Waiting(MessageEnds* ends)
    : ends_(*ends), thread_(pthread_self()), next_(ends->waiting_) {
  ends_.waiting_ = this;
}

MessageEnds::Waiting::~Waiting() {
  Waiting** link = &ends_.waiting_;
  while (*link != this) link = &(*link)->next_;
  *link = next_;
  if (ends_.waiting_ == nullptr && ends_.is_closed_) ends_.Close();
}

void MessageEnds::List(std::vector<int>* fds) const {
  for (const UniqueFd& fd : fds_) {
    if (fd) fds->push_back(fd.get());
  }
  for (const UniqueFd& fd : held_) fds->push_back(fd.get());
}

MessageDescriptors ListMessageDescriptors() {
  MessageDescriptors found;
  int channels = 0;
  int calls = 0;
  here->ForEach([&](const MessageEnds* ends) {
    ends->List(&found.fds);
    if (ends->is_closed() || ends->of == MessageEnds::Of::kMailbox) return;
    ++(ends->of == MessageEnds::Of::kChannel ? channels : calls);
  });
  if (channels > 0) {
    found.obstacles.push_back(
        Sentence(channels, "a cloister.Channel, or an end of one, is open (close it)",
                 "cloister.Channels, or ends of them, are open (close them)"));
  }
  if (calls > 0) {
    found.obstacles.push_back(Sentence(
        calls,
        "a call of another interpreter or the client is under way (wait for it, or cancel it)",
        "calls of other interpreters or the client are under way (wait for them, or cancel them)"));
  }
  return found;
}

void CloseMailboxDescriptors() {
  here->ForEach([](MessageEnds* ends) {
    if (ends->of == MessageEnds::Of::kMailbox) ends->End();
  });
}

void ForgetWaitsOfOtherThreads() {
  here->ForEach([](MessageEnds* ends) { ends->ForgetWaitsOfOtherThreads(); });
}

void AbandonMessageDescriptors() {
  here->ForEach([](MessageEnds* ends) { ends->Abandon(); });
}

}  // namespace cloister::sandbox
