// Moves the events of one execution to one reader: one write in flight, keep-alives while it is
// quiet, and an end whatever happens.

#ifndef CLOISTER_SERVICE_RPC_EVENT_PUMP_H_
#define CLOISTER_SERVICE_RPC_EVENT_PUMP_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cloister/v1/execution.pb.h"
#include "sandbox/base/loop.h"
#include "service/core/execution.h"

namespace cloister::rpc {

// Where events go.
class EventSink {
 public:
  virtual ~EventSink() = default;
  // Writes one event; EventPump::OnWritten follows, unless it is the `last`: then the stream ends
  // with it, and with OK.
  virtual void Write(v1::ExecutionEvent event, bool last) = 0;
  // Ends the stream with an error. Not called while a write is in flight.
  virtual void Finish(const absl::Status& status) = 0;
};

// Thread-safety: loop only. Ownership: `loop` and `sink` must outlive it.
class EventPump final : public core::ExecutionListener {
 public:
  EventPump(sandbox::Loop* loop, EventSink* sink, absl::Duration keep_alive_interval)
      : loop_(loop), sink_(sink), keep_alive_interval_(keep_alive_interval) {}
  ~EventPump() override { StopTimer(); }

  // Once: begins with what is there. `subscription` names this pump as its listener.
  void Start(std::unique_ptr<core::Subscription> subscription);
  // Instead of Start, or at any later time: ends the stream.
  void Fail(absl::Status status);

  // The last Write has gone out, or the connection is broken.
  void OnWritten(bool ok);

  // core::ExecutionListener
  void OnProgress() override { Pump(); }

 private:
  // What one read takes out of the log; the rest counts as unread and holds the guest back.
  static constexpr int64_t kReadBytes = int64_t{64} << 10;

  void Pump();
  bool Fetch();
  void Write(v1::ExecutionEvent event);
  void End(const absl::Status& status);
  void ScheduleKeepAlive();
  void OnQuiet();
  void StopTimer();

  sandbox::Loop* const loop_;
  EventSink* const sink_;
  const absl::Duration keep_alive_interval_;
  std::unique_ptr<core::Subscription> subscription_;
  std::vector<v1::ExecutionEvent> fetched_;
  size_t next_ = 0;  // in fetched_
  bool fetching_ = false;
  bool writing_ = false;
  bool ended_ = false;
  absl::Status failure_;  // to be told once the write in flight is over
  absl::Time last_write_;
  sandbox::Loop::TimerId timer_ = 0;
};

}  // namespace cloister::rpc

#endif  // CLOISTER_SERVICE_RPC_EVENT_PUMP_H_
