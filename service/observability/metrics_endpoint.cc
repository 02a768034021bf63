#include "service/observability/metrics_endpoint.h"

#include <exception>
#include <utility>

#include "absl/strings/str_cat.h"
#include "prometheus/exposer.h"
#include "service/observability/process_metrics.h"

namespace cloister::observability {
namespace {

// Scrapes are rare.
constexpr size_t kThreads = 1;

}  // namespace

absl::StatusOr<std::unique_ptr<MetricsEndpoint>> MetricsEndpoint::Start(const std::string& address,
                                                                        const Metrics& metrics) {
  Collectables collectables = {metrics.registry(), std::make_shared<ProcessMetrics>()};
  try {
    auto exposer = std::make_unique<prometheus::Exposer>(address, kThreads);
    for (const auto& collectable : collectables) exposer->RegisterCollectable(collectable);
    return std::unique_ptr<MetricsEndpoint>(
        new MetricsEndpoint(std::move(collectables), std::move(exposer)));
  } catch (const std::exception&) {
    // The library says no more than "null context when constructing CivetServer".
    return absl::FailedPreconditionError(
        absl::StrCat("metrics_listen: cannot listen on ", address,
                     ": the address is in use, or may not be used by this user"));
  }
}

MetricsEndpoint::MetricsEndpoint(Collectables collectables,
                                 std::unique_ptr<prometheus::Exposer> exposer)
    : collectables_(std::move(collectables)), exposer_(std::move(exposer)) {}

MetricsEndpoint::~MetricsEndpoint() = default;

int MetricsEndpoint::port() const { return exposer_->GetListeningPorts().at(0); }

}  // namespace cloister::observability
