// How many sandboxes to keep ready: pure functions, so that the arithmetic can be tested alone.

#ifndef CLOISTER_SERVICE_POOL_REFILL_POLICY_H_
#define CLOISTER_SERVICE_POOL_REFILL_POLICY_H_

#include <cstdint>
#include <vector>

#include "absl/time/time.h"

namespace cloister::pool {

struct Demand {
  double arrivals_per_second = 0;
  // From the start of a fork until the sandbox is ready.
  absl::Duration create_time;
  absl::Duration margin;
};

// What is asked for while one more is being made: rate × (create time + margin), rounded up, and never
// below `minimum` or above `maximum`.
int DesiredReady(const Demand& demand, int minimum, int maximum);

// The number to go on with: `desired` where that is more than `current`, or less by more than a quarter.
// Arrivals come at random, and throwing a sandbox away only to make it again is work for nothing.
int Settle(int current, int desired);

// What one pool would keep ready if it were alone.
struct StockWish {
  int count = 0;
  int64_t bytes_each = 0;
};

// The wishes as they are if they fit into `budget_bytes` together; otherwise all cut by the same share,
// rounded down.
std::vector<int> FitToBudget(const std::vector<StockWish>& wishes, int64_t budget_bytes);

}  // namespace cloister::pool

#endif  // CLOISTER_SERVICE_POOL_REFILL_POLICY_H_
