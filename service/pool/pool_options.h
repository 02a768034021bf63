// How one template's pool behaves. The defaults are those of cloister.internal.v1.PoolConfig and
// QueueConfig; the server's configuration fills this in.

#ifndef CLOISTER_SERVICE_POOL_POOL_OPTIONS_H_
#define CLOISTER_SERVICE_POOL_POOL_OPTIONS_H_

#include <cstdint>
#include <string>

#include "absl/time/time.h"
#include "cloister/internal/v1/spawner.pb.h"
#include "service/base/back_off.h"

namespace cloister::pool {

struct ZygoteOptions {
  internal::v1::ZygoteSpec spec;
  // A zygote is replaced after that many forks (but never fewer than fill the stock twice) or that
  // long, whichever comes first.
  int64_t maximum_forks = 100'000;
  absl::Duration maximum_age = absl::Hours(1);
  // One that has not become ready by then is given up.
  absl::Duration start_timeout = absl::Minutes(2);
  base::BackOffOptions back_off;
  // After a failure that another attempt will hardly mend: a configuration that names what the
  // image does not have.
  base::BackOffOptions permanent_back_off = {.initial = absl::Seconds(10),
                                             .maximum = absl::Minutes(10)};
};

struct PoolOptions {
  std::string template_name;
  // Of a template's live sandboxes: it starts when the first is asked for, is not part of what the
  // server's readiness needs, and is not listed.
  bool for_sessions = false;
  ZygoteOptions zygote;

  // Ready sandboxes: kept at least, and at most whatever the arrival rate.
  int minimum_ready = 4;
  int maximum_ready = 64;
  // Everything that exists, from the start of the fork until nothing is left.
  int maximum = 256;
  // Forks under way at once. A zygote forks one at a time; more only fill its queue.
  int maximum_starting = 4;
  // A ready sandbox older than this is replaced.
  absl::Duration maximum_age = absl::Seconds(300);
  // The stock covers the arrivals of the time a fork takes plus this.
  absl::Duration refill_margin = absl::Milliseconds(200);
  // While requests follow one another faster than this, and more than a quarter of the stock is left,
  // refilling waits: making a sandbox costs more processor time than running a small program in one, and
  // would take it from those who wait for an answer. See refill_pace.h.
  absl::Duration refill_pause = absl::Milliseconds(20);

  // Requests waiting at once, and how long each may.
  int maximum_waiting = 1024;
  absl::Duration maximum_wait = absl::Seconds(10);

  // After forks that fail.
  base::BackOffOptions back_off;

  // What one idle sandbox holds, until it has been measured.
  int64_t idle_sandbox_bytes = int64_t{2} << 20;
};

}  // namespace cloister::pool

#endif  // CLOISTER_SERVICE_POOL_POOL_OPTIONS_H_
