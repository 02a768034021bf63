#include "service/server/server.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/synchronization/notification.h"
#include "sandbox/base/status_macros.h"
#include "sandbox/linux/feature_probe.h"
#include "service/base/proto_time.h"
#include "service/server/info.h"
#include "service/server/listen_address.h"
#include "service/server/options.h"

namespace cloister::server {
namespace {

constexpr absl::Duration kSpawnerStart = absl::Seconds(30);
// For replies that are ready when the drain is over.
constexpr absl::Duration kShutdownGrace = absl::Seconds(1);
// For idle sandboxes to go away in a drain; the spawner ends them anyway when its socket closes.
constexpr absl::Duration kTeardown = absl::Seconds(5);

constexpr char kContainerOptIn[] =
    "\nThis is an ordinary container: without the above, sandboxes have Landlock, seccomp and "
    "rlimits "
    "only (SECURITY.md says what that lacks). To accept it, name the layers that are required in "
    "the "
    "configuration: isolation_floor { required_layers: \"landlock\" required_layers: "
    "\"landlock_scope\" required_layers: \"seccomp\" required_layers: \"rlimits\" }";

std::string LayerDetail(const internal::v1::Facilities& facilities, const std::string& name) {
  for (const internal::v1::Facility& facility : facilities.facilities()) {
    if (facility.name() != name) continue;
    if (!facility.available()) return "none";
    return facility.detail().empty() ? "on" : facility.detail();
  }
  return "none";
}

const char* SettingName(internal::v1::Facilities::Setting setting) {
  switch (setting) {
    case internal::v1::Facilities::SETTING_ROOT:
      return "root";
    case internal::v1::Facilities::SETTING_ROOTLESS:
      return "rootless";
    case internal::v1::Facilities::SETTING_CONTAINER:
      return "container";
    default:
      return "unknown";
  }
}

// Turns the spawner's loss into an event of the process.
class SpawnerWatch final : public core::ServiceObserver {
 public:
  explicit SpawnerWatch(ExitEvents* exit_events) : exit_events_(*exit_events) {}
  void OnSpawnerLost(const std::string& /*reason*/) override {
    exit_events_.Notify(ExitEvent::kSpawnerLost);
  }

 private:
  ExitEvents& exit_events_;
};

}  // namespace

Server::Server(const internal::v1::ServerConfig& config, std::vector<Image> images,
               observability::Log* log, ExitEvents* exit_events)
    : config_(config),
      images_(std::move(images)),
      log_(*log),
      exit_events_(*exit_events),
      metrics_(TemplateNames(config)),
      service_metrics_(&metrics_),
      service_log_(log),
      readiness_(config.templates(0).name(), [this](bool ready) { OnReadyChanged(ready); }),
      spawner_watch_(std::make_unique<SpawnerWatch>(exit_events)),
      observers_({&service_metrics_, &service_log_, &readiness_, spawner_watch_.get()}),
      audit_log_(log),
      call_observers_({&service_metrics_, &service_log_, &audit_log_}),
      credentials_(config_, log, &metrics_),
      request_memory_(config.queue().maximum_bytes(), &call_observers_),
      map_memory_(config.queue().maximum_bytes(), &call_observers_),
      message_memory_(config.queue().maximum_bytes(), &call_observers_) {
  log->SetCounter([this](observability::Severity severity) {
    metrics_.counter(observability::Metric::kLogMessages, static_cast<size_t>(severity))
        .Increment();
  });
}

Server::~Server() {
  if (loop_thread_.joinable()) {
    RunOnLoop([this] {
      listeners_.clear();
      credentials_.Stop();
    });
    if (grpc_server_ != nullptr) {
      grpc_server_->Shutdown(drained_ ? kShutdownGrace : absl::ZeroDuration());
    }
    loop_.Stop();
    loop_thread_.join();
  }
  // What belonged to the loop belongs to this thread now; users before what they use.
  loop_.Discard();
  // Interpreters may wait for executions in one another.
  if (tenants_ != nullptr) tenants_->EndAll();
  loop_.Discard();
  if (tenants_ != nullptr) tenants_->Close();
  pools_.reset();
  loop_.Discard();  // what ended just now may have left sandboxes of the factory to it
  factory_.reset();
  log_.SetCounter(nullptr);
}

absl::Status Server::Start(sandbox::UniqueFd spawner_socket, UnixListeners listeners) {
  CLOISTER_RETURN_IF_ERROR(credentials_.Load());
  if (!config_.audit().file().empty()) {
    CLOISTER_RETURN_IF_ERROR(audit_log_.Open(config_.audit().file(),
                                             *observability::ParseLogFormat(config_.log_format())));
  }
  CLOISTER_ASSIGN_OR_RETURN(
      factory_, sandbox::SpawnerClient::Connect(&loop_, std::move(spawner_socket), kSpawnerStart));
  SetInfoMetrics();
  CLOISTER_RETURN_IF_ERROR(CheckFloor());
  const bool can_fork = factory_->facilities().live_fork().available();
  pools_ = std::make_unique<pool::PoolSet>(&loop_, factory_.get(), &observers_,
                                           PoolOptionsOf(config_, images_, can_fork));
  tenants_ = std::make_unique<Tenants>(TenantContext{.config = &config_,
                                                     .loop = &loop_,
                                                     .pools = pools_.get(),
                                                     .observer = &observers_,
                                                     .info = MakeInfo(),
                                                     .request_memory = &request_memory_,
                                                     .map_memory = &map_memory_,
                                                     .message_memory = &message_memory_});
  gate_ = std::make_unique<TenantGate>(tenants_.get(), credentials_.authenticator(),
                                       &call_observers_, config_.has_audit());
  if (!config_.metrics_listen().empty()) {
    CLOISTER_ASSIGN_OR_RETURN(metrics_endpoint_, observability::MetricsEndpoint::Start(
                                                     config_.metrics_listen(), metrics_));
  }
  return Serve(std::move(listeners));
}

absl::Status Server::CheckFloor() const {
  const internal::v1::Facilities& facilities = factory_->facilities();
  std::vector<std::string> required(config_.isolation_floor().required_layers().begin(),
                                    config_.isolation_floor().required_layers().end());
  if (!config_.has_isolation_floor()) required = sandbox::DefaultFloor(facilities.setting());
  const std::vector<std::string> missing = sandbox::MissingFromFloor(facilities, required);
  if (missing.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "this machine offers less isolation than isolation_floor asks for; missing:\n  ",
      absl::StrJoin(missing, "\n  "),
      facilities.setting() == internal::v1::Facilities::SETTING_CONTAINER ? kContainerOptIn : ""));
}

std::function<v1::GetInfoResponse()> Server::MakeInfo() {
  const rpc::RequestValidator validator(rpc::RequestBounds(), LimitsPolicyOf(config_));
  return [this, fixed = FixedInfo(config_, images_, validator, factory_->facilities())] {
    v1::GetInfoResponse info = fixed;
    AddCurrentInfo(pools_->Snapshot(), pools_->LiveSnapshot(), readiness_, &info);
    return info;
  };
}

absl::Status Server::Serve(UnixListeners listeners) {
  rpc::GrpcServerOptions options;
  options.reflection = config_.reflection();
  for (const std::string& address : config_.listen()) {
    CLOISTER_ASSIGN_OR_RETURN(const ListenAddress parsed, ParseListenAddress(address));
    if (!parsed.is_unix()) options.listen.push_back(parsed.host_and_port);
  }
  listeners_ = std::move(listeners);
  for (const auto& listener : listeners_) {
    CLOISTER_RETURN_IF_ERROR(listener->Accept(&loop_, [this](sandbox::UniqueFd connection) {
      grpc_server_->AdoptConnection(std::move(connection));
    }));
  }
  // Last of what can fail: from here on there may be calls, and they need the loop to end.
  CLOISTER_ASSIGN_OR_RETURN(grpc_server_, rpc::GrpcServer::Start(gate_.get(), options));
  loop_.Post([this] {
    pools_->Start();
    credentials_.Watch(&loop_);
  });
  loop_thread_ = std::thread([this] { loop_.Run(); });
  LogStart();
  return absl::OkStatus();
}

void Server::Drain() {
  loop_.Post([this] {
    log_.Info("draining", {{"active", tenants_->active_count()}});
    metrics_.gauge(observability::Metric::kDraining).Set(1);
    readiness_.BeginDrain();
    tenants_->Drain(base::FromProto(config_.drain_timeout()), [this] {
      drained_ = true;
      tenants_->EndAll();
      loop_.CallAfter(kTeardown, [this] { exit_events_.Notify(ExitEvent::kDrained); });
      pools_->Drain([this] { exit_events_.Notify(ExitEvent::kDrained); });
    });
  });
}

void Server::Reload() {
  loop_.Post([this] {
    log_.Info("reloading");
    credentials_.Reload();
    if (const absl::Status opened = audit_log_.Reopen(); !opened.ok()) {
      log_.Error("audit lines go to the file that was open", {{"reason", opened.ToString()}});
    }
  });
}

void Server::LogStart() const {
  log_.Info("serving", {{"version", Version()},
                        {"revision", Revision()},
                        {"listen", absl::StrJoin(config_.listen(), ",")},
                        {"metrics", config_.metrics_listen()},
                        {"templates", absl::StrJoin(TemplateNames(config_), ",")},
                        {"setting", SettingName(factory_->facilities().setting())}});
}

void Server::SetInfoMetrics() {
  const internal::v1::Facilities& facilities = factory_->facilities();
  metrics_.SetInfo(observability::Metric::kBuildInfo, {{"version", Version()},
                                                       {"revision", Revision()},
                                                       {"python", images_.front().python_version}});
  metrics_.SetInfo(observability::Metric::kIsolationInfo,
                   {{"setting", SettingName(facilities.setting())},
                    {"seccomp", LayerDetail(facilities, "seccomp")},
                    {"landlock", LayerDetail(facilities, "landlock")},
                    {"cgroup", LayerDetail(facilities, "cgroup_memory")},
                    {"user_namespace", LayerDetail(facilities, "user_namespace")}});
  metrics_.gauge(observability::Metric::kLiveSandboxLimit).Set(config_.live_sandboxes().maximum_count());
}

void Server::OnReadyChanged(bool ready) {
  metrics_.gauge(observability::Metric::kReady).Set(ready ? 1 : 0);
  if (grpc_server_ != nullptr) grpc_server_->SetServing(ready);
  log_.Write(ready ? observability::Severity::kInfo : observability::Severity::kWarn,
             ready ? "ready" : "not ready", {{"reason", readiness_.reason()}});
}

void Server::RunOnLoop(const std::function<void()>& function) {
  absl::Notification done;
  loop_.Post([&] {
    function();
    done.Notify();
  });
  done.WaitForNotification();
}

}  // namespace cloister::server
