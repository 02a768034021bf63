// The credentials the server accepts, as their file has them: read at start, and again when it
// changes.

#ifndef CLOISTER_SERVICE_SERVER_CREDENTIALS_H_
#define CLOISTER_SERVICE_SERVER_CREDENTIALS_H_

#include <string>
#include <unordered_set>

#include "absl/status/status.h"
#include "cloister/internal/v1/config.pb.h"
#include "sandbox/base/loop.h"
#include "service/identity/authenticator.h"
#include "service/identity/watched_file.h"
#include "service/observability/logging.h"
#include "service/observability/metrics.h"

namespace cloister::server {

// Thread-safety: Load before there are other threads, all else on the loop; the authenticator is
// safe. Ownership: `log` and `metrics` must outlive it.
class Credentials {
 public:
  // How often the file is looked at. A change is taken at the second look, so that none is read
  // half written.
  static constexpr absl::Duration kLookInterval = absl::Seconds(2);

  Credentials(const internal::v1::ServerConfig& config, observability::Log* log,
              observability::Metrics* metrics);
  Credentials(const Credentials&) = delete;
  Credentials& operator=(const Credentials&) = delete;

  // Null where the configuration asks for no credentials.
  const identity::Authenticator* authenticator() const {
    return is_required_ ? &authenticator_ : nullptr;
  }

  // Errors: FAILED_PRECONDITION with what cannot be read or is wrong in it.
  absl::Status Load();
  // From now on a file that has changed is read; one that is not valid changes nothing. Ends with
  // Stop.
  void Watch(sandbox::Loop* loop);
  void Stop();
  // At once, changed or not.
  void Reload();

 private:
  void Look();

  const bool is_required_;
  const std::unordered_set<std::string> tenants_;
  observability::Log& log_;
  observability::Metrics& metrics_;
  identity::Authenticator authenticator_;
  identity::WatchedFile file_;
  sandbox::Loop* loop_ = nullptr;
  sandbox::Loop::TimerId timer_ = 0;
};

}  // namespace cloister::server

#endif  // CLOISTER_SERVICE_SERVER_CREDENTIALS_H_
