// The host's side of one interpreter's mailbox (internal/v1/mailbox.proto): makes connections ahead for the guest, reads
// what it posts and asks, opens its inbox to it.
//
// The host reads only from sockets whose ends it made and gave one of away: who has a socket's other end too can make any
// reader of it wait, MSG_DONTWAIT or not, by reading slowly (the kernel holds a mutex of the socket while it copies).
//
// What no guest of ours can have sent breaks the protocol, and ends the interpreter; what its code can bring about is answered
// with a failure.
//
// Thread-safety: the loop's thread only.
// Ownership: of all its descriptors. Memory: MailboxBudget, and what HostInbox says.

#ifndef CLOISTER_SANDBOX_HOST_HOST_MAILBOX_H_
#define CLOISTER_SANDBOX_HOST_HOST_MAILBOX_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/host/asio_loop.h"
#include "sandbox/host/fd_watcher.h"
#include "sandbox/host/host_inbox.h"
#include "sandbox/host/mailbox_connection.h"
#include "sandbox/mailbox.h"

namespace cloister::sandbox {

class HostMailbox final : public Mailbox {
 public:
  // Open at once, those that wait for their first byte included.
  static constexpr size_t kMaxConnections = 64;
  // Waiting for the guest to use them.
  static constexpr size_t kConnectionsAhead = 2;
  // Open at once in all mailboxes of the process. 0: a quarter of the descriptors that it may have; the rest is for
  // sandboxes and clients.
  static inline int64_t max_connections_of_all = 0;

  // `on_broken` is told once that the guest has broken the protocol; everything is closed then.
  using BrokenFunction = std::function<void(std::string detail)>;
  HostMailbox(AsioLoop* loop, BrokenFunction on_broken)
      : loop_(loop), on_broken_(std::move(on_broken)) {}
  ~HostMailbox() override {
    CloseAll();
    budget_->Close();
  }
  HostMailbox(const HostMailbox&) = delete;
  HostMailbox& operator=(const HostMailbox&) = delete;

  // The guest has a mailbox from here on, and is given its end of the line through this. DATA_LOSS: no guest of ours sends that.
  absl::Status Open(UniqueFd carrier);
  // The session is over: tells of the posts that are there, and closes everything.
  void Close();

  // Mailbox.
  void SetObserver(MailboxObserver* observer) override;
  bool HasRoomFor(size_t bytes) override { return inbox_.HasRoomFor(bytes); }
  absl::Status Post(std::string clone, std::shared_ptr<void> held) override {
    return inbox_.Post(std::move(clone), std::move(held));
  }
  void ResumePosts() override;
  absl::StatusOr<UniqueFd> OpenSender() override { return inbox_.OpenSender(); }
  using Mailbox::Answer;
  void Answer(int64_t number, internal::v1::MailboxReply reply, std::vector<UniqueFd> descriptors) override;

 private:
  enum class State { kUnused, kReading, kPosts, kAwaitingAnswer, kAnswering };
  // Of all mailboxes.
  static inline int64_t open_connections = 0;
  struct Connection {
    explicit Connection(std::unique_ptr<MailboxConnection> connected)
        : socket(std::move(connected)) {
      ++open_connections;
    }
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;
    ~Connection() { --open_connections; }

    State state = State::kUnused;
    std::unique_ptr<MailboxConnection> socket;
  };

  void Serve();
  void OnLine();
  // Makes connections until as many wait as are to, or as many are open as may.
  void MakeAhead();
  // False where none can be had now.
  bool MakeConnection();
  void OnUsed(int64_t number);
  void OnFrame(int64_t number, MailboxConnection::FrameOrError frame);
  void OnRequestFrame(int64_t number, absl::StatusOr<internal::v1::MailboxRequest> request);
  void OnRequest(int64_t number, internal::v1::MailboxRequest request);
  void OpenPosts(int64_t number);
  void OpenInbox(int64_t number);
  // What is there of posts on one connection, or on all.
  // Whether more may be there, in these two.
  bool ReadPosts(int64_t number);
  bool ReadAllPosts();
  void DrainPosts();
  void ReadUnused();
  // Whether to read on.
  bool OnPostFrame(const std::string& frame);
  void Reply(Connection& connection, int64_t number, const internal::v1::MailboxReply& reply, std::vector<UniqueFd> descriptors);
  // `sent` may drop the connection.
  void Send(Connection& connection, const internal::v1::MailboxReply& reply, std::vector<UniqueFd> descriptors,
            std::function<void(const absl::Status&)> sent);
  void OnInboxSent(int64_t number);
  void Drop(int64_t number);
  // Of those that wait for room in the budget; soon.
  void RetryStalled();
  void Break(std::string detail);
  void CloseAll();
  Connection* Find(int64_t number);

  AsioLoop* const loop_;
  const BrokenFunction on_broken_;
  MailboxObserver* observer_ = nullptr;
  bool is_closed_ = false;
  std::optional<FdWatcher> line_;
  bool is_making_ahead_ = false;
  Loop::TimerId retry_timer_ = 0;
  bool had_line_ = false;
  HostInbox inbox_{loop_, [this] {
                     if (observer_ != nullptr) observer_->OnInboxRoom();
                   }};
  const std::shared_ptr<MailboxBudget> budget_ = std::make_shared<MailboxBudget>([this] { RetryStalled(); });
  int64_t last_number_ = 0;
  std::map<int64_t, Connection> connections_;
  bool posts_paused_ = false;
  std::shared_ptr<char> alive_ = std::make_shared<char>();  // expires with the object
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_HOST_HOST_MAILBOX_H_
