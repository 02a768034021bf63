#include "service/pool/party_source.h"

#include <algorithm>

namespace cloister::pool {

absl::StatusOr<core::SandboxSource::Ticket> PartySource::RequestLease(
    const std::string& template_name, absl::Time deadline, LeaseCallback done) {
  return Request(/*for_sessions=*/false, template_name, deadline, std::move(done));
}

absl::StatusOr<core::SandboxSource::Ticket> PartySource::RequestSessionLease(
    const std::string& template_name, absl::Time deadline, LeaseCallback done) {
  return Request(/*for_sessions=*/true, template_name, deadline, std::move(done));
}

absl::StatusOr<core::SandboxSource::Ticket> PartySource::Request(bool for_sessions,
                                                                 const std::string& template_name,
                                                                 absl::Time deadline,
                                                                 LeaseCallback done) {
  if (!templates_.empty() &&
      std::find(templates_.begin(), templates_.end(), template_name) == templates_.end()) {
    return UnknownTemplateError(template_name, templates_);
  }
  return pools_.RequestFor(party_, for_sessions, template_name, deadline, std::move(done));
}

}  // namespace cloister::pool
