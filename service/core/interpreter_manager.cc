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
  CLOISTER_ASSIGN_OR_RETURN(const RequestIds::Earlier earlier,
                            request_ids_.Find(request.request_id, request.payload_digest));
  if (earlier.exists) return Repeat(earlier.names[0], request.request_id, std::move(done));
  CLOISTER_RETURN_IF_ERROR(sandboxes_->CheckNotDraining());
  CLOISTER_ASSIGN_OR_RETURN(const std::shared_ptr<LiveSandbox> sandbox,
                            sandboxes_->Find(request.sandbox));
  CLOISTER_RETURN_IF_ERROR(sandbox->CheckUsable());
  if (request.spec.id.empty()) request.spec.id = base::NewId();
  const std::string name = absl::StrCat(sandbox->name(), "/interpreters/", request.spec.id);
  request.spec.request_id = request.request_id;
  request.spec.request = request_ids_.Begin(request.request_id, request.payload_digest);
  request_ids_.Complete(request.request_id, {name});
  const std::string request_id = request.request_id;
  absl::StatusOr<Creation> creation = Begin(*sandbox, std::move(request), name, std::move(done));
  if (!creation.ok()) request_ids_.Fail(request_id, creation.status());
  return creation;
}

absl::StatusOr<InterpreterManager::Creation> InterpreterManager::Begin(
    LiveSandbox& sandbox, CreateInterpreterRequest request, const std::string& name,
    Callback done) {
  CLOISTER_ASSIGN_OR_RETURN(
      const std::shared_ptr<LiveInterpreter> live,
      sandbox.further().Create(
          std::move(request.spec), request.deadline,
          [this, request_id = request.request_id, told = Told(name, std::move(done))](
              const absl::Status& status) {
            // What never came to be may be asked for again with the same request_id.
            if (!status.ok()) request_ids_.Fail(request_id, status);
            told(status);
          }));
  sandbox.CountUse();
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
    const std::string& name, const std::string& request_id, Callback done) {
  const InterpreterName parts = SplitInterpreterName(name);
  CLOISTER_ASSIGN_OR_RETURN(const std::shared_ptr<LiveSandbox> sandbox,
                            sandboxes_->Find(parts.sandbox));
  CLOISTER_ASSIGN_OR_RETURN(
      const std::shared_ptr<LiveInterpreter> live,
      sandbox->further().AwaitStart(parts.id, request_id, Told(name, std::move(done))));
  return Creation(live);
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
