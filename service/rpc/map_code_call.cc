#include "service/rpc/map_code_call.h"

#include <iterator>
#include <utility>

#include "google/rpc/status.pb.h"
#include "grpcpp/server_context.h"
#include "service/rpc/deadline.h"
#include "service/rpc/status_mapping.h"

namespace cloister::rpc {

// gRPC made the request for this call alone and hands it out as const; it is taken apart rather
// than copied.
MapCodeCall::MapCodeCall(Admission admission, grpc::CallbackServerContext* context,
                         const v1::MapCodeRequest* request)
    : backend_(*admission.backend),
      context_(context),
      request_(const_cast<v1::MapCodeRequest*>(request)),
      record_(std::move(admission.record)) {}

grpc::ServerWriteReactor<v1::MapCodeResponse>* MapCodeCall::Start() {
  self_ = shared_from_this();
  absl::StatusOr<MapPlan> plan = MapPlan::Take(backend_, request_);
  if (!plan.ok()) {
    ended_ = true;
    record_.set_status(plan.status());
    Finish(ToGrpcStatus(plan.status()));
    return this;
  }
  plan_ = *std::move(plan);
  // Before gRPC learns of this reactor, so that Begin runs before any cancellation.
  backend_.loop->Enter([self = self_] { self->Begin(); });
  return this;
}

void MapCodeCall::Begin() {
  const absl::Time deadline = LoopDeadline(*backend_.loop, context_->deadline());
  map_ = std::make_unique<core::ProgramMap>(
      backend_.executions, plan_->options(), plan_->CompilationRequest(deadline),
      [this, deadline](int index) { return plan_->RequestFor(index, deadline); },
      [this] { Pump(); }, [this](int index) { plan_->Forget(index); });
  map_->Start();
  ScheduleKeepAlive();
  Pump();
}

void MapCodeCall::Pump() {
  if (writing_ || ended_) return;
  if (std::optional<core::MapResult> result = map_->Take(); result.has_value()) {
    return WriteVerdict(*std::move(result));
  }
  if (!map_->AtEnd()) return;
  if (!map_->failure().ok()) return Fail(map_->failure());
  WriteSummary();
}

void MapCodeCall::WriteVerdict(core::MapResult result) {
  v1::MapVerdict& verdict = *response_.mutable_verdict();
  verdict.Clear();
  verdict.set_index(result.index);
  if (result.result.status.ok()) {
    *verdict.mutable_outcome() = std::move(result.result.outcome);
    verdict.set_stdout(std::move(result.result.stdout_bytes));
    verdict.set_stderr(std::move(result.result.stderr_bytes));
    verdict.mutable_files()->Assign(std::make_move_iterator(result.result.files.begin()),
                                    std::make_move_iterator(result.result.files.end()));
    verdict.set_start_kind(result.start_kind);
  } else {
    const grpc::Status status = ToGrpcStatus(result.result.status);
    google::rpc::Status& error = *verdict.mutable_error();
    // Those without a reason have no details.
    if (!error.ParseFromString(status.error_details()) || error.code() == 0) {
      error.set_code(static_cast<int>(status.error_code()));
      error.set_message(status.error_message());
    }
  }
  writing_ = true;
  StartWrite(&response_);
}

void MapCodeCall::WriteSummary() {
  const core::MapCounts counts = map_->counts();
  v1::MapSummary& summary = *response_.mutable_summary();
  summary.set_succeeded_count(counts.succeeded);
  summary.set_failed_count(counts.failed);
  summary.set_skipped_count(counts.skipped);
  End();
  StartWriteAndFinish(&response_, grpc::WriteOptions(), grpc::Status::OK);
}

void MapCodeCall::Fail(const absl::Status& status) {
  if (ended_) return;
  End();
  record_.set_status(status);
  if (writing_) {
    failure_ = status;
  } else {
    Finish(ToGrpcStatus(status));
  }
}

void MapCodeCall::End() {
  ended_ = true;
  backend_.loop->Cancel(timer_);
}

void MapCodeCall::ScheduleKeepAlive() {
  timer_ = backend_.loop->CallAfter(backend_.keep_alive_interval, [this] { OnQuiet(); });
}

// Also between verdicts that follow one another: a proxy asks for some bytes now and then.
void MapCodeCall::OnQuiet() {
  if (!writing_) {
    response_.mutable_keep_alive();
    writing_ = true;
    StartWrite(&response_);
  }
  ScheduleKeepAlive();
}

void MapCodeCall::OnWriteDone(bool ok) {
  backend_.loop->Enter([self = shared_from_this(), ok] {
    self->writing_ = false;
    if (self->ended_) {
      if (!self->failure_.ok()) self->Finish(ToGrpcStatus(self->failure_));
      return;
    }
    if (!ok) return self->Fail(absl::CancelledError("the connection is broken"));
    self->Pump();
  });
}

void MapCodeCall::OnCancel() {
  backend_.loop->Post([self = shared_from_this()] {
    self->Fail(absl::CancelledError("the caller has gone"));
    self->map_.reset();  // kills what runs
  });
}

void MapCodeCall::OnDone() {
  record_.End();
  // What it has belongs to the loop, so the call is let go of there.
  backend_.loop->Enter([self = std::move(self_)] { self->map_.reset(); });
}

}  // namespace cloister::rpc
