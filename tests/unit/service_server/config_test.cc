#include "service/server/config.h"

#include <functional>
#include <string>

#include "absl/strings/match.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "service/base/proto_time.h"
#include "service/server/listen_address.h"
#include "service/server/options.h"
#include "service/server/peer.h"
#include "service/server/tenant_config.h"

namespace cloister::server {
namespace {

using internal::v1::ServerConfig;
using ::testing::HasSubstr;
using ::testing::StartsWith;

ServerConfig Complete(const std::string& text) {
  auto config = ParseConfig(text, "test");
  EXPECT_TRUE(config.ok()) << config.status();
  FillDefaults(&*config);
  return *config;
}

TEST(ConfigTest, EmptyConfigurationWorks) {
  const ServerConfig config = Complete("");
  EXPECT_TRUE(ValidateConfig(config).ok()) << ValidateConfig(config);
  EXPECT_EQ(config.listen(0), "unix:/run/cloister/cloister.sock");
  EXPECT_EQ(config.templates(0).name(), "python3.14");
  EXPECT_EQ(config.templates(0).image(), "python3.14");
  EXPECT_EQ(config.templates(0).pool().minimum_ready(), 4);
  EXPECT_EQ(config.templates(0).pool().maximum(), 256);
  EXPECT_EQ(config.templates(0).pool().maximum_ready(), 64);
  EXPECT_EQ(config.image_directory(), "/var/lib/cloister/images");
  EXPECT_THAT(config.guest_directory(), ::testing::EndsWith("/lib/cloister"));
  EXPECT_TRUE(config.reflection());
  EXPECT_EQ(LimitsPolicyOf(config).defaults, sandbox::Limits());
  EXPECT_EQ(LimitsPolicyOf(config).maximum, rpc::BuiltInMaximumLimits());
}

TEST(ConfigTest, AnnotatedExampleWorks) {
  auto config = LoadConfig(EXAMPLE_CONFIG);
  ASSERT_TRUE(config.ok()) << config.status();
  FillDefaults(&*config);
  EXPECT_TRUE(ValidateConfig(*config).ok()) << ValidateConfig(*config);
}

// The example shows the defaults, so that reading it is knowing them.
TEST(ConfigTest, AnnotatedExampleShowsTheDefaults) {
  auto example = LoadConfig(EXAMPLE_CONFIG);
  ASSERT_TRUE(example.ok());
  FillDefaults(&*example);
  example->clear_metrics_listen();
  ServerConfig defaults = Complete("");
  EXPECT_EQ(example->DebugString(), defaults.DebugString());
}

TEST(ConfigTest, KeepsWhatIsSet) {
  const ServerConfig config = Complete(
      "default_limits { wall_time { seconds: 3 nanos: 5 } } "
      "templates { name: 'a' image: 'b' pool { minimum_ready: 1 maximum: 2 } } "
      "templates { name: 'c' pool { minimum_ready: 0 } }");
  EXPECT_EQ(LimitsPolicyOf(config).defaults.wall_time, absl::Seconds(3) + absl::Nanoseconds(5));
  EXPECT_EQ(LimitsPolicyOf(config).defaults.cpu_time, absl::Seconds(10));
  EXPECT_EQ(config.templates(0).image(), "b");
  EXPECT_EQ(config.templates(0).pool().minimum_ready(), 1);
  EXPECT_EQ(config.templates(1).pool().minimum_ready(), 0);
  EXPECT_EQ(config.templates(0).pool().maximum_ready(), 2);
  EXPECT_EQ(config.live_sandboxes().maximum_interpreters(), 16);
  EXPECT_EQ(config.live_sandboxes().maximum_snapshots(), 64);
  EXPECT_TRUE(ValidateConfig(config).ok()) << ValidateConfig(config);
}

TEST(ConfigTest, NamesLineAndFieldOfWhatDoesNotParse) {
  const auto unknown = ParseConfig("listen: 'unix:/a'\n  nonsense: 3\n", "file");
  EXPECT_EQ(unknown.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(unknown.status().message()), StartsWith("file:2:"));
  EXPECT_THAT(std::string(unknown.status().message()), HasSubstr("nonsense"));
  const auto wrong_type = ParseConfig("event_log_bytes: 'x'", "file");
  EXPECT_THAT(std::string(wrong_type.status().message()), StartsWith("file:1:18: "));
  EXPECT_THAT(std::string(LoadConfig("/no/such/file").status().message()),
              HasSubstr("/no/such/file"));
}

struct BadCase {
  std::string name;
  std::string text;
  std::string field;
};

class BadConfigTest : public ::testing::TestWithParam<BadCase> {};

TEST_P(BadConfigTest, NamesTheField) {
  const absl::Status status = ValidateConfig(Complete(GetParam().text));
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), StartsWith(GetParam().field + ": "));
  EXPECT_FALSE(absl::StrContains(status.message(), "\n")) << status.message();
}

const BadCase kBadCases[] = {
    {"PublicAddress", "listen: '0.0.0.0:80'", "listen[0]"},
    {"HostName", "listen: 'unix:/a' listen: 'example.org:80'", "listen[1]"},
    {"RelativeSocket", "listen: 'unix:a.sock'", "listen[0]"},
    {"LongSocket", "listen: 'unix:/" + std::string(200, 'a') + "'", "listen[0]"},
    {"NoPort", "listen: 'localhost'", "listen[0]"},
    {"BadPort", "listen: 'localhost:70000'", "listen[0]"},
    {"Twice", "listen: 'unix:/a' listen: 'unix:/a'", "listen[1]"},
    {"MetricsAddress", "metrics_listen: 'here'", "metrics_listen"},
    {"TemplateName", "templates { name: 'A' }", "templates[0].name"},
    {"TemplatePath", "templates { name: 'a' image: '../x' }", "templates[0].image"},
    {"TemplateTwice", "templates { name: 'a' } templates { name: 'a' }", "templates[1].name"},
    {"TemplateEnvironment", "templates { name: 'a' environment { key: 'a=b' value: '' } }",
     "templates[0].environment"},
    {"PoolMaximum", "templates { name: 'a' pool { maximum: 1000000 } }",
     "templates[0].pool.maximum"},
    {"DefaultPoolMinimum", "templates { name: 'a' pool { minimum_ready: 0 } }",
     "templates[0].pool.minimum_ready"},
    {"PoolMinimum", "templates { name: 'a' pool { minimum_ready: -1 } }",
     "templates[0].pool.minimum_ready"},
    {"Interpreters", "live_sandboxes { maximum_interpreters: -1 }",
     "live_sandboxes.maximum_interpreters"},
    {"Snapshots", "live_sandboxes { maximum_snapshots: 1000000 }",
     "live_sandboxes.maximum_snapshots"},
    {"PoolMinimumAboveMaximum",
     "templates { name: 'a' pool { minimum_ready: 9 maximum_ready: 8 } }",
     "templates[0].pool.minimum_ready"},
    {"PoolReadyAboveMaximum", "templates { name: 'a' pool { maximum_ready: 9 maximum: 8 } }",
     "templates[0].pool.maximum_ready"},
    {"PoolAge", "templates { name: 'a' pool { maximum_age { seconds: -1 } } }",
     "templates[0].pool.maximum_age"},
    {"ZygoteForks", "templates { name: 'a' pool { zygote_maximum_forks: -1 } }",
     "templates[0].pool.zygote_maximum_forks"},
    {"DefaultAboveMaximum",
     "default_limits { memory_bytes: 20000000 } maximum_limits { memory_bytes: 10000000 }",
     "default_limits.memory_bytes"},
    {"DefaultZero", "default_limits { process_count: 0 }", "default_limits.process_count"},
    {"MaximumOutput", "maximum_limits { output_bytes: 100000000 }", "maximum_limits.output_bytes"},
    {"DefaultAboveALowerMaximum", "maximum_limits { memory_bytes: 10000000 }",
     "default_limits.memory_bytes"},
    {"DefaultTimeAboveALowerMaximum", "maximum_limits { wall_time { seconds: 1 } }",
     "default_limits.wall_time"},
    {"FloorLayer", "isolation_floor { required_layers: 'seccomp' required_layers: 'landlok' }",
     "isolation_floor.required_layers[1]"},
    {"QueueLength", "queue { maximum_waiting: -1 }", "queue.maximum_waiting"},
    {"QueueBytes", "queue { maximum_bytes: 1000 }", "queue.maximum_bytes"},
    {"QueueWait", "queue { maximum_wait { seconds: 100000 } }", "queue.maximum_wait"},
    {"Budget", "idle_memory_budget_bytes: -1", "idle_memory_budget_bytes"},
    {"Retention", "execution_retention { seconds: -1 }", "execution_retention"},
    {"EventLog", "event_log_bytes: 1", "event_log_bytes"},
    {"Drain", "drain_timeout { nanos: -1 }", "drain_timeout"},
    {"KeepAlive", "keep_alive_interval { seconds: 100000 }", "keep_alive_interval"},
    {"LogLevel", "log_level: 'loud'", "log_level"},
    {"LogFormat", "log_format: 'xml'", "log_format"},
    {"ServiceUserUnknown", "service_user: 'no-such-user'", "service_user"},
    {"ServiceUserRoot", "service_user: 'root'", "service_user"},
    {"ServiceUserZero", "service_user: '0:0'", "service_user"},
    {"AuditFile", "audit { file: 'audit.log' }", "audit.file"},
    {"NoTokenFile", "authentication { allow_anonymous: true }", "authentication.token_file"},
    {"RelativeTokenFile", "authentication { token_file: 'tokens' }", "authentication.token_file"},
    {"TenantsWithoutTokens", "tenants { name: 'a' }", "tenants"},
    {"TenantName", "authentication { token_file: '/t' } tenants { name: 'A' }", "tenants[0].name"},
    {"TenantNameEnds", "authentication { token_file: '/t' } tenants { name: 'a-' }",
     "tenants[0].name"},
    {"TenantNameEmpty", "authentication { token_file: '/t' } tenants { }", "tenants[0].name"},
    {"TenantNameLong",
     "authentication { token_file: '/t' } tenants { name: '" + std::string(64, 'a') + "' }",
     "tenants[0].name"},
    {"TenantDefault", "authentication { token_file: '/t' } tenants { name: 'default' }",
     "tenants[0].name"},
    {"TenantTwice",
     "authentication { token_file: '/t' } tenants { name: 'a' } tenants { name: 'a' }",
     "tenants[1].name"},
    {"TenantTemplate", "default_tenant { templates: 'x' }", "default_tenant.templates[0]"},
    {"TenantTemplateTwice", "default_tenant { templates: 'python3.14' templates: 'python3.14' }",
     "default_tenant.templates[1]"},
    {"TenantSandboxes", "default_tenant { maximum_live_sandboxes: -1 }",
     "default_tenant.maximum_live_sandboxes"},
    {"TenantSnapshots", "default_tenant { maximum_snapshots: 1000000 }",
     "default_tenant.maximum_snapshots"},
    {"TenantExecutions", "default_tenant { maximum_concurrent_executions: -1 }",
     "default_tenant.maximum_concurrent_executions"},
    {"TenantMemory", "default_tenant { maximum_memory_bytes: -1 }",
     "default_tenant.maximum_memory_bytes"},
    {"TenantRate", "default_tenant { requests_per_second: -1 }",
     "default_tenant.requests_per_second"},
    {"TenantRateNan", "default_tenant { requests_per_second: nan }",
     "default_tenant.requests_per_second"},
    {"TenantRateInfinite", "default_tenant { requests_per_second: inf }",
     "default_tenant.requests_per_second"},
    {"TenantBurst", "default_tenant { burst: 3 }", "default_tenant.burst"},
    {"TenantWeight", "default_tenant { weight: 101 }", "default_tenant.weight"},
    {"TenantLimits",
     "authentication { token_file: '/t' } tenants { name: 'a' limits { weight: -1 } }",
     "tenants[0].limits.weight"},
    {"PublicPlainText", "authentication { token_file: '/t' } listen: '0.0.0.0:80'", "listen[0]"},
    {"PublicAnonymous",
     "authentication { token_file: '/t' allow_anonymous: true } listen: '0.0.0.0:80'", "listen[0]"},
    {"ProxiedAnonymous",
     "authentication { token_file: '/t' allow_anonymous: true } insecure_plaintext: true",
     "insecure_plaintext"},
    {"ProxiedWithoutCredentials", "insecure_plaintext: true listen: '0.0.0.0:80'", "listen[0]"},
};

INSTANTIATE_TEST_SUITE_P(Fields, BadConfigTest, ::testing::ValuesIn(kBadCases),
                         [](const auto& info) { return info.param.name; });

TEST(ConfigTest, ListsAllProblemsAtOnce) {
  const absl::Status status =
      ValidateConfig(Complete("log_level: 'loud' listen: 'x' event_log_bytes: -1"));
  for (const char* field : {"log_level: ", "listen[0]: ", "event_log_bytes: "}) {
    EXPECT_THAT(std::string(status.message()), HasSubstr(field));
  }
}

TEST(ConfigTest, CredentialsLetTheNetworkBeServed) {
  const ServerConfig config = Complete(
      "authentication { token_file: '/t' } insecure_plaintext: true listen: '0.0.0.0:80' "
      "tenants { name: 'a' } tenants { name: '0-b' }");
  EXPECT_TRUE(ValidateConfig(config).ok()) << ValidateConfig(config);
  EXPECT_THAT(TenantNames(config), ::testing::UnorderedElementsAre("default", "a", "0-b"));
}

TEST(PeerTest, IsLocalOnThisMachineAlone) {
  for (const char* peer :
       {"unix:", "unix:/run/x.sock", "fd:7", "ipv4:127.0.0.1:5", "ipv4:127.9.9.9:1",
        "ipv6:[::1]:80", "ipv6:%5B::1%5D:80", "ipv6:[::ffff:127.0.0.1]:80"}) {
    EXPECT_TRUE(IsLocalPeer(peer)) << peer;
  }
  for (const char* peer : {"", "ipv4:", "ipv4:10.0.0.1:5", "ipv4:127.0.0.1.example.org:5",
                           "ipv6:[::2]:80", "ipv6:[::ffff:10.0.0.1]:80", "ipv6:%5B::%5D:1",
                           "127.0.0.1:5", "vsock:1:2", "dns:localhost:1"}) {
    EXPECT_FALSE(IsLocalPeer(peer)) << peer;
  }
}

TEST(ListenAddressTest, KnowsWhatStaysOnThisMachine) {
  for (const char* text : {"localhost:1", "127.0.0.1:0", "127.1.2.3:65535", "[::1]:80"}) {
    const auto address = ParseListenAddress(text);
    ASSERT_TRUE(address.ok()) << text << address.status();
    EXPECT_FALSE(address->is_unix());
    EXPECT_EQ(address->host_and_port, text);
    EXPECT_TRUE(address->is_local);
  }
  for (const char* text :
       {"[::]:80", "0.0.0.0:80", "10.0.0.1:80", "127.0.0.1.example.org:80", "example.org:80"}) {
    const auto address = ParseListenAddress(text);
    ASSERT_TRUE(address.ok()) << text << address.status();
    EXPECT_FALSE(address->is_local) << text;
  }
  EXPECT_TRUE(ParseListenAddress("unix:/a/b")->is_local);
  EXPECT_EQ(ParseListenAddress("unix:/a/b")->path, "/a/b");
  EXPECT_EQ(ParseListenAddress("unix:///a/b")->path, "/a/b");
  for (const char* text : {"", ":80", "unix:", "unix-abstract:x", "localhost:-1", "localhost:"}) {
    EXPECT_FALSE(ParseListenAddress(text).ok()) << text;
  }
}

}  // namespace
}  // namespace cloister::server
