#include "service/pool/refill_policy.h"

#include <algorithm>
#include <cmath>

namespace cloister::pool {

int DesiredReady(const Demand& demand, int minimum, int maximum) {
  const double needed = std::ceil(demand.arrivals_per_second *
                                  absl::ToDoubleSeconds(demand.create_time + demand.margin));
  // Compared as doubles first: a huge rate must not overflow an int.
  if (needed >= maximum) return maximum;
  return std::clamp(static_cast<int>(needed), std::min(minimum, maximum), maximum);
}

int Settle(int current, int desired) {
  return desired > current || desired < current - current / 4 ? desired : current;
}

std::vector<int> FitToBudget(const std::vector<StockWish>& wishes, int64_t budget_bytes) {
  double wanted = 0;
  for (const StockWish& wish : wishes) wanted += static_cast<double>(wish.count) * wish.bytes_each;
  const double share = wanted <= budget_bytes ? 1.0 : std::max<double>(budget_bytes, 0) / wanted;
  std::vector<int> counts;
  counts.reserve(wishes.size());
  for (const StockWish& wish : wishes) counts.push_back(static_cast<int>(wish.count * share));
  return counts;
}

}  // namespace cloister::pool
