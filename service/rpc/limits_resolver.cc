#include "service/rpc/limits_resolver.h"

#include "absl/strings/str_cat.h"
#include "service/base/proto_time.h"

namespace cloister::rpc {
namespace {

// Below what a waiting sandbox may already hold the kernel refuses the limit.
constexpr int64_t kLeastMemoryBytes = int64_t{8} << 20;

// Less is no limit but a refusal, and below what the host's clocks can tell apart.
constexpr absl::Duration kLeastTime = absl::Milliseconds(1);

void CheckLeastTime(bool is_set, absl::Duration value, const std::string& field,
                    Violations* violations) {
  if (!is_set || value <= absl::ZeroDuration() || value >= kLeastTime) return;
  violations->Add(field, absl::StrCat("is ", absl::FormatDuration(value), "; must be at least ",
                                      absl::FormatDuration(kLeastTime)));
}

// What google.protobuf.Duration itself demands.
bool WellFormed(const google::protobuf::Duration& duration) {
  constexpr int64_t kMaximumSeconds = 315'576'000'000;
  constexpr int32_t kMaximumNanos = 999'999'999;
  const int64_t seconds = duration.seconds();
  const int32_t nanos = duration.nanos();
  if (seconds > kMaximumSeconds || seconds < -kMaximumSeconds) return false;
  if (nanos > kMaximumNanos || nanos < -kMaximumNanos) return false;
  return seconds == 0 || nanos == 0 || (seconds > 0) == (nanos > 0);
}

int64_t CheckedNumber(int64_t value, int64_t maximum, std::string_view field,
                      Violations* violations) {
  if (value <= 0) {
    violations->Add(field,
                    absl::StrCat("is ", value, "; must be positive, or unset for the default"));
  } else if (value > maximum) {
    violations->Add(field, absl::StrCat("is ", value, "; this server allows at most ", maximum));
  }
  return value;
}

}  // namespace

absl::Duration CheckedDuration(const google::protobuf::Duration& duration, absl::Duration maximum,
                               std::string_view field, Violations* violations) {
  if (!WellFormed(duration)) {
    violations->Add(field, "is not a valid google.protobuf.Duration");
    return absl::ZeroDuration();
  }
  const absl::Duration value = base::FromProto(duration);
  if (value <= absl::ZeroDuration()) {
    violations->Add(field, absl::StrCat("is ", absl::FormatDuration(value),
                                        "; must be positive, or unset for the default"));
  } else if (value > maximum) {
    violations->Add(field, absl::StrCat("is ", absl::FormatDuration(value), "; at most ",
                                        absl::FormatDuration(maximum), " is allowed"));
  }
  return value;
}

sandbox::Limits BuiltInMaximumLimits() {
  sandbox::Limits limits;
  limits.wall_time = absl::Seconds(300);
  limits.cpu_time = absl::Seconds(300);
  limits.memory_bytes = int64_t{2} << 30;
  limits.output_bytes = int64_t{16} << 20;
  limits.process_count = 512;
  limits.open_file_count = 1024;
  limits.file_bytes = int64_t{1} << 30;
  limits.workspace_bytes = int64_t{1} << 30;
  return limits;
}

sandbox::Limits ResolveLimits(const v1::Limits& asked, const LimitsPolicy& policy,
                              const std::string& prefix, Violations* violations) {
  sandbox::Limits limits = policy.defaults;
  const sandbox::Limits& maximum = policy.maximum;
  const auto field = [&prefix](const char* name) { return absl::StrCat(prefix, ".", name); };
  if (asked.has_wall_time()) {
    limits.wall_time =
        CheckedDuration(asked.wall_time(), maximum.wall_time, field("wall_time"), violations);
  }
  if (asked.has_cpu_time()) {
    limits.cpu_time =
        CheckedDuration(asked.cpu_time(), maximum.cpu_time, field("cpu_time"), violations);
  }
  CheckLeastTime(asked.has_wall_time(), limits.wall_time, field("wall_time"), violations);
  CheckLeastTime(asked.has_cpu_time(), limits.cpu_time, field("cpu_time"), violations);

  const struct {
    const char* name;
    bool is_set;
    int64_t value;
    int64_t maximum;
    int64_t* resolved;
  } numbers[] = {
      {"memory_bytes", asked.has_memory_bytes(), asked.memory_bytes(), maximum.memory_bytes,
       &limits.memory_bytes},
      {"output_bytes", asked.has_output_bytes(), asked.output_bytes(), maximum.output_bytes,
       &limits.output_bytes},
      {"process_count", asked.has_process_count(), asked.process_count(), maximum.process_count,
       &limits.process_count},
      {"open_file_count", asked.has_open_file_count(), asked.open_file_count(),
       maximum.open_file_count, &limits.open_file_count},
      {"file_bytes", asked.has_file_bytes(), asked.file_bytes(), maximum.file_bytes,
       &limits.file_bytes},
      {"workspace_bytes", asked.has_workspace_bytes(), asked.workspace_bytes(),
       maximum.workspace_bytes, &limits.workspace_bytes},
  };
  for (const auto& number : numbers) {
    if (!number.is_set) continue;
    *number.resolved = CheckedNumber(number.value, number.maximum, field(number.name), violations);
  }
  if (asked.memory_bytes() > 0 && asked.memory_bytes() < kLeastMemoryBytes) {
    violations->Add(field("memory_bytes"),
                    absl::StrCat("must be at least ", kLeastMemoryBytes,
                                 ": an interpreter that does nothing holds a few MiB"));
  }
  return limits;
}

}  // namespace cloister::rpc
