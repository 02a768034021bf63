#include "service/core/sandbox_manager.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "google/rpc/error_details.pb.h"
#include "sandbox/base/status_macros.h"
#include "service/core/error.h"

namespace cloister::core {
namespace {

constexpr char kInterpreters[] = "/interpreters/";
constexpr absl::Duration kDrainingRetryDelay = absl::Seconds(1);

absl::Status DrainingError() {
  return WithRetryDelay(
      MakeError(v1::ERROR_REASON_SERVER_DRAINING, "the server is about to stop; try another"),
      kDrainingRetryDelay);
}

absl::Status NotFoundError(const std::string& name) {
  return WithMetadata(MakeError(v1::ERROR_REASON_SANDBOX_NOT_FOUND,
                                absl::StrCat("there is no sandbox \"", name,
                                             "\"; it never was, or it was deleted")),
                      "sandbox", name);
}

}  // namespace

SandboxManager::SandboxManager(sandbox::Loop* loop, SandboxSource* source,
                               ServiceObserver* observer, SandboxManagerOptions options)
    : loop_(loop), source_(source), observer_(observer), options_(options) {}

SandboxManager::~SandboxManager() { EndAll(); }

// ---- creation -----------------------------------------------------------------------------------

absl::StatusOr<std::string> SandboxManager::Create(CreateSandboxRequest request, Callback done) {
  if (!request.request_id.empty()) {
    const auto earlier = by_request_id_.find(request.request_id);
    if (earlier != by_request_id_.end()) return Repeat(earlier->second, request, std::move(done));
  }
  if (draining_) return DrainingError();
  CLOISTER_RETURN_IF_ERROR(CheckRoom());
  if (!request.spec.snapshot.empty()) {
    CLOISTER_ASSIGN_OR_RETURN(request.spec, snapshots_->SpecOf(request.spec.snapshot));
    request.spec.limits = request.limits_of_copy(request.spec.limits);
  }
  const int64_t ordinal = ++last_ordinal_;
  auto sandbox =
      std::make_shared<LiveSandbox>(MakeContext(), std::move(request.spec), ordinal);
  const std::string name = sandbox->name();
  absl::Status started =
      sandbox->Start({std::move(request.files), std::move(request.memory)}, request.deadline,
                     [this, name, done = std::move(done)](const absl::Status& status) {
                       const auto found = by_name_.find(name);
                       if (found == by_name_.end())
                         return done(status.ok() ? NotFoundError(name) : status);
                       // Keeps what Await ends.
                       const std::shared_ptr<LiveSandbox> keep_alive = found->second.sandbox;
                       Await(found->second, status, done);
                     });
  CLOISTER_RETURN_IF_ERROR(started);
  sandbox->SetLifetime(request.ttl);
  sandbox->SetIdleTimeout(request.idle_timeout);
  if (!request.request_id.empty()) {
    by_request_id_[request.request_id] = {std::move(request.payload_digest), name};
  }
  by_ordinal_[ordinal] = sandbox;
  by_name_[name] = {std::move(sandbox), std::move(request.request_id), 1};
  return name;
}

absl::StatusOr<std::string> SandboxManager::Repeat(const Creation& earlier,
                                                   const CreateSandboxRequest& request,
                                                   Callback done) {
  if (earlier.payload_digest != request.payload_digest) {
    observer_->OnReplay(ReplayResult::kReused);
    return MakeError(
        v1::ERROR_REASON_REQUEST_ID_REUSED,
        absl::StrCat("request_id \"", request.request_id,
                     "\" was used with another payload; choose a new one per sandbox"));
  }
  observer_->OnReplay(ReplayResult::kJoined);
  const std::string name = earlier.name;
  const auto found = by_name_.find(name);
  if (found == by_name_.end()) return Find(name).status();
  LiveSandbox& sandbox = *found->second.sandbox;
  if (sandbox.state() != v1::Sandbox::STATE_STARTING) {
    done(sandbox.ToProto());
    return name;
  }
  ++found->second.waiting;
  sandbox.AwaitStart([this, name, done = std::move(done)](const absl::Status& status) {
    const auto entry = by_name_.find(name);
    if (entry == by_name_.end()) return done(status.ok() ? NotFoundError(name) : status);
    Await(entry->second, status, done);
  });
  return name;
}

void SandboxManager::Await(Entry& entry, const absl::Status& started, const Callback& done) {
  const std::shared_ptr<LiveSandbox> sandbox = entry.sandbox;
  entry.waiting = std::max(0, entry.waiting - 1);
  if (started.ok()) return done(sandbox->ToProto());
  // What never came to be may be asked for again with the same request_id.
  by_request_id_.erase(entry.request_id);
  entry.request_id.clear();
  End(sandbox->name(), LiveEnd::kFailed);
  done(started);
}

void SandboxManager::Abandon(const std::string& name) {
  const auto found = by_name_.find(name);
  if (found == by_name_.end() || found->second.waiting == 0) return;
  if (--found->second.waiting > 0) return;
  if (found->second.sandbox->state() == v1::Sandbox::STATE_STARTING) End(name, LiveEnd::kFailed);
}

LiveSandbox::Context SandboxManager::MakeContext() {
  return {.loop = loop_,
          .source = source_,
          .snapshots = snapshots_,
          .observer = observer_,
          .maximum_queued = options_.maximum_queued,
          .maximum_interpreters = options_.maximum_interpreters,
          .on_expired = [this](LiveSandbox& sandbox, LiveEnd how) { End(sandbox.name(), how); }};
}

v1::Sandbox SandboxManager::AddCopy(LiveSandboxSpec spec, CopiedSession copy,
                                    const std::string& parent, absl::Duration ttl,
                                    absl::Duration idle_timeout) {
  const int64_t ordinal = ++last_ordinal_;
  auto sandbox = std::make_shared<LiveSandbox>(MakeContext(), std::move(spec), ordinal);
  by_ordinal_[ordinal] = sandbox;
  by_name_[sandbox->name()] = {sandbox, "", 0};
  sandbox->SetLifetime(ttl);
  sandbox->SetIdleTimeout(idle_timeout);
  sandbox->Adopt(std::move(copy), parent);
  return sandbox->ToProto();
}

absl::Status SandboxManager::CheckRoomFor(int count) const {
  return draining_ ? DrainingError() : CheckRoom(count);
}

absl::Status SandboxManager::CheckRoom(int wanted) const {
  if (count() + wanted <= options_.maximum_count) return absl::OkStatus();
  const std::string maximum = absl::StrCat(options_.maximum_count);
  return WithQuotaFailure(
      WithMetadata(MakeError(v1::ERROR_REASON_SANDBOX_COUNT_EXCEEDED,
                             absl::StrCat("there are ", maximum,
                                          " live sandboxes, as many as this server allows; delete "
                                          "one, or wait until one expires")),
                   "maximum", maximum),
      "live_sandboxes", absl::StrCat("at most ", maximum, " at once"));
}

// ---- by name ------------------------------------------------------------------------------------

absl::StatusOr<std::shared_ptr<LiveSandbox>> SandboxManager::Find(const std::string& name) const {
  const auto found = by_name_.find(name);
  if (found != by_name_.end()) return found->second.sandbox;
  const auto gone = gone_names_.find(name);
  if (gone != gone_names_.end()) return GoneError(name, gone->second);
  return NotFoundError(name);
}

absl::StatusOr<v1::Sandbox> SandboxManager::Get(const std::string& name) const {
  CLOISTER_ASSIGN_OR_RETURN(const std::shared_ptr<LiveSandbox> sandbox, Find(name));
  return sandbox->ToProto();
}

absl::StatusOr<v1::Sandbox> SandboxManager::Update(const std::string& name,
                                                   std::optional<absl::Duration> ttl,
                                                   std::optional<absl::Duration> idle_timeout) {
  if (draining_) return DrainingError();
  CLOISTER_ASSIGN_OR_RETURN(const std::shared_ptr<LiveSandbox> sandbox, Find(name));
  if (ttl.has_value()) sandbox->SetLifetime(*ttl);
  if (idle_timeout.has_value()) sandbox->SetIdleTimeout(*idle_timeout);
  return sandbox->ToProto();
}

absl::Status SandboxManager::Delete(const std::string& name) {
  CLOISTER_RETURN_IF_ERROR(Find(name).status());
  End(name, LiveEnd::kDeleted);
  return absl::OkStatus();
}

absl::Status SandboxManager::Restart(const std::string& name, absl::Time deadline, Callback done) {
  if (draining_) return DrainingError();
  CLOISTER_ASSIGN_OR_RETURN(const std::shared_ptr<LiveSandbox> sandbox, Find(name));
  return sandbox->Restart(deadline,
                          [this, name, done = std::move(done)](const absl::Status& status) {
                            if (!status.ok()) return done(status);
                            done(Get(name));
                          });
}

absl::StatusOr<SandboxPage> SandboxManager::List(int page_size,
                                                 const std::string& page_token) const {
  int64_t after = 0;
  if (!page_token.empty() && (!absl::SimpleAtoi(page_token, &after) || after < 0)) {
    return FieldInvalidError({{"page_token", "is not one that this server gave out"}});
  }
  SandboxPage page;
  for (auto next = by_ordinal_.upper_bound(after); next != by_ordinal_.end(); ++next) {
    if (static_cast<int>(page.sandboxes.size()) == page_size) {
      page.next_page_token = absl::StrCat(std::prev(next)->first);
      break;
    }
    page.sandboxes.push_back(next->second->ToProto());
  }
  return page;
}

InterpreterName SplitInterpreterName(const std::string& name) {
  const size_t end = name.find(kInterpreters);
  if (end == std::string::npos) return {name, kMainInterpreter};
  return {name.substr(0, end), name.substr(end + sizeof(kInterpreters) - 1)};
}

absl::StatusOr<std::shared_ptr<TurnSource>> SandboxManager::FindInterpreter(
    const std::string& name) {
  return FindLive(name);
}

absl::StatusOr<std::shared_ptr<LiveInterpreter>> SandboxManager::FindLive(
    const std::string& interpreter) const {
  // Without a copy for the name that is usual.
  const auto found = by_name_.find(interpreter);
  if (found != by_name_.end()) return found->second.sandbox->main();
  const InterpreterName name = SplitInterpreterName(interpreter);
  CLOISTER_ASSIGN_OR_RETURN(const std::shared_ptr<LiveSandbox> sandbox, Find(name.sandbox));
  return sandbox->FindInterpreter(name.id);
}

absl::StatusOr<std::string> SandboxManager::CurrentExecution(const std::string& interpreter) const {
  CLOISTER_ASSIGN_OR_RETURN(const std::shared_ptr<LiveInterpreter> live, FindLive(interpreter));
  return live->current_execution();
}

absl::Status SandboxManager::CheckNotDraining() const {
  return draining_ ? DrainingError() : absl::OkStatus();
}

// ---- the end ------------------------------------------------------------------------------------

absl::Status SandboxManager::GoneError(const std::string& name, LiveEnd how) const {
  if (how != LiveEnd::kTtl && how != LiveEnd::kIdleTimeout) return NotFoundError(name);
  const char* cause = how == LiveEnd::kTtl ? "ttl" : "idle_timeout";
  return WithMetadata(
      WithMetadata(MakeError(v1::ERROR_REASON_SANDBOX_EXPIRED,
                             absl::StrCat("the sandbox \"", name, "\" has expired (", cause, ")")),
                   "sandbox", name),
      "cause", cause);
}

void SandboxManager::End(const std::string& name, LiveEnd how) {
  auto node = by_name_.extract(name);
  if (node.empty()) return;
  const std::shared_ptr<LiveSandbox> sandbox = std::move(node.mapped().sandbox);
  by_ordinal_.erase(sandbox->ordinal());
  gone_names_[sandbox->name()] = how;
  gone_.push_back({sandbox->name(), std::move(node.mapped().request_id), how});
  while (gone_.size() > options_.remembered) {
    gone_names_.erase(gone_.front().name);
    by_request_id_.erase(gone_.front().request_id);
    gone_.pop_front();
  }
  sandbox->End(how, how == LiveEnd::kDrain ? DrainingError() : GoneError(sandbox->name(), how));
}

void SandboxManager::EndAll() {
  draining_ = true;
  while (!by_ordinal_.empty()) {
    const std::string name = by_ordinal_.begin()->second->name();
    End(name, LiveEnd::kDrain);
  }
}

}  // namespace cloister::core
