// The part of FurtherInterpreters that ends them: one at a time, in good order, or all with their
// sandbox; and what loses them.

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "sandbox/base/status_macros.h"
#include "service/base/proto_time.h"
#include "service/core/error.h"
#include "service/core/further_interpreters.h"
#include "service/core/interpreter_profiles.h"

namespace cloister::core {

v1::Loss MakeLoss(v1::Outcome::Kind cause, const std::string& detail,
                  const std::string& execution) {
  v1::Loss loss;
  loss.set_cause(cause);
  loss.set_detail(detail);
  loss.set_execution(execution);
  *loss.mutable_time() = base::ToProto(absl::Now());
  return loss;
}

absl::Status LostError(v1::ErrorReason reason, const v1::Loss& loss) {
  const std::string cause(absl::StripPrefix(v1::Outcome::Kind_Name(loss.cause()), "KIND_"));
  const bool is_sandbox = reason == v1::ERROR_REASON_SANDBOX_LOST;
  absl::Status error = WithMetadata(
      MakeError(reason,
                absl::StrCat(is_sandbox ? "the sandbox's interpreter" : "the interpreter",
                             " ended, and its state with it (", cause, ": ", loss.detail(), "); ",
                             is_sandbox ? "RestartSandbox gives it a new one"
                                        : "RestartInterpreter gives it a new start")),
      "cause", cause);
  return loss.execution().empty() ? error
                                  : WithMetadata(std::move(error), "execution", loss.execution());
}

FurtherInterpreters::~FurtherInterpreters() {
  EndAll(sandbox::StopReason::kShutdown, absl::CancelledError("the server stops"));
}

// ---- one ----------------------------------------------------------------------------------------

absl::Status FurtherInterpreters::Restart(const std::string& id, absl::Time deadline,
                                          StartCallback done) {
  const EntryPtr entry = FindEntry(id);
  if (entry == nullptr) return NotFoundError(id);
  if (entry->live->state() == v1::Interpreter::STATE_STARTING) {
    CLOISTER_RETURN_IF_ERROR(CheckRoomForWaiter(entry->callbacks.size()));
    entry->callbacks.push_back(std::move(done));
    return absl::OkStatus();
  }
  if (deadline <= loop()->Now()) {
    return MakeError(v1::ERROR_REASON_NOT_STARTED, "the caller's deadline has passed already");
  }
  ++entry->restart_count;
  entry->is_choice_ours = false;  // it was made
  const std::shared_ptr<Incarnation> incarnation = entry->live->Detach();
  BeginStart(entry, deadline, std::move(done));
  entry->live->BeginRestart(
      LostError(v1::ERROR_REASON_INTERPRETER_LOST,
                MakeLoss(v1::Outcome::KIND_INTERRUPTED, "it was restarted", "")));
  BeginEnd(*entry, incarnation, [this, weak = std::weak_ptr(entry)](auto /*lost*/) {
    const EntryPtr ended = weak.lock();
    const bool is_wanted = ended != nullptr && EntryOf(*ended->live) == ended &&
                           ended->live->state() == v1::Interpreter::STATE_STARTING;
    if (is_wanted && ended->attempt == 0) Make(ended);
  });
  return absl::OkStatus();
}

absl::Status FurtherInterpreters::Delete(const std::string& id, EndCallback done) {
  const EntryPtr entry = FindEntry(id);
  if (entry == nullptr) return NotFoundError(id);
  const absl::Status gone = NotFoundError(id);
  if (!entry->has_started) {
    FinishStart(entry, gone);
    done({});
    return absl::OkStatus();
  }
  loop()->Cancel(std::exchange(entry->timer, 0));
  Abandon(*entry);
  Remove(entry);
  const std::shared_ptr<Incarnation> incarnation = entry->live->Detach();
  BeginEnd(*entry, incarnation, std::move(done));
  const std::weak_ptr<char> alive = alive_;
  const auto callbacks = std::exchange(entry->callbacks, {});
  entry->live->End(gone);
  for (const StartCallback& waits : callbacks) waits(gone);
  return absl::OkStatus();
}

void FurtherInterpreters::BeginEnd(const Entry& entry, std::shared_ptr<Incarnation> incarnation,
                                   EndCallback done) {
  if (incarnation == nullptr) return AwaitEnd(entry.live->name(), std::move(done));
  const uint64_t number = ++last_number_;
  Ending ending{incarnation, entry.live->name(), {}, std::move(done)};
  if (SharesProcess(entry.spec.profile)) {
    for (const EntryPtr& other : entries_) {
      if (other->live == entry.live || !SharesProcess(other->spec.profile)) continue;
      if (other->live->incarnation() != nullptr) {
        ending.neighbours.emplace_back(other, other->live->incarnation());
      }
    }
  }
  ending_.emplace(number, std::move(ending));
  incarnation->interpreter()->End(
      [this, alive = std::weak_ptr<char>(alive_), number](const absl::Status& status) {
        if (alive.expired()) return;
        // It is not destroyed from within its own call.
        loop()->Post([this, alive, number, status] {
          if (!alive.expired()) FinishEnd(number, status);
        });
      });
}

void FurtherInterpreters::AwaitEnd(const std::string& name, EndCallback done) {
  for (auto& [number, ending] : ending_) {
    if (ending.name != name) continue;
    ending.done = [first = std::move(ending.done), done = std::move(done)](auto lost) {
      first(lost);
      done(std::move(lost));
    };
    return;
  }
  done({});
}

void FurtherInterpreters::FinishEnd(uint64_t number, const absl::Status& status) {
  auto node = ending_.extract(number);
  if (node.empty()) return;
  Ending& ending = node.mapped();
  std::vector<std::string> lost;
  if (!status.ok()) lost = LoseNeighbours(ending);
  ending.incarnation.reset();
  ending.done(std::move(lost));
}

std::vector<std::string> FurtherInterpreters::LoseNeighbours(const Ending& ending) {
  std::vector<std::string> lost;
  for (const auto& [weak_entry, weak_incarnation] : ending.neighbours) {
    const EntryPtr entry = weak_entry.lock();
    if (entry == nullptr || EntryOf(*entry->live) != entry) continue;
    const auto incarnation = weak_incarnation.lock();
    if (incarnation != nullptr && entry->live->incarnation() == incarnation) {
      Lose(*entry->live, v1::Outcome::KIND_INTERPRETER_LOST,
           absl::StrCat("its process was killed, because ", ending.name,
                        " did not end when it was to"));
    }
    if (entry->live->state() == v1::Interpreter::STATE_LOST) lost.push_back(entry->live->name());
  }
  return lost;
}

void FurtherInterpreters::Lose(LiveInterpreter& interpreter, v1::Outcome::Kind cause,
                               const std::string& detail) {
  // Its end may be told from within: what it was goes when that is over.
  const std::shared_ptr<LiveInterpreter> live = interpreter.shared_from_this();
  const std::shared_ptr<Incarnation> incarnation = live->Detach();
  if (incarnation != nullptr) loop()->Post([incarnation] {});
  observer()->OnInterpreterLost(live->name(), live->profile(), cause, detail);
  const v1::Loss loss = MakeLoss(cause, detail, live->current_execution());
  live->LetGo(loss, LostError(v1::ERROR_REASON_INTERPRETER_LOST, loss));
}

// ---- all ----------------------------------------------------------------------------------------

void FurtherInterpreters::FinishAllEnds() {
  orphans_.clear();
  for (auto& [number, ending] : std::exchange(ending_, {})) {
    ending.incarnation.reset();
    ending.done({});
  }
}

void FurtherInterpreters::LoseAll(const v1::Loss& loss, const absl::Status& why) {
  home_ = nullptr;
  const std::vector<EntryPtr> entries = entries_;
  for (const EntryPtr& entry : entries) {
    loop()->Cancel(std::exchange(entry->timer, 0));
    entry->attempt = 0;
    entry->waits_for_home = false;
    const auto callbacks = std::exchange(entry->callbacks, {});
    v1::Loss own = loss;
    own.set_execution(entry->live->current_execution());
    // Whatever runs is told by the host how it ended.
    entry->live->Detach().reset();
    if (entry->has_started) {
      entry->live->LetGo(own, why);
    } else {
      Remove(entry);
      entry->live->End(why);
    }
    for (const StartCallback& done : callbacks) done(why);
  }
  FinishAllEnds();
}

void FurtherInterpreters::EndAll(sandbox::StopReason reason, const absl::Status& why) {
  home_ = nullptr;
  for (const EntryPtr& entry : std::exchange(entries_, {})) {
    loop()->Cancel(std::exchange(entry->timer, 0));
    const auto callbacks = std::exchange(entry->callbacks, {});
    if (const auto incarnation = entry->live->Detach()) incarnation->Abandon(reason);
    entry->live->End(why);
    for (const StartCallback& done : callbacks) done(why);
  }
  FinishAllEnds();
}

}  // namespace cloister::core
