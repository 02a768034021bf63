// Keeps one template's zygote alive, and young.

#ifndef CLOISTER_SERVICE_POOL_ZYGOTE_KEEPER_H_
#define CLOISTER_SERVICE_POOL_ZYGOTE_KEEPER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_set>

#include "absl/status/statusor.h"
#include "sandbox/base/loop.h"
#include "sandbox/sandbox.h"
#include "service/base/back_off.h"
#include "service/core/observer.h"
#include "service/pool/pool_options.h"

namespace cloister::pool {

// Starts a zygote, starts another when it dies (later each time it fails), and replaces it after
// its number of forks or its age: the new one is warmed before the old one stops, so that there is
// always one to fork from. Clones of one zygote share hash seed and address layout; that is why
// they age.
//
// Thread-safety: loop thread only.
class ZygoteKeeper {
 public:
  class Listener {
   public:
    virtual ~Listener() = default;
    // current() is another one. What was cloned from the one before still works.
    virtual void OnZygoteReady() = 0;
    // That zygote died, and with it whatever was cloned from it.
    virtual void OnZygoteLost(int64_t zygote_id) = 0;
  };

  // Nothing is owned; `template_name` is for the observer.
  ZygoteKeeper(sandbox::Loop* loop, sandbox::SandboxFactory* factory,
               core::ServiceObserver* observer, std::string template_name, ZygoteOptions options,
               Listener* listener);
  ~ZygoteKeeper();
  ZygoteKeeper(const ZygoteKeeper&) = delete;
  ZygoteKeeper& operator=(const ZygoteKeeper&) = delete;

  void Start();
  // No zygote from now on.
  void Stop();

  // The zygote to clone from; 0 while there is none.
  int64_t current() const { return current_; }

  // A sandbox of the current zygote became ready.
  void CountFork();

  // A sandbox asked of this zygote at `asked` was not ready in time. If it has made nothing since, for
  // nobody, the zygote is taken for stopped or hung, and ended with everything that is left of it.
  void OnForkOverdue(int64_t zygote_id, absl::Time asked);

  // From the factory. Unknown ids are ignored.
  void OnZygoteExited(int64_t zygote_id, const std::string& reason);

  const std::string& python_version() const { return python_version_; }
  // The last attempt failed for good: the template's configuration or its image has to be changed.
  bool is_hopeless() const { return is_hopeless_; }
  // The last failure, whether or not it was overcome; empty if none.
  const std::string& last_error() const { return last_error_; }

 private:
  void StartNext();
  void OnStartOverdue();
  void OnStarted(int64_t zygote_id, absl::StatusOr<sandbox::ZygoteInfo> info);
  void Retire();
  void RetryLater(base::BackOff* back_off);

  sandbox::Loop* const loop_;
  sandbox::SandboxFactory* const factory_;
  core::ServiceObserver* const observer_;
  const std::string template_name_;
  const ZygoteOptions options_;
  Listener* const listener_;
  base::BackOff back_off_;
  base::BackOff permanent_back_off_;
  bool is_hopeless_ = false;
  bool stopped_ = true;
  int64_t current_ = 0;
  int64_t starting_ = 0;
  std::unordered_set<int64_t> retired_;  // stopped, with sandboxes left
  int64_t forks_ = 0;                    // of current_
  int64_t aborted_ = 0;
  std::string python_version_;
  std::string last_error_;
  sandbox::Loop::TimerId age_timer_ = 0;
  sandbox::Loop::TimerId start_timer_ = 0;
  sandbox::Loop::TimerId retry_timer_ = 0;
  // Lets answers that arrive after the destructor be recognised.
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace cloister::pool

#endif  // CLOISTER_SERVICE_POOL_ZYGOTE_KEEPER_H_
