// The calls that code in one interpreter makes of functions which its client offers: numbered, a few at a time, each
// within a time, and over when either side goes.
//
//   waiting ─▶ open (the client was told) ─▶ answered | timed out | abandoned by its caller
//
// Thread-safety: loop thread only.
// Ownership: of a connection; with it, all its calls end. What `Context` names must outlive it.

#ifndef CLOISTER_SERVICE_CORE_HOST_CALLS_H_
#define CLOISTER_SERVICE_CORE_HOST_CALLS_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cloister/internal/v1/mailbox.pb.h"
#include "sandbox/base/loop.h"
#include "service/core/observer.h"

namespace cloister::core {

// What a client offers.
struct HostCallOptions {
  std::set<std::string> functions;
  // Told to the client at once; more wait.
  int maximum = 16;
  // From the moment a call reaches the server until its answer does.
  absl::Duration timeout = absl::Seconds(60);
};

// For the client to answer.
struct HostCall {
  int64_t number = 0;  // within the connection
  // With clones of arguments; empty where there are none.
  internal::v1::CallHost call;
};

// An answer to it is not awaited any more.
struct HostCallCancelled {
  int64_t number = 0;
};

class HostCalls {
 public:
  struct Context {
    sandbox::Loop* loop;
    ServiceObserver* observer;
    // Answers the caller's request.
    std::function<void(int64_t request, internal::v1::MailboxReply reply)> answer;
    // There is something to take.
    std::function<void()> on_ready;
  };

  // Of so many that were cancelled it is known that an answer may still come.
  static constexpr size_t kRememberedCancellations = 1024;

  HostCalls(Context context, HostCallOptions options)
      : context_(std::move(context)), options_(std::move(options)) {}
  HostCalls(const HostCalls&) = delete;
  HostCalls& operator=(const HostCalls&) = delete;
  ~HostCalls() { Close("the client has gone"); }

  // From the interpreter. `posts` of its messages come before it.
  void Begin(int64_t request, internal::v1::CallHost call, uint64_t posts);
  void Abandon(int64_t request);

  // From the client. HOST_CALL_UNKNOWN; an answer that crossed its cancellation is dropped.
  absl::Status Answer(int64_t number, internal::v1::MailboxReply reply);

  // What the client is to be told next, of each kind.
  std::optional<HostCallCancelled> TakeCancelled();
  // Of calls, one behind no more than so many messages.
  std::optional<HostCall> Take(uint64_t posts);

  // No answer will come any more: offers nothing from here on.
  void Close(const std::string& why);
  // The same without an answer: the callers have gone.
  void Drop();

 private:
  struct Call {
    int64_t number = 0;  // 0 while it waits
    uint64_t posts = 0;
    internal::v1::CallHost call;
    absl::Time since;
    sandbox::Loop::TimerId timer = 0;
  };

  void OnTimeout(int64_t request);
  // Takes it out, and tells the client where that knows of it.
  Call Cancel(int64_t request);
  void TellReady();
  void Count(HostCallResult result, const Call& call);

  const Context context_;
  HostCallOptions options_;
  std::map<int64_t, Call> calls_;    // by request
  std::deque<int64_t> waiting_;      // requests, oldest first
  std::map<int64_t, int64_t> open_;  // requests by number
  std::deque<int64_t> untold_;       // cancelled numbers
  std::set<int64_t> cancelled_;      // numbers whose answer may still come
  int64_t forgotten_ = 0;            // cancelled ones up to this number are not known any more
  int64_t last_number_ = 0;
};

}  // namespace cloister::core

#endif  // CLOISTER_SERVICE_CORE_HOST_CALLS_H_
