#include "service/core/interpreter_manager.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "sandbox/base/status_macros.h"
#include "service/base/ids.h"
#include "service/core/error.h"

namespace cloister::core {
namespace {

absl::Status MainError(const char* instead) {
  return FieldInvalidError({{"name", absl::StrCat("is a sandbox's main interpreter: ", instead)}});
}

}  // namespace

// ---- creation -----------------------------------------------------------------------------------

absl::StatusOr<InterpreterManager::Creation> InterpreterManager::Create(
    CreateInterpreterRequest request, Callback done) {
  if (!request.request_id.empty()) {
    const auto earlier = by_request_id_.find(request.request_id);
    if (earlier != by_request_id_.end()) return Repeat(earlier->second, request, std::move(done));
  }
  CLOISTER_RETURN_IF_ERROR(sandboxes_->CheckNotDraining());
  CLOISTER_ASSIGN_OR_RETURN(const std::shared_ptr<LiveSandbox> sandbox,
                            sandboxes_->Find(request.sandbox));
  CLOISTER_RETURN_IF_ERROR(sandbox->CheckUsable());
  if (request.spec.id.empty()) request.spec.id = base::NewId();
  const std::string name = absl::StrCat(sandbox->name(), "/interpreters/", request.spec.id);
  FurtherInterpreterSpec spec = std::move(request.spec);
  CLOISTER_ASSIGN_OR_RETURN(
      const std::shared_ptr<LiveInterpreter> live,
      sandbox->further().Create(
          std::move(spec), request.deadline,
          [this, request_id = request.request_id, told = Told(name, std::move(done))](
              const absl::Status& status) {
            // What never came to be may be asked for again with the same request_id.
            if (!status.ok()) by_request_id_.erase(request_id);
            told(status);
          }));
  sandbox->CountUse();
  Remember(request, live);
  return Creation(live);
}

FurtherInterpreters::StartCallback InterpreterManager::Told(const std::string& name,
                                                            Callback done) const {
  return [this, name, done = std::move(done)](const absl::Status& status) {
    if (!status.ok()) return done(status);
    done(Get(name));
  };
}

absl::StatusOr<InterpreterManager::Creation> InterpreterManager::Repeat(
    const Made& earlier, const CreateInterpreterRequest& request, Callback done) {
  if (earlier.payload_digest != request.payload_digest) {
    observer_->OnReplay(ReplayResult::kReused);
    return MakeError(
        v1::ERROR_REASON_REQUEST_ID_REUSED,
        absl::StrCat("request_id \"", request.request_id,
                     "\" was used with another payload; choose a new one per interpreter"));
  }
  observer_->OnReplay(ReplayResult::kJoined);
  const Creation creation = earlier.live;
  const std::string name = earlier.name;
  const auto now = sandboxes_->FindLive(name);
  if (!now.ok()) return now.status();
  if (*now != creation.lock()) {
    return WithMetadata(MakeError(v1::ERROR_REASON_INTERPRETER_NOT_FOUND,
                                  absl::StrCat("the interpreter \"", name,
                                               "\" that this request_id made was deleted")),
                        "interpreter", name);
  }
  CLOISTER_ASSIGN_OR_RETURN(const std::shared_ptr<LiveSandbox> sandbox,
                            sandboxes_->Find(request.sandbox));
  sandbox->further().AwaitStart(**now, Told(name, std::move(done)));
  return creation;
}

void InterpreterManager::Remember(const CreateInterpreterRequest& request,
                                  const std::shared_ptr<LiveInterpreter>& live) {
  if (request.request_id.empty()) return;
  by_request_id_[request.request_id] = {request.payload_digest, live->name(), live};
  request_ids_.push_back(request.request_id);
  if (request_ids_.size() <= kRememberedRequests) return;
  by_request_id_.erase(request_ids_.front());
  request_ids_.pop_front();
}

void InterpreterManager::Abandon(const Creation& creation) {
  const std::shared_ptr<LiveInterpreter> live = creation.lock();
  if (live == nullptr) return;
  const auto sandbox = sandboxes_->Find(SplitInterpreterName(live->name()).sandbox);
  if (sandbox.ok()) (*sandbox)->further().AbandonStart(*live);
}

// ---- by name ------------------------------------------------------------------------------------

absl::StatusOr<v1::Interpreter> InterpreterManager::Get(const std::string& name) const {
  const InterpreterName parts = SplitInterpreterName(name);
  CLOISTER_ASSIGN_OR_RETURN(const std::shared_ptr<LiveSandbox> sandbox,
                            sandboxes_->Find(parts.sandbox));
  return sandbox->GetInterpreter(parts.id);
}

absl::StatusOr<std::vector<v1::Interpreter>> InterpreterManager::List(
    const std::string& sandbox) const {
  CLOISTER_ASSIGN_OR_RETURN(const std::shared_ptr<LiveSandbox> found, sandboxes_->Find(sandbox));
  return found->ListInterpreters();
}

absl::Status InterpreterManager::Restart(const std::string& name, absl::Time deadline,
                                         Callback done) {
  CLOISTER_RETURN_IF_ERROR(sandboxes_->CheckNotDraining());
  const InterpreterName parts = SplitInterpreterName(name);
  CLOISTER_ASSIGN_OR_RETURN(const std::shared_ptr<LiveSandbox> sandbox,
                            sandboxes_->Find(parts.sandbox));
  if (parts.id == kMainInterpreter) return MainError("RestartSandbox gives it a new start");
  CLOISTER_RETURN_IF_ERROR(sandbox->further().Find(parts.id).status());
  CLOISTER_RETURN_IF_ERROR(sandbox->CheckUsable());
  CLOISTER_RETURN_IF_ERROR(
      sandbox->further().Restart(parts.id, deadline, Told(name, std::move(done))));
  sandbox->CountUse();
  return absl::OkStatus();
}

absl::Status InterpreterManager::Delete(const std::string& name, DeleteCallback done) {
  const InterpreterName parts = SplitInterpreterName(name);
  CLOISTER_ASSIGN_OR_RETURN(const std::shared_ptr<LiveSandbox> sandbox,
                            sandboxes_->Find(parts.sandbox));
  if (parts.id == kMainInterpreter) return MainError("DeleteSandbox ends it");
  return sandbox->further().Delete(parts.id, std::move(done));
}

}  // namespace cloister::core
