// A sandbox of isolated interpreters that call, spawn and end one another, without a server: what a
// host does with their requests, on a thread for each.

#ifndef CLOISTER_TESTS_UNIT_SANDBOX_GUEST_PRETENDED_SANDBOX_H_
#define CLOISTER_TESTS_UNIT_SANDBOX_GUEST_PRETENDED_SANDBOX_H_

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "tests/unit/sandbox_guest/guest_interpreters.h"
#include "tests/unit/sandbox_guest/mailbox_host.h"

namespace cloister::sandbox {

// Thread-safety: as MailboxHost. Fails the current test on what goes wrong with itself.
class PretendedSandbox {
 public:
  explicit PretendedSandbox(GuestInterpreters* process) : process_(*process) {}
  PretendedSandbox(const PretendedSandbox&) = delete;
  PretendedSandbox& operator=(const PretendedSandbox&) = delete;
  ~PretendedSandbox();

  // A new one, that lives as long as the sandbox.
  GuestInterpreter& Add(const std::string& name);
  GuestInterpreter& Add(const std::string& name, const internal::v1::CreateInterpreter& request);
  GuestInterpreter& Get(const std::string& name) { return *members_.at(name)->interpreter; }

  // Ends it as if something had, while it may be called.
  internal::v1::InterpreterEnded End(const std::string& name);

  // Called before an interpreter is spawned, on a thread of its own.
  std::function<void()> before_spawn;

  int ended() const { return ended_; }
  int made() const { return made_; }

 private:
  struct Member {
    std::unique_ptr<GuestInterpreter> interpreter;
    std::unique_ptr<MailboxHost> host;
    std::mutex mutex;  // of its cells
    bool is_ended = false;
  };

  MailboxHost::Reply Answer(const internal::v1::MailboxRequest& request);
  MailboxHost::Reply Call(const internal::v1::CallInterpreter& call);
  std::shared_ptr<Member> Find(const std::string& name);

  GuestInterpreters& process_;
  std::atomic<int> names_ = 0;  // given
  std::mutex mutex_;  // of the rest
  std::map<std::string, std::shared_ptr<Member>> members_;
  int made_ = 0;
  int ended_ = 0;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_TESTS_UNIT_SANDBOX_GUEST_PRETENDED_SANDBOX_H_
