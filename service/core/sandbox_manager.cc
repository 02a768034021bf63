#include "service/core/sandbox_manager.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "google/rpc/error_details.pb.h"
#include "sandbox/base/status_macros.h"
#include "service/core/error.h"
#include "service/core/page.h"

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
    : loop_(loop),
      source_(source),
      observer_(observer),
      options_(options),
      request_ids_(observer, options.remembered) {}

SandboxManager::~SandboxManager() { EndAll(); }

// ---- creation -----------------------------------------------------------------------------------

absl::StatusOr<std::string> SandboxManager::Create(CreateSandboxRequest request, Callback done) {
  CLOISTER_ASSIGN_OR_RETURN(const RequestIds::Earlier earlier,
                            request_ids_.Find(request.request_id, request.payload_digest));
  if (earlier.exists) return Repeat(earlier.names.front(), std::move(done));
  if (draining_) return DrainingError();
  CLOISTER_RETURN_IF_ERROR(CheckRoom());
  if (!request.spec.snapshot.empty()) {
    CLOISTER_ASSIGN_OR_RETURN(LiveSandboxSpec spec, snapshots_->SpecOf(request.spec.snapshot));
    spec.limits = request.limits_of_copy(spec.limits);
    spec.added_environment = std::move(request.spec.environment);
    request.spec = std::move(spec);
  }
  CLOISTER_ASSIGN_OR_RETURN(TenantQuota::MemoryShare memory,
                            options_.quota->TakeMemory(request.spec.limits.memory_bytes));
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
  RequestIds::Hold hold = request_ids_.Begin(request.request_id, request.payload_digest);
  request_ids_.Complete(request.request_id, {name});
  by_ordinal_[ordinal] = sandbox;
  by_name_[name] = {.sandbox = std::move(sandbox),
                    .request_id = std::move(request.request_id),
                    .request = std::move(hold),
                    .waiting = 1,
                    .of_server = Reservation::Take(options_.server_count, 1),
                    .memory = std::move(memory)};
  return name;
}

absl::StatusOr<std::string> SandboxManager::Repeat(const std::string& name, Callback done) {
  const auto found = by_name_.find(name);
  if (found == by_name_.end()) return Find(name).status();
  LiveSandbox& sandbox = *found->second.sandbox;
  if (sandbox.state() != v1::Sandbox::STATE_STARTING) {
    done(sandbox.ToProto());
    return name;
  }
  CLOISTER_RETURN_IF_ERROR(
      sandbox.AwaitStart([this, name, done = std::move(done)](const absl::Status& status) {
        const auto entry = by_name_.find(name);
        if (entry == by_name_.end()) return done(status.ok() ? NotFoundError(name) : status);
        Await(entry->second, status, done);
      }));
  ++found->second.waiting;
  return name;
}

void SandboxManager::Await(Entry& entry, const absl::Status& started, const Callback& done) {
  const std::shared_ptr<LiveSandbox> sandbox = entry.sandbox;
  entry.waiting = std::max(0, entry.waiting - 1);
  if (started.ok()) return done(sandbox->ToProto());
  // What never came to be may be asked for again with the same request_id.
  request_ids_.Fail(entry.request_id, started);
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
          .on_expired = [this](LiveSandbox& sandbox, LiveEnd how) { End(sandbox.name(), how); },
          .requests = requests_};
}

v1::Sandbox SandboxManager::AddCopy(Copy copy) {
  const int64_t ordinal = ++last_ordinal_;
  const int64_t memory_bytes = copy.spec.limits.memory_bytes;
  auto sandbox = std::make_shared<LiveSandbox>(MakeContext(), std::move(copy.spec), ordinal);
  by_ordinal_[ordinal] = sandbox;
  by_name_[sandbox->name()] = {.sandbox = sandbox,
                               .request = std::move(copy.request),
                               .of_server = Reservation::Take(options_.server_count, 1),
                               .memory = options_.quota->HoldMemory(memory_bytes)};
  sandbox->SetLifetime(copy.ttl);
  sandbox->SetIdleTimeout(copy.idle_timeout);
  sandbox->Adopt(std::move(copy.session), copy.parent);
  return sandbox->ToProto();
}

absl::StatusOr<std::shared_ptr<SandboxManager::Room>> SandboxManager::Reserve(
    int count, int64_t memory_bytes_each) {
  if (draining_) return DrainingError();
  CLOISTER_RETURN_IF_ERROR(CheckRoom(count));
  CLOISTER_ASSIGN_OR_RETURN(TenantQuota::MemoryShare memory,
                            options_.quota->TakeMemory(count * memory_bytes_each));
  return std::make_shared<Room>(Room{.own = Reservation::Take(reserved_, count),
                                     .of_server = Reservation::Take(options_.server_count, count),
                                     .memory = std::move(memory)});
}

absl::Status SandboxManager::CheckRoom(int wanted) const {
  CLOISTER_RETURN_IF_ERROR(options_.quota->CheckSandboxes(count() + *reserved_, wanted));
  if (*options_.server_count + wanted <= options_.maximum_count) return absl::OkStatus();
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
  SandboxPage page;
  CLOISTER_ASSIGN_OR_RETURN(
      page.next_page_token,
      ReadPage(by_ordinal_, page_size, page_token, [&page](const std::shared_ptr<LiveSandbox>& one) {
        page.sandboxes.push_back(one->ToProto());
      }));
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
  gone_.push_back(sandbox->name());
  while (gone_.size() > options_.remembered) {
    gone_names_.erase(gone_.front());
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
