// Posts of a mailbox: what one connection carries to the client, before whatever follows it.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sandbox/host/host_mailbox.h"
#include "sandbox/host/mailbox_request.h"

namespace cloister::sandbox {
namespace {

using internal::v1::MailboxRequest;

// What one mailbox may take of the loop's turn; others wait meanwhile.
constexpr int kPostsPerTurn = 64;
// What is read of posts before a request that follows them, and when the session is over: more than a
// socket holds.
constexpr int kLastPosts = 1000;

}  // namespace

// One at a time: what is held back has to be bounded.
void HostMailbox::OpenPosts(int64_t number) {
  std::erase_if(connections_,
                [](const auto& entry) { return entry.second.state == State::kPosts; });
  Find(number)->state = State::kPosts;
  MakeAhead();
  ReadPosts(number);
}

bool HostMailbox::OnPostFrame(const std::string& frame) {
  absl::StatusOr<std::string> clone = TakePost(frame);
  if (!clone.ok()) {
    Break(std::string(clone.status().message()));
    return false;
  }
  if (observer_ == nullptr) return true;
  auto held = budget_->Keep(clone->size() + kMessageOverheadBytes);
  if (!observer_->OnPost(*std::move(clone), std::move(held))) posts_paused_ = true;
  return true;
}

bool HostMailbox::ReadPosts(int64_t number) {
  bool is_all = false;
  for (int i = 0; i < kPostsPerTurn && !is_all; ++i) {
    Connection* const connection = Find(number);
    if (connection == nullptr || posts_paused_) break;
    std::optional<MailboxConnection::FrameOrError> frame = connection->socket->Poll();
    is_all = !frame.has_value();
    if (is_all) break;
    if (absl::IsOutOfRange(frame->status())) return Drop(number), false;
    if (!frame->ok()) return Break(std::string(frame->status().message())), false;
    if (!OnPostFrame(**frame)) return false;
  }
  Connection* const connection = Find(number);
  if (connection == nullptr) return false;
  if (posts_paused_) {
    connection->socket->CancelAwait();  // of an earlier turn
    return false;
  }
  connection->socket->AwaitFrame([this, number](auto frame) { OnFrame(number, std::move(frame)); });
  return !is_all;
}

// Connections are in no order, but a guest may have posted on a new one before it asked on another.
void HostMailbox::ReadUnused() {
  std::vector<int64_t> unused;
  for (const auto& [number, connection] : connections_) {
    if (connection.state == State::kUnused) unused.push_back(number);
  }
  for (const int64_t number : unused) {
    Connection* const connection = Find(number);
    if (connection == nullptr || connection->state != State::kUnused) continue;
    std::optional<MailboxConnection::FrameOrError> frame = connection->socket->Poll();
    if (!frame.has_value()) continue;
    connection->socket->CancelAwait();
    connection->state = State::kReading;
    if (absl::IsOutOfRange(frame->status())) {
      Drop(number);
      continue;
    }
    auto request = std::make_shared<absl::StatusOr<MailboxRequest>>(
        frame->ok() ? ParseMailboxRequest(**frame) : frame->status());
    if (request->ok() && (*request)->has_open_posts()) {
      OpenPosts(number);
      continue;
    }
    // Behind what is being told of now.
    loop_->Post([this, alive = std::weak_ptr<char>(alive_), number, request] {
      if (!alive.expired() && Find(number) != nullptr) OnRequestFrame(number, std::move(*request));
    });
  }
  MakeAhead();
}

bool HostMailbox::ReadAllPosts() {
  ReadUnused();
  std::vector<int64_t> numbers;
  for (const auto& [number, connection] : connections_) {
    if (connection.state == State::kPosts) numbers.push_back(number);
  }
  bool is_more = false;
  for (const int64_t number : numbers) is_more |= ReadPosts(number);
  return is_more;
}

void HostMailbox::DrainPosts() {
  for (int i = 0; i < kLastPosts / kPostsPerTurn && ReadAllPosts(); ++i) {
  }
}

void HostMailbox::ResumePosts() {
  if (!posts_paused_) return;
  posts_paused_ = false;
  loop_->Post([this, alive = std::weak_ptr<char>(alive_)] {
    if (!alive.expired()) ReadAllPosts();
  });
}

}  // namespace cloister::sandbox
