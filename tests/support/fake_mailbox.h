// An interpreter's mailbox that exists in the test's imagination only.

#ifndef CLOISTER_TESTS_SUPPORT_FAKE_MAILBOX_H_
#define CLOISTER_TESTS_SUPPORT_FAKE_MAILBOX_H_

#include <fcntl.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "sandbox/mailbox.h"

namespace cloister::testing {

// Records what it is told; does nothing unless the test makes it.
class FakeMailbox final : public sandbox::Mailbox {
 public:
  // What the guest does. Requests have the numbers 1, 2 and so on.
  bool SayPost(std::string clone, std::shared_ptr<void> kept = nullptr) {
    return observer_->OnPost(std::move(clone), std::move(kept));
  }
  int64_t Say(internal::v1::MailboxRequest request) {
    observer_->OnRequest(++last_request, std::move(request));
    return last_request;
  }
  int64_t SayCallHost(const std::string& function) {
    internal::v1::MailboxRequest request;
    request.mutable_call_host()->set_function(function);
    return Say(std::move(request));
  }
  void SayGone(int64_t number) { observer_->OnRequestGone(number); }
  void SayRoom() {
    room = sandbox::Mailbox::kMaxInboxBytes;
    observer_->OnInboxRoom();
  }

  // Whether somebody is told of what the guest does; outlives the mailbox.
  std::shared_ptr<const bool> is_served() const { return is_served_; }
  size_t room = sandbox::Mailbox::kMaxInboxBytes;
  absl::Status post_error;
  std::vector<std::string> inbox;
  std::vector<std::shared_ptr<void>> held;
  int resumed = 0;
  int64_t last_request = 0;
  std::map<int64_t, internal::v1::MailboxReply> answers;
  std::map<int64_t, std::vector<sandbox::UniqueFd>> descriptors;

  // sandbox::Mailbox
  void SetObserver(sandbox::MailboxObserver* observer) override {
    observer_ = observer;
    *is_served_ = observer != nullptr;
  }
  bool HasRoomFor(size_t bytes) override { return bytes <= room; }
  absl::Status Post(std::string clone, std::shared_ptr<void> kept) override {
    if (!post_error.ok()) return post_error;
    inbox.push_back(std::move(clone));
    held.push_back(std::move(kept));
    return absl::OkStatus();
  }
  void ResumePosts() override { ++resumed; }
  absl::StatusOr<sandbox::UniqueFd> OpenSender() override {
    return sandbox::UniqueFd(::open("/dev/null", O_RDWR | O_CLOEXEC));
  }
  using sandbox::Mailbox::Answer;
  void Answer(int64_t number, internal::v1::MailboxReply reply,
              std::vector<sandbox::UniqueFd> sent) override {
    answers[number] = std::move(reply);
    descriptors[number] = std::move(sent);
  }

 private:
  sandbox::MailboxObserver* observer_ = nullptr;
  const std::shared_ptr<bool> is_served_ = std::make_shared<bool>(false);
};

}  // namespace cloister::testing

#endif  // CLOISTER_TESTS_SUPPORT_FAKE_MAILBOX_H_
