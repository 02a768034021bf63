#include "clients/cli/bench/closed_loop.h"

#include <chrono>
#include <vector>

#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"

namespace cloister::cli::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kMaximumFailuresInARow = 100;

// What one client saw. Touched by one call at a time, so it needs no lock.
struct Client {
  LatencySample latency;
  int64_t failed_count = 0;
  int failures_in_a_row = 0;
};

class ClosedLoop {
 public:
  ClosedLoop(int clients, absl::Duration warm_up, absl::Duration duration, const Call& call)
      : call_(call),
        begin_(Clock::now() + absl::ToChronoNanoseconds(warm_up)),
        end_(begin_ + absl::ToChronoNanoseconds(duration)),
        clients_(static_cast<size_t>(clients)),
        running_(clients) {}

  void Run() {
    for (size_t i = 0; i < clients_.size(); ++i) StartCall(static_cast<int>(i));
    running_.Wait();
  }

  LoadResult Collect() const {
    LoadResult result;
    for (const Client& client : clients_) {
      result.latency.Add(client.latency);
      result.failed_count += client.failed_count;
    }
    result.elapsed = absl::FromChrono(end_ - begin_);
    return result;
  }

 private:
  void StartCall(int index) {
    const Clock::time_point start = Clock::now();
    call_(index, [this, index, start](bool succeeded) { EndCall(index, start, succeeded); });
  }

  void EndCall(int index, Clock::time_point start, bool succeeded) {
    const Clock::time_point now = Clock::now();
    Client& client = clients_[static_cast<size_t>(index)];
    client.failures_in_a_row = succeeded ? 0 : client.failures_in_a_row + 1;
    if (!succeeded) {
      ++client.failed_count;
    } else if (start >= begin_ && now <= end_) {
      client.latency.Add(absl::FromChrono(now - start));
    }
    if (now < end_ && client.failures_in_a_row < kMaximumFailuresInARow) return StartCall(index);
    running_.DecrementCount();
  }

  const Call& call_;
  const Clock::time_point begin_;
  const Clock::time_point end_;
  std::vector<Client> clients_;
  absl::BlockingCounter running_;
};

// One call at a time.
class OneClient {
 public:
  OneClient(absl::Duration duration, const Call& call)
      : call_(call),
        begin_(Clock::now() + absl::ToChronoNanoseconds(duration / 10)),
        end_(Clock::now() + absl::ToChronoNanoseconds(duration)) {}

  bool WantsMore() const {
    return Clock::now() < end_ && client_.failures_in_a_row < kMaximumFailuresInARow;
  }

  // Returns how long it took.
  absl::Duration CallOnce() {
    Clock::time_point ended;
    bool ok = false;
    absl::Notification answered;
    const Clock::time_point start = Clock::now();
    call_(0, [&](bool succeeded) {
      ended = Clock::now();
      ok = succeeded;
      answered.Notify();
    });
    answered.WaitForNotification();
    client_.failures_in_a_row = ok ? 0 : client_.failures_in_a_row + 1;
    if (!ok) {
      ++client_.failed_count;
    } else if (start >= begin_) {
      client_.latency.Add(absl::FromChrono(ended - start));
    }
    return absl::FromChrono(ended - start);
  }

  LoadResult Collect() const {
    return {client_.latency, client_.failed_count, absl::FromChrono(end_ - begin_)};
  }

 private:
  const Call& call_;
  const Clock::time_point begin_;
  const Clock::time_point end_;
  Client client_;
};

}  // namespace

double LoadResult::SucceededPerSecond() const {
  const double seconds = absl::ToDoubleSeconds(elapsed);
  return seconds > 0 ? static_cast<double>(latency.count()) / seconds : 0;
}

LoadResult RunClosedLoop(int clients, absl::Duration warm_up, absl::Duration duration,
                         const Call& call) {
  ClosedLoop loop(clients, warm_up, duration, call);
  loop.Run();
  return loop.Collect();
}

LoadResult RunPaced(double per_second, absl::Duration duration, const Call& call) {
  const absl::Duration period = absl::Seconds(1) / per_second;
  OneClient client(duration, call);
  while (client.WantsMore()) {
    const absl::Duration took = client.CallOnce();
    absl::SleepFor(period - took);
  }
  return client.Collect();
}

LoadResult RunBursts(absl::Duration duration, const std::function<int()>& next_burst,
                     const Call& call) {
  OneClient client(duration, call);
  while (client.WantsMore()) {
    const int calls = next_burst();
    if (calls <= 0) break;
    for (int i = 0; i < calls && client.WantsMore(); ++i) client.CallOnce();
  }
  return client.Collect();
}

}  // namespace cloister::cli::bench
