#include "service/core/execution.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "service/base/ids.h"
#include "service/base/proto_time.h"
#include "service/core/error.h"
#include "service/core/limits_proto.h"

namespace cloister::core {
namespace {

absl::Status TooManyInterruptsError() {
  const std::string maximum = absl::StrCat(kMaximumWaiters);
  return WithRetryDelay(
      WithMetadata(MakeError(v1::ERROR_REASON_EXECUTION_QUEUE_FULL,
                             absl::StrCat(maximum,
                                          " calls that interrupt this execution wait for "
                                          "its end already; it is being interrupted")),
                   "maximum", maximum),
      absl::Seconds(1));
}

}  // namespace

Subscription::~Subscription() { execution_->Leave(&reader_); }

absl::StatusOr<std::vector<v1::ExecutionEvent>> Subscription::Read(int64_t maximum_bytes) {
  if (!execution_->result_.status.ok()) return execution_->result_.status;
  auto events = execution_->events_.Read(&reader_, maximum_bytes);
  execution_->ReportBuffered();
  return events;
}

bool Subscription::AtEnd() const {
  return execution_->ended() && (!execution_->result_.status.ok() ||
                                 reader_.cursor == execution_->events_.log().last_sequence());
}

Execution::Execution(Context context, ExecutionRequest request)
    : context_(std::move(context)),
      request_(std::move(request)),
      is_cell_(context_.interpreter != nullptr),
      name_(absl::StrCat("executions/", base::NewId())),
      accepted_(context_.loop->Now()),
      events_(context_.stream, [this](bool paused) { SetPaused(paused); }) {}

Execution::~Execution() {
  AbandonRequest();
  context_.observer->OnBufferedBytes(-buffered_bytes_);
}

absl::Status Execution::Start() {
  // A raw pointer is enough: the destructor abandons the request.
  absl::StatusOr<uint64_t> ticket =
      is_cell_
          ? context_.interpreter->RequestTurn(name_, std::move(request_.cell), request_.deadline,
                                              [this](absl::StatusOr<Turn> turn) {
                                                if (!turn.ok()) return EndQueued(turn.status());
                                                execution_count_ = turn->execution_count;
                                                Run(std::move(turn->runner), turn->start_kind,
                                                    turn->waited);
                                              })
          : context_.source->RequestLease(
                request_.template_name, request_.deadline, [this](absl::StatusOr<Lease> lease) {
                  if (!lease.ok()) return EndQueued(lease.status());
                  Run(std::move(lease->sandbox), lease->start_kind, lease->waited);
                });
  if (!ticket.ok()) return std::move(ticket).status();
  ticket_ = *ticket;
  return absl::OkStatus();
}

void Execution::AbandonRequest() {
  const uint64_t ticket = std::exchange(ticket_, 0);
  if (ticket == 0) return;
  if (is_cell_) {
    context_.interpreter->AbandonTurn(ticket);
  } else {
    context_.source->AbandonRequest(ticket);
  }
}

absl::StatusOr<std::unique_ptr<Subscription>> Execution::Subscribe(ExecutionListener* listener,
                                                                   ReaderRole role,
                                                                   int64_t after_sequence) {
  EventStream::Reader reader{listener, role, after_sequence};
  // The subscription is not made before it is known to be possible, since its end is an event.
  if (role == ReaderRole::kFollower) {
    absl::Status readable = events_.log().CheckReadable(after_sequence);
    if (!readable.ok()) return readable;
  }
  std::unique_ptr<Subscription> subscription(new Subscription(shared_from_this(), reader));
  absl::Status joined = events_.Join(&subscription->reader_);
  if (!joined.ok()) return joined;
  return subscription;
}

absl::Status Execution::Interrupt(absl::Duration grace, InterruptCallback done) {
  if (state_ == State::kEnded) {
    done(result_);
    return absl::OkStatus();
  }
  if (interrupt_callbacks_.size() >= kMaximumWaiters) return TooManyInterruptsError();
  interrupt_callbacks_.push_back(std::move(done));
  if (!interrupt_) interrupt_ = PendingInterrupt{context_.loop->Now(), grace};
  interrupt_->grace = std::min(interrupt_->grace, grace);
  if (state_ == State::kRunning) {
    runner_->Interrupt(grace);
    return absl::OkStatus();
  }
  result_.outcome.set_kind(v1::Outcome::KIND_INTERRUPTED);
  result_.outcome.set_detail("interrupted before the program started");
  EndQueued(absl::OkStatus());
  return absl::OkStatus();
}

absl::Status Execution::SendInput(int64_t request, std::optional<std::string> text) {
  if (state_ == State::kRunning && runner_->SendInput(request, std::move(text))) {
    return absl::OkStatus();
  }
  return MakeError(v1::ERROR_REASON_INPUT_NOT_EXPECTED,
                   "the execution does not wait for this input; answer an event `input_request`, "
                   "once");
}

void Execution::Cancel(sandbox::StopReason reason) {
  if (state_ == State::kRunning) {
    if (is_cell_ && reason == sandbox::StopReason::kCallerGone) {
      runner_->Interrupt(kCallerGoneGrace);
    } else {
      runner_->Stop(reason);
    }
  }
  if (state_ != State::kQueued) return;
  if (reason == sandbox::StopReason::kShutdown) {
    EndQueued(MakeError(v1::ERROR_REASON_SERVER_DRAINING,
                        "the server stops and the program had not started; try another server"));
  } else {
    EndQueued(absl::CancelledError("the caller went away before the program started"));
  }
}

int64_t Execution::retained_bytes() const {
  size_t bytes =
      result_.stdout_bytes.size() + result_.stderr_bytes.size() + result_.outcome.SpaceUsedLong();
  for (const v1::ReturnedFile& file : result_.files) bytes += file.content().size();
  return static_cast<int64_t>(bytes) + events_.log().cost();
}

void Execution::Run(std::unique_ptr<sandbox::ProgramRunner> runner, v1::StartKind start_kind,
                    absl::Duration waited) {
  const std::shared_ptr<Execution> keep_alive = shared_from_this();
  ticket_ = 0;
  state_ = State::kRunning;
  queued_ = waited;
  start_kind_ = start_kind;
  runner_ = std::move(runner);
  sandbox_id_ = runner_->id();
  const absl::Time leased = context_.loop->Now();
  runner_->Run(std::move(request_.program), request_.limits, this);
  request_.memory.Release();
  prepared_ = context_.loop->Now() - leased;
  context_.observer->OnExecutionStarted(kind(), queued_);
  if (request_.mode == ExecutionMode::kStream) AppendStarted();
}

void Execution::Leave(EventStream::Reader* reader) {
  const bool was_last_owner = events_.Leave(reader);
  if (was_last_owner && request_.on_disconnect == OnDisconnect::kInterrupt && !ended()) {
    Cancel(sandbox::StopReason::kCallerGone);
  }
}

void Execution::SetPaused(bool paused) {
  if (!runner_) return;
  if (paused) {
    context_.observer->OnStreamStalled();
    runner_->PauseOutput();
  } else {
    runner_->ResumeOutput();
  }
}

void Execution::OnOutput(sandbox::OutputStream stream, std::string_view bytes) {
  const bool is_stdout = stream == sandbox::OutputStream::kStdout;
  if (request_.mode == ExecutionMode::kCollect) {
    (is_stdout ? result_.stdout_bytes : result_.stderr_bytes).append(bytes);
    return;
  }
  const std::shared_ptr<Execution> keep_alive = shared_from_this();
  v1::ExecutionEvent event;
  if (is_stdout) {
    event.set_stdout(bytes.data(), bytes.size());
  } else {
    event.set_stderr(bytes.data(), bytes.size());
  }
  Append(std::move(event));
  events_.Notify();
}

void Execution::OnCellEvent(v1::ExecutionEvent event) {
  if (request_.mode == ExecutionMode::kCollect) return;  // nobody could be shown it
  const std::shared_ptr<Execution> keep_alive = shared_from_this();
  Append(std::move(event));
  events_.Notify();
}

void Execution::OnFinished(sandbox::ExecutionEnd end) {
  const std::shared_ptr<Execution> keep_alive = shared_from_this();
  if (end.status.ok()) {
    result_.outcome = std::move(end.outcome);
    result_.files = std::move(end.files);
    result_.value_clone = std::move(end.value_clone);
    result_.compiled = std::move(end.compiled);
  } else {
    result_.status = NeverStartedError();
    setup_error_ = std::string(end.status.message());
  }
  End();
  // Readers first, clearing away second: the reply need not wait for the teardown, nor for whoever
  // is next in a live interpreter.
  runner_.reset();
}

absl::Status Execution::NeverStartedError() const {
  // A live sandbox that ended as the cell was on its way to it: it is lost, and knows to what.
  absl::Status lost = is_cell_ ? context_.interpreter->CheckThere() : absl::OkStatus();
  if (!lost.ok()) return lost;
  return MakeError(v1::ERROR_REASON_SANDBOX_SETUP_FAILED,
                   absl::StrCat("the sandbox could not be made ready and the program was not "
                                "started; the server's log says why, for ",
                                name_));
}

void Execution::AppendStarted() {
  v1::ExecutionEvent event;
  v1::Started& started = *event.mutable_started();
  started.set_execution(name_);
  started.set_start_kind(start_kind_);
  *started.mutable_effective_limits() = ToProto(request_.limits);
  started.set_execution_count(execution_count_);
  Append(std::move(event));
  events_.Notify();
}

void Execution::AppendFinished() {
  v1::ExecutionEvent event;
  v1::Finished& finished = *event.mutable_finished();
  *finished.mutable_outcome() = result_.outcome;
  for (v1::ReturnedFile& file : result_.files) *finished.add_files() = std::move(file);
  result_.files.clear();
  Append(std::move(event));
}

void Execution::Append(v1::ExecutionEvent event) {
  *event.mutable_time() = base::ToProto(absl::Now());
  events_.Append(std::move(event));
  ReportBuffered();
}

void Execution::ReportBuffered() {
  const int64_t cost = events_.log().cost();
  if (cost != buffered_bytes_) context_.observer->OnBufferedBytes(cost - buffered_bytes_);
  buffered_bytes_ = cost;
}

void Execution::EndQueued(absl::Status status) {
  const std::shared_ptr<Execution> keep_alive = shared_from_this();
  AbandonRequest();
  queued_ = context_.loop->Now() - accepted_;
  // It may be retained; its program is of no use any more.
  request_.program = {};
  request_.memory.Release();
  result_.status = std::move(status);
  End();
}

void Execution::End() {
  v1::StageTimes& stages = *result_.outcome.mutable_stage_times();
  *stages.mutable_queued() = base::ToProto(queued_);
  if (state_ == State::kRunning) *stages.mutable_prepared() = base::ToProto(prepared_);
  state_ = State::kEnded;
  context_.interpreter.reset();  // it may be retained for longer than that
  events_.Close();
  if (request_.mode == ExecutionMode::kStream && result_.status.ok()) AppendFinished();
  if (interrupt_) ReportInterrupt();
  context_.on_ended(*this);
  for (const InterruptCallback& done : std::exchange(interrupt_callbacks_, {})) done(result_);
  events_.Notify();
  // After the reply: counting and logging take a sixth of what the end of a small program costs.
  context_.observer->OnExecutionEnded(ExecutionRecord{
      .kind = kind(),
      .name = name_,
      .request_id = request_.request_id,
      .template_name = request_.template_name,
      .interpreter = request_.interpreter,
      .sandbox_id = sandbox_id_,
      .start_kind = start_kind_,
      .queued = queued_,
      .status = result_.status,
      .setup_error = setup_error_,
      .outcome = result_.outcome,
      .is_inner = request_.is_inner,
  });
}

void Execution::ReportInterrupt() {
  const absl::Duration took = context_.loop->Now() - interrupt_->since;
  InterruptResult result = InterruptResult::kTooLate;
  if (result_.outcome.kind() == v1::Outcome::KIND_INTERRUPTED) {
    result = took < interrupt_->grace || result_.outcome.has_exception()
                 ? InterruptResult::kStopped
                 : InterruptResult::kEscalated;
  }
  context_.observer->OnInterrupted(result, took);
}

}  // namespace cloister::core
