#include "service/pool/zygote_keeper.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace cloister::pool {

ZygoteKeeper::ZygoteKeeper(sandbox::Loop* loop, sandbox::SandboxFactory* factory,
                           core::ServiceObserver* observer, std::string template_name,
                           ZygoteOptions options, Listener* listener)
    : loop_(loop),
      factory_(factory),
      observer_(observer),
      template_name_(std::move(template_name)),
      options_(std::move(options)),
      listener_(listener),
      back_off_(options_.back_off),
      permanent_back_off_(options_.permanent_back_off) {}

ZygoteKeeper::~ZygoteKeeper() {
  *alive_ = false;
  loop_->Cancel(age_timer_);
  loop_->Cancel(start_timer_);
  loop_->Cancel(retry_timer_);
}

void ZygoteKeeper::Start() {
  stopped_ = false;
  StartNext();
}

void ZygoteKeeper::Stop() {
  if (stopped_) return;
  stopped_ = true;
  loop_->Cancel(start_timer_);
  loop_->Cancel(retry_timer_);
  if (starting_ != 0) factory_->StopZygote(std::exchange(starting_, 0));
  Retire();
}

void ZygoteKeeper::CountFork() {
  // Only a zygote whose clones live has earned it: one that dies at its first fork, again and
  // again, is to be left alone for longer each time.
  back_off_.Reset();
  if (++forks_ >= options_.maximum_forks) StartNext();
}

void ZygoteKeeper::OnForkOverdue(int64_t zygote_id, absl::Time asked) {
  if (zygote_id != current_ || zygote_id == aborted_) return;
  if (factory_->LastClone(zygote_id) > asked) return;
  aborted_ = zygote_id;
  factory_->AbortZygote(zygote_id);
}

void ZygoteKeeper::OnZygoteExited(int64_t zygote_id, const std::string& why) {
  const bool was_current = zygote_id == current_;
  const std::string reason =
      zygote_id == aborted_ ? "it did not answer and was killed: " + why : why;
  if (!was_current && retired_.erase(zygote_id) == 0) return;
  if (was_current) {
    last_error_ = "the zygote died: " + (reason.empty() ? "no reason known" : reason);
    current_ = 0;
    loop_->Cancel(age_timer_);
    observer_->OnZygoteEnded(template_name_, core::ZygoteEnd::kCrashed, reason);
    RetryLater(&back_off_);
  }
  listener_->OnZygoteLost(zygote_id);
}

void ZygoteKeeper::StartNext() {
  // One at a time; and while one failed a moment ago, its back-off goes on.
  if (stopped_ || starting_ != 0 || retry_timer_ != 0) return;
  auto id = std::make_shared<int64_t>(0);
  *id = starting_ = factory_->StartZygote(
      options_.spec, [this, id, alive = alive_](absl::StatusOr<sandbox::ZygoteInfo> info) {
        if (*alive) OnStarted(*id, std::move(info));
      });
  start_timer_ = loop_->CallAfter(options_.start_timeout, [this] { OnStartOverdue(); });
}

void ZygoteKeeper::OnStartOverdue() {
  start_timer_ = 0;
  const int64_t zygote_id = starting_;
  factory_->AbortZygote(zygote_id);
  OnStarted(zygote_id,
            absl::DeadlineExceededError(absl::StrCat(
                "its warm-up took longer than ", absl::FormatDuration(options_.start_timeout))));
}

void ZygoteKeeper::OnStarted(int64_t zygote_id, absl::StatusOr<sandbox::ZygoteInfo> info) {
  if (zygote_id != starting_) return;  // stopped meanwhile
  starting_ = 0;
  loop_->Cancel(std::exchange(start_timer_, 0));
  is_hopeless_ = absl::IsInvalidArgument(info.status());
  if (!info.ok()) {
    last_error_ = std::string(info.status().message());
    observer_->OnZygoteStartFailed(template_name_, info.status());
    RetryLater(is_hopeless_ ? &permanent_back_off_ : &back_off_);
    return;
  }
  permanent_back_off_.Reset();
  Retire();
  current_ = zygote_id;
  forks_ = 0;
  python_version_ = info->python_version;
  age_timer_ = loop_->CallAfter(options_.maximum_age, [this] {
    age_timer_ = 0;
    StartNext();
  });
  observer_->OnZygoteStarted(template_name_, *info);
  listener_->OnZygoteReady();
}

void ZygoteKeeper::Retire() {
  if (current_ == 0) return;
  loop_->Cancel(std::exchange(age_timer_, 0));
  retired_.insert(current_);
  factory_->StopZygote(current_);
  current_ = 0;
  observer_->OnZygoteEnded(template_name_,
                           stopped_ ? core::ZygoteEnd::kStopped : core::ZygoteEnd::kRotated, "");
}

void ZygoteKeeper::RetryLater(base::BackOff* back_off) {
  if (stopped_ || retry_timer_ != 0 || starting_ != 0) return;
  retry_timer_ = loop_->CallAfter(back_off->Next(), [this] {
    retry_timer_ = 0;
    StartNext();
  });
}

}  // namespace cloister::pool
