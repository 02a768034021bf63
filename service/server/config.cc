#include "service/server/config.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "google/protobuf/io/tokenizer.h"
#include "google/protobuf/text_format.h"
#include "service/base/proto_time.h"
#include "service/core/fork_manager.h"
#include "service/core/limits_proto.h"
#include "service/core/sandbox_manager.h"
#include "service/pool/pool_options.h"
#include "service/rpc/limits_resolver.h"
#include "service/rpc/sandbox_request_validator.h"
#include "service/server/service_user.h"

namespace cloister::server {
namespace {

using internal::v1::LiveSandboxConfig;
using internal::v1::PoolConfig;
using internal::v1::QueueConfig;
using internal::v1::ServerConfig;
using internal::v1::TemplateConfig;

constexpr char kDefaultListen[] = "unix:/run/cloister/cloister.sock";
constexpr char kDefaultImageDirectory[] = "/var/lib/cloister/images";
constexpr char kDefaultTemplate[] = "python3.14";

// Keeps what the parser complains about, with its place.
class ParseErrors final : public google::protobuf::io::ErrorCollector {
 public:
  explicit ParseErrors(std::string name) : name_(std::move(name)) {}

  // Both numbers count from 0; -1 stands for the whole text.
  void AddError(int line, google::protobuf::io::ColumnNumber column,
                const std::string& message) override {
    lines_.push_back(line < 0 ? absl::StrCat(name_, ": ", message)
                              : absl::StrCat(name_, ":", line + 1, ":", column + 1, ": ", message));
  }

  absl::Status ToStatus() const { return absl::InvalidArgumentError(absl::StrJoin(lines_, "\n")); }

 private:
  const std::string name_;
  std::vector<std::string> lines_;
};

// By member pointers, because asking for the field to write to sets it, and arguments are evaluated
// in any order.
template <typename Message>
void SetIfUnset(Message* message, bool (Message::*is_set)() const,
                google::protobuf::Duration* (Message::*field)(), absl::Duration value) {
  if (!(message->*is_set)()) *(message->*field)() = base::ToProto(value);
}

// `defaults`, with whatever `limits` sets in their place.
void FillLimits(v1::Limits defaults, v1::Limits* limits) {
  defaults.MergeFrom(*limits);
  // Merging would add up the parts of a duration.
  if (limits->has_wall_time()) *defaults.mutable_wall_time() = limits->wall_time();
  if (limits->has_cpu_time()) *defaults.mutable_cpu_time() = limits->cpu_time();
  *limits = std::move(defaults);
}

void FillTemplate(TemplateConfig* config) {
  if (config->image().empty()) config->set_image(config->name());
  const pool::PoolOptions defaults;
  PoolConfig* pool = config->mutable_pool();
  if (pool->maximum() == 0) pool->set_maximum(defaults.maximum);
  if (pool->maximum_ready() == 0) {
    pool->set_maximum_ready(
        std::min(std::max(defaults.maximum_ready, pool->minimum_ready()), pool->maximum()));
  }
  if (!pool->has_minimum_ready()) {
    pool->set_minimum_ready(std::min(defaults.minimum_ready, pool->maximum_ready()));
  }
  SetIfUnset(pool, &PoolConfig::has_maximum_age, &PoolConfig::mutable_maximum_age,
             defaults.maximum_age);
  if (pool->zygote_maximum_forks() == 0) {
    pool->set_zygote_maximum_forks(defaults.zygote.maximum_forks);
  }
  SetIfUnset(pool, &PoolConfig::has_zygote_maximum_age, &PoolConfig::mutable_zygote_maximum_age,
             defaults.zygote.maximum_age);
}

std::string DefaultGuestDirectory() {
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  return (self.parent_path().parent_path() / "lib" / "cloister").string();
}

}  // namespace

absl::StatusOr<ServerConfig> ParseConfig(const std::string& text, const std::string& name) {
  ServerConfig config;
  ParseErrors errors(name);
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&errors);
  if (!parser.ParseFromString(text, &config)) return errors.ToStatus();
  return config;
}

absl::StatusOr<ServerConfig> LoadConfig(const std::string& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    return absl::InvalidArgumentError(
        absl::StrCat("--config: ", path, " is a directory; name a text proto file"));
  }
  std::ifstream file(path);
  if (!file) {
    return absl::ErrnoToStatus(errno, absl::StrCat("--config: cannot read ", path));
  }
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  return ParseConfig(text, path);
}

namespace {

void FillLiveSandboxes(LiveSandboxConfig* config) {
  const core::SandboxManagerOptions counts;
  if (config->maximum_count() == 0) config->set_maximum_count(counts.maximum_count);
  if (config->maximum_queued_executions() == 0) {
    config->set_maximum_queued_executions(static_cast<int>(counts.maximum_queued));
  }
  if (config->maximum_interpreters() == 0) {
    config->set_maximum_interpreters(counts.maximum_interpreters);
  }
  if (config->maximum_snapshots() == 0) {
    config->set_maximum_snapshots(core::ForkManagerOptions().maximum_snapshots);
  }
  const rpc::LifetimePolicy times;
  SetIfUnset(config, &LiveSandboxConfig::has_maximum_ttl, &LiveSandboxConfig::mutable_maximum_ttl,
             times.maximum_ttl);
  SetIfUnset(config, &LiveSandboxConfig::has_maximum_idle_timeout,
             &LiveSandboxConfig::mutable_maximum_idle_timeout, times.maximum_idle_timeout);
  SetIfUnset(config, &LiveSandboxConfig::has_default_ttl, &LiveSandboxConfig::mutable_default_ttl,
             std::min(times.default_ttl, base::FromProto(config->maximum_ttl())));
  SetIfUnset(
      config, &LiveSandboxConfig::has_default_idle_timeout,
      &LiveSandboxConfig::mutable_default_idle_timeout,
      std::min(times.default_idle_timeout, base::FromProto(config->maximum_idle_timeout())));
}

}  // namespace

void FillDefaults(ServerConfig* config) {
  if (config->listen().empty()) config->add_listen(kDefaultListen);
  if (config->image_directory().empty()) config->set_image_directory(kDefaultImageDirectory);
  if (config->guest_directory().empty()) config->set_guest_directory(DefaultGuestDirectory());
  if (config->templates().empty()) config->add_templates()->set_name(kDefaultTemplate);
  for (TemplateConfig& entry : *config->mutable_templates()) FillTemplate(&entry);
  FillLimits(core::ToProto(rpc::BuiltInMaximumLimits()), config->mutable_maximum_limits());
  FillLimits(core::ToProto(sandbox::Limits()), config->mutable_default_limits());
  const pool::PoolOptions defaults;
  if (config->queue().maximum_waiting() == 0) {
    config->mutable_queue()->set_maximum_waiting(defaults.maximum_waiting);
  }
  if (config->queue().maximum_bytes() == 0) {
    config->mutable_queue()->set_maximum_bytes(int64_t{256} << 20);
  }
  FillLiveSandboxes(config->mutable_live_sandboxes());
  SetIfUnset(config->mutable_queue(), &QueueConfig::has_maximum_wait,
             &QueueConfig::mutable_maximum_wait, defaults.maximum_wait);
  if (config->idle_memory_budget_bytes() == 0) {
    config->set_idle_memory_budget_bytes(int64_t{1} << 30);
  }
  SetIfUnset(config, &ServerConfig::has_execution_retention,
             &ServerConfig::mutable_execution_retention, absl::Seconds(60));
  if (config->event_log_bytes() == 0) config->set_event_log_bytes(int64_t{1} << 20);
  SetIfUnset(config, &ServerConfig::has_drain_timeout, &ServerConfig::mutable_drain_timeout,
             absl::Seconds(30));
  if (config->log_level().empty()) config->set_log_level("info");
  if (config->log_format().empty()) config->set_log_format("text");
  if (config->service_user().empty()) config->set_service_user(kDedicatedUser);
  if (!config->has_reflection()) config->set_reflection(true);
  SetIfUnset(config, &ServerConfig::has_keep_alive_interval,
             &ServerConfig::mutable_keep_alive_interval, absl::Seconds(15));
}

}  // namespace cloister::server
