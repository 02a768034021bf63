// What became of the interrupts of one kind of code.

#ifndef CLOISTER_CLIENTS_CLI_BENCH_INTERRUPT_TALLY_H_
#define CLOISTER_CLIENTS_CLI_BENCH_INTERRUPT_TALLY_H_

#include <map>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "clients/cli/bench/latency_sample.h"
#include "clients/cli/bench/report.h"
#include "cloister/v1/outcome.pb.h"

namespace cloister::cli::bench {

// The rung of the ladder that ended an interrupted execution: "KeyboardInterrupt" or "kill"; where
// it ended in another way, that outcome's kind.
std::string RungOf(const v1::Outcome& outcome);

// Thread-safety: none.
class InterruptTally {
 public:
  // `took`: from the request to the answer that it has ended.
  void Add(const v1::Outcome& outcome, absl::Duration took);

  // Sets PREFIX_rung, PREFIX_state_preserved, PREFIX_p50_ms and PREFIX_max_ms of `results`. Where
  // not all ended alike, the first two tell how often each ("KeyboardInterrupt 3, kill 1").
  void Fill(absl::string_view prefix, Json* results) const;

 private:
  std::map<std::string, int> rungs_;
  std::map<bool, int> preserved_;
  LatencySample took_;
};

}  // namespace cloister::cli::bench

#endif  // CLOISTER_CLIENTS_CLI_BENCH_INTERRUPT_TALLY_H_
