// The host's end of an interpreter's mailbox, for tests: answers as it is told, and sends whatever
// packets it is given.

#ifndef CLOISTER_TESTS_UNIT_SANDBOX_GUEST_MAILBOX_HOST_H_
#define CLOISTER_TESTS_UNIT_SANDBOX_GUEST_MAILBOX_HOST_H_

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "cloister/internal/v1/mailbox.pb.h"
#include "cloister/v1/value.pb.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/wire/inbox_packet.h"
#include "tests/unit/sandbox_guest/session_client.h"

namespace cloister::sandbox {

// Clones of values that tests send.
std::string CloneOf(const std::string& text);
std::string CloneOfBytes(size_t count);

// Thread-safety: tests use it from their own thread; connections are served on threads of its own.
class MailboxHost {
 public:
  explicit MailboxHost(SessionClient* client);
  MailboxHost(const MailboxHost&) = delete;
  MailboxHost& operator=(const MailboxHost&) = delete;
  ~MailboxHost();

  using Reply = std::optional<internal::v1::MailboxReply>;

  // What is answered to requests but for inbox, posts and ports; nothing: the connection stays open
  // until the interpreter closes it. Called on a thread of its own.
  std::function<Reply(const internal::v1::MailboxRequest&)> answer;

  // An interpreter that OpenPort finds.
  void AddPeer(const std::string& name, MailboxHost* host);

  // The next post; fails the test where none comes.
  std::string NextPost();
  // Whether posts are read at all.
  void ReadPosts(bool reads);

  // Whether answers are given: while they are held back, all but the first byte of each waits.
  void HoldAnswers(bool holds);

  // Waits until the interpreter has closed `count` connections that got no answer.
  void AwaitCancelled(int count);

  // ---- the sending end of the inbox

  int inbox() const { return sending_.get(); }
  // A clone as the host sends it, in parts where it is long.
  void Send(std::string_view clone);
  // Any packet. False where it does not fit.
  bool SendPacket(const InboxPacketHeader& header, std::string_view payload,
                  const std::vector<int>& descriptors = {});

  int mailboxes_opened() const { return mailboxes_opened_; }

 private:
  // Keeps it open until the end, when it is shut down.
  int Keep(UniqueFd fd);
  // Sends the interpreter a connection.
  void Offer();
  bool IsOver();
  void Serve(int connection);
  void ServePosts(int connection);
  void ServeChannel(int connection, const internal::v1::OpenChannel& wish);
  bool Reads();
  void Answer(int connection, const internal::v1::MailboxReply& reply, std::vector<int> fds = {});
  void Start(std::function<void()> run);

  UniqueFd sending_, receiving_;
  int mailboxes_opened_ = 0;
  int line_ = -1;

  std::mutex mutex_;
  std::map<std::string, int> peers_;  // their sending ends
  std::map<std::string, std::vector<UniqueFd>> channels_;
  std::condition_variable changed_;
  std::vector<std::string> posts_;
  bool reads_posts_ = true;
  bool holds_answers_ = false;
  bool is_over_ = false;
  int cancelled_ = 0;
  std::vector<UniqueFd> open_;  // closed at the end, when threads have ended
  std::vector<std::thread> threads_;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_TESTS_UNIT_SANDBOX_GUEST_MAILBOX_HOST_H_
