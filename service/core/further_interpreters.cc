#include "service/core/further_interpreters.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "sandbox/base/foreign_text.h"
#include "sandbox/base/status_macros.h"
#include "service/base/proto_time.h"
#include "service/core/error.h"
#include "service/core/interpreter_profiles.h"

namespace cloister::core {
namespace {

// Of what an import raised: numpy's takes a page to say what it wants.
constexpr size_t kImportTextBytes = 1000;

absl::Status TooLateError() {
  return MakeError(v1::ERROR_REASON_NOT_STARTED,
                   "the caller's deadline passed before the interpreter waited for code");
}

absl::Status ImportError(const internal::v1::ImportFailed& failed,
                         v1::Interpreter::Profile profile) {
  std::string hint;
  if (failed.is_refused_by_profile() && profile == v1::Interpreter::PROFILE_ISOLATED) {
    hint = "; SHARED_GIL or PROCESS may load it, or leave `profile` unset";
  } else if (failed.is_refused_by_profile()) {
    hint = "; PROCESS may load it";
  }
  const std::string module = sandbox::ForeignLine(failed.module());
  return WithMetadata(
      WithMetadata(MakeError(v1::ERROR_REASON_IMPORT_FAILED,
                             absl::StrCat("the module ", module, " could not be imported into an ",
                                          "interpreter of profile ", ProfileName(profile), ": ",
                                          sandbox::ForeignLine(failed.message(), kImportTextBytes), hint)),
                   "module", module),
      "profile", ProfileName(profile));
}

}  // namespace

// ---- by id --------------------------------------------------------------------------------------

FurtherInterpreters::EntryPtr FurtherInterpreters::FindEntry(const std::string& id) const {
  for (const EntryPtr& entry : entries_) {
    if (entry->spec.id == id) return entry;
  }
  return nullptr;
}

FurtherInterpreters::EntryPtr FurtherInterpreters::EntryOf(
    const LiveInterpreter& interpreter) const {
  for (const EntryPtr& entry : entries_) {
    if (entry->live.get() == &interpreter) return entry;
  }
  return nullptr;
}

absl::Status FurtherInterpreters::NotFoundError(const std::string& id) const {
  const std::string name = absl::StrCat(context_.sandbox_name, "/interpreters/", id);
  return WithMetadata(MakeError(v1::ERROR_REASON_INTERPRETER_NOT_FOUND,
                                absl::StrCat("the sandbox has no interpreter \"", name,
                                             "\"; every sandbox has \"main\"")),
                      "interpreter", name);
}

absl::StatusOr<std::shared_ptr<LiveInterpreter>> FurtherInterpreters::Find(
    const std::string& id) const {
  const EntryPtr entry = FindEntry(id);
  if (entry == nullptr) return NotFoundError(id);
  return entry->live;
}

absl::StatusOr<v1::Interpreter> FurtherInterpreters::Get(const std::string& id) const {
  const EntryPtr entry = FindEntry(id);
  if (entry == nullptr) return NotFoundError(id);
  return ToProto(*entry);
}

std::vector<v1::Interpreter> FurtherInterpreters::List() const {
  std::vector<v1::Interpreter> list;
  for (const EntryPtr& entry : entries_) list.push_back(ToProto(*entry));
  return list;
}

v1::Interpreter FurtherInterpreters::ToProto(const Entry& entry) const {
  v1::Interpreter proto = entry.live->ToProto();
  proto.set_profile_reason(entry.profile_reason);
  *proto.mutable_create_time() = entry.create_time;
  proto.set_memory_limit_bytes(entry.spec.memory_bytes);
  proto.set_restart_count(entry.restart_count);
  return proto;
}

absl::Status FurtherInterpreters::CheckNone() const {
  if (entries_.empty() && ending_.empty() && orphans_.empty()) return absl::OkStatus();
  std::string names;
  for (const EntryPtr& entry : entries_) {
    absl::StrAppend(&names, names.empty() ? "" : ", ", entry->spec.id);
  }
  const std::string cause = names.empty() ? "an interpreter of it is just ending"
                                          : absl::StrCat("it has further interpreters: ", names);
  return WithMetadata(MakeError(v1::ERROR_REASON_FORK_REFUSED,
                                absl::StrCat("the sandbox cannot be copied as it is: ", cause,
                                             names.empty() ? "; retry" : "; delete them first")),
                      "cause", cause);
}

// ---- making -------------------------------------------------------------------------------------

absl::Status FurtherInterpreters::CheckRoomFor(const std::string& id) const {
  if (FindEntry(id) != nullptr) {
    return WithMetadata(
        MakeError(v1::ERROR_REASON_INTERPRETER_EXISTS,
                  absl::StrCat("the sandbox has an interpreter \"", id, "\" already")),
        "interpreter", absl::StrCat(context_.sandbox_name, "/interpreters/", id));
  }
  const size_t count = 1 + entries_.size() + ending_.size() + orphans_.size();
  if (count < static_cast<size_t>(context_.maximum_count)) return absl::OkStatus();
  const std::string maximum = absl::StrCat(context_.maximum_count);
  return WithQuotaFailure(
      WithMetadata(MakeError(v1::ERROR_REASON_INTERPRETER_COUNT_EXCEEDED,
                             absl::StrCat("the sandbox has ", maximum, " interpreters, main among "
                                          "them, as many as this server allows; delete one")),
                   "maximum", maximum),
      context_.sandbox_name, absl::StrCat("at most ", maximum, " interpreters at once"));
}

absl::Status FurtherInterpreters::ChooseProfile(Entry& entry) const {
  entry.is_choice_ours = entry.spec.profile == v1::Interpreter::PROFILE_UNSPECIFIED;
  if (entry.is_choice_ours) {
    if (IsOffered(v1::Interpreter::PROFILE_ISOLATED, context_.python_version())) {
      entry.spec.profile = v1::Interpreter::PROFILE_ISOLATED;
      entry.profile_reason =
          entry.spec.imports.empty()
              ? "Nothing has to be imported that would keep it from being ISOLATED."
              : "Everything it has to import loads into an ISOLATED interpreter.";
    } else {
      entry.spec.profile = v1::Interpreter::PROFILE_PROCESS;
      entry.profile_reason =
          absl::StrCat("ISOLATED interpreters need Python 3.14; this template has ",
                       context_.python_version(), ".");
    }
  }
  if (IsOffered(entry.spec.profile, context_.python_version())) return absl::OkStatus();
  return ProfileUnsupportedError(entry.spec.profile, context_.python_version());
}

absl::StatusOr<std::shared_ptr<LiveInterpreter>> FurtherInterpreters::Create(
    FurtherInterpreterSpec spec, absl::Time deadline, StartCallback done) {
  CLOISTER_RETURN_IF_ERROR(CheckRoomFor(spec.id));
  if (spec.memory_bytes > context_.interpreter.limits.memory_bytes) {
    return FieldInvalidError({{"memory_limit_bytes",
                               absl::StrCat("is more than its sandbox's memory_bytes, ",
                                            context_.interpreter.limits.memory_bytes)}});
  }
  auto entry = std::make_shared<Entry>();
  entry->spec = std::move(spec);
  CLOISTER_RETURN_IF_ERROR(ChooseProfile(*entry));
  if (deadline <= loop()->Now()) return TooLateError();
  entry->live = std::make_shared<LiveInterpreter>(
      context_.interpreter,
      absl::StrCat(context_.sandbox_name, "/interpreters/", entry->spec.id), entry->spec.profile);
  entry->create_time = base::ToProto(absl::Now());
  entry->waiting = 1;
  entries_.push_back(entry);
  entry->live->BeginStart();
  const std::shared_ptr<LiveInterpreter> live = entry->live;
  BeginStart(entry, deadline, std::move(done));
  Make(entry);
  return live;
}

absl::StatusOr<std::shared_ptr<LiveInterpreter>> FurtherInterpreters::AwaitStart(
    const std::string& id, const std::string& request_id, StartCallback done) {
  const EntryPtr entry = FindEntry(id);
  // Another one may have got its name since.
  if (entry == nullptr || entry->spec.request_id != request_id) return NotFoundError(id);
  const std::shared_ptr<LiveInterpreter> live = entry->live;
  if (live->state() != v1::Interpreter::STATE_STARTING) {
    done(absl::OkStatus());
  } else {
    CLOISTER_RETURN_IF_ERROR(CheckRoomForWaiter(entry->callbacks.size()));
    ++entry->waiting;
    entry->callbacks.push_back(std::move(done));
  }
  return live;
}

void FurtherInterpreters::AbandonStart(const LiveInterpreter& interpreter) {
  const EntryPtr entry = EntryOf(interpreter);
  if (entry == nullptr || entry->has_started || --entry->waiting > 0) return;
  FinishStart(entry, absl::CancelledError("nobody waits for it any more"));
}

void FurtherInterpreters::BeginStart(const EntryPtr& entry, absl::Time deadline,
                                     StartCallback done) {
  entry->callbacks.push_back(std::move(done));
  entry->start_requested = loop()->Now();
  if (deadline == absl::InfiniteFuture()) return;
  entry->timer = loop()->CallAfter(deadline - loop()->Now(), [this, weak = std::weak_ptr(entry)] {
    if (const EntryPtr late = weak.lock()) FinishStart(late, TooLateError());
  });
}

void FurtherInterpreters::Make(const EntryPtr& entry) {
  entry->waits_for_home = home_ == nullptr;
  if (entry->waits_for_home) return;
  entry->attempt = ++last_number_;
  sandbox::InterpreterSpec spec{.profile = ToSeam(entry->spec.profile),
                                .memory_bytes = entry->spec.memory_bytes,
                                .environment = context_.environment,
                                .imports = entry->spec.imports};
  for (const auto& added : entry->spec.environment) {
    const auto same =
        std::find_if(spec.environment.begin(), spec.environment.end(),
                     [&added](const auto& variable) { return variable.first == added.first; });
    if (same == spec.environment.end()) {
      spec.environment.push_back(added);
    } else {
      same->second = added.second;
    }
  }
  auto incarnation = std::make_shared<Incarnation>(entry->live->incarnation_owner());
  sandbox::SessionObserver* const observer = incarnation.get();
  entry->made_as = home_->sandbox()->CreateInterpreter(
      std::move(spec), observer,
      [this, alive = std::weak_ptr<char>(alive_), attempt = entry->attempt,
       incarnation = std::move(incarnation)](sandbox::CreatedInterpreter made) {
        if (!alive.expired()) OnMade(attempt, std::move(made), incarnation);
      });
}

void FurtherInterpreters::Abandon(Entry& entry) {
  if (entry.attempt == 0) return;
  orphans_.insert(std::exchange(entry.attempt, 0));
  if (home_ != nullptr) home_->sandbox()->AbandonInterpreter(entry.made_as);
}

void FurtherInterpreters::OnMade(uint64_t attempt, sandbox::CreatedInterpreter made,
                                 const std::shared_ptr<Incarnation>& incarnation) {
  orphans_.erase(attempt);
  const auto found =
      std::find_if(entries_.begin(), entries_.end(),
                   [attempt](const EntryPtr& entry) { return entry->attempt == attempt; });
  const EntryPtr entry = found == entries_.end() ? nullptr : *found;
  if (made.interpreter != nullptr) incarnation->Become(std::move(made.interpreter), home_);
  if (entry == nullptr) {
    incarnation->Leave();
    loop()->Post([incarnation] {});  // ends it, but not in here
    return;
  }
  entry->attempt = 0;
  if (incarnation->interpreter() == nullptr) return OnNotMade(entry, made);
  entry->live->Attach(incarnation, v1::START_KIND_WARM);
  FinishStart(entry, absl::OkStatus());
}

void FurtherInterpreters::OnNotMade(const EntryPtr& entry,
                                    const sandbox::CreatedInterpreter& made) {
  const bool is_refused = made.import_failed.has_value() &&
                          made.import_failed->is_refused_by_profile();
  if (entry->is_choice_ours && entry->spec.profile == v1::Interpreter::PROFILE_ISOLATED &&
      (is_refused || absl::IsUnimplemented(made.status))) {
    entry->profile_reason =
        is_refused ? absl::StrCat("The module ", sandbox::ForeignLine(made.import_failed->module()),
                                  " refuses to load into an ISOLATED interpreter.")
                   : "This server cannot offer ISOLATED interpreters.";
    entry->spec.profile = v1::Interpreter::PROFILE_PROCESS;
    entry->live->SetProfile(entry->spec.profile);
    return Make(entry);
  }
  FinishStart(entry, ErrorOf(*entry, made));
}

absl::Status FurtherInterpreters::ErrorOf(const Entry& entry,
                                          const sandbox::CreatedInterpreter& made) const {
  const v1::Interpreter::Profile profile = entry.spec.profile;
  if (made.import_failed.has_value()) return ImportError(*made.import_failed, profile);
  if (absl::IsUnimplemented(made.status)) {
    return ProfileUnsupportedError(profile, context_.python_version());
  }
  observer()->OnInterpreterSetupFailed(entry.live->name(), made.status);
  return MakeError(
      v1::ERROR_REASON_SANDBOX_SETUP_FAILED,
      absl::IsResourceExhausted(made.status)
          ? "the interpreter does not fit into its sandbox's limits; give the sandbox more memory "
            "or processes, or end what it does not need"
          : absl::StrCat("the interpreter could not be made; the server's log says why, for ",
                         entry.live->name()));
}

void FurtherInterpreters::FinishStart(const EntryPtr& entry, const absl::Status& status) {
  loop()->Cancel(std::exchange(entry->timer, 0));
  Abandon(*entry);
  entry->waits_for_home = false;
  entry->waiting = 0;
  const std::weak_ptr<char> alive = alive_;
  auto callbacks = std::exchange(entry->callbacks, {});
  if (status.ok()) {
    entry->has_started = true;
    observer()->OnInterpreterStarted(entry->live->name(), entry->spec.profile,
                                     loop()->Now() - entry->start_requested);
    entry->live->Open();
  } else if (entry->has_started) {
    const v1::Loss loss =
        MakeLoss(v1::Outcome::KIND_INTERPRETER_LOST, std::string(status.message()), "");
    entry->live->LetGo(loss, LostError(v1::ERROR_REASON_INTERPRETER_LOST, loss));
  } else {
    Remove(entry);
    entry->live->End(NotFoundError(entry->spec.id));
  }
  // Whoever is told may end the sandbox.
  for (const StartCallback& done : callbacks) {
    done(status);
    if (alive.expired()) return;
  }
}

void FurtherInterpreters::SetHome(std::shared_ptr<Incarnation> home) {
  home_ = std::move(home);
  if (home_ == nullptr) return;
  const std::vector<EntryPtr> entries = entries_;
  for (const EntryPtr& entry : entries) {
    if (entry->waits_for_home) Make(entry);
  }
}

void FurtherInterpreters::Remove(const EntryPtr& entry) {
  entries_.erase(std::remove(entries_.begin(), entries_.end(), entry), entries_.end());
}

}  // namespace cloister::core
