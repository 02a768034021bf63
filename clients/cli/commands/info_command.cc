#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "clients/cli/commands/commands.h"
#include "clients/cli/commands/outcome_text.h"
#include "clients/cli/commands/reply.h"
#include "clients/cli/commands/units.h"

namespace cloister::cli {
namespace {

void AppendTemplates(const v1::GetInfoResponse& info, std::string* text) {
  absl::StrAppend(text, "\nTemplates (the first is the default)\n");
  for (const v1::Template& entry : info.templates()) {
    const v1::PoolState& pool = entry.pool();
    absl::StrAppendFormat(text, "  %-18s Python %s, image %s, %d packages\n", entry.name(),
                          entry.python_version().empty() ? "?" : entry.python_version(),
                          entry.image(), entry.packages_size());
    absl::StrAppendFormat(
        text,
        "  %-18s pool: %d ready of %d wanted (minimum %d, maximum %d), %d starting, %d leased, %d waiting\n", "",
        pool.ready_count(), pool.target_count(), pool.minimum_count(), pool.maximum_count(),
        pool.starting_count(), pool.leased_count(), pool.waiting_count());
    const v1::PoolState& live = entry.live_pool();
    absl::StrAppendFormat(
        text, "  %-18s live sandboxes: %d; their pool: %d ready of %d wanted (minimum %d, maximum %d), %d starting, "
        "%d waiting\n",
        "", live.live_count(), live.ready_count(), live.target_count(), live.minimum_count(),
        live.maximum_count(), live.starting_count(),
        live.waiting_count());
    std::vector<std::string> profiles;
    for (const int profile : entry.profiles()) {
      profiles.push_back(absl::AsciiStrToLower(absl::StripPrefix(
          v1::Interpreter::Profile_Name(static_cast<v1::Interpreter::Profile>(profile)),
          "PROFILE_")));
    }
    absl::StrAppendFormat(text, "  %-18s interpreters: main %s\n", "",
                          absl::StrJoin(profiles, " "));
    if (entry.warm_up_imports_size() > 0) {
      absl::StrAppendFormat(text, "  %-18s imported: %s\n", "",
                            absl::StrJoin(entry.warm_up_imports(), " "));
    }
  }
}

void AppendLimits(const v1::GetInfoResponse& info, std::string* text) {
  const v1::Limits& usual = info.default_limits();
  const v1::Limits& most = info.maximum_limits();
  const auto row = [text](const char* name, const std::string& by_default,
                          const std::string& at_most) {
    absl::StrAppendFormat(text, "  %-18s %-12s %s\n", name, by_default, at_most);
  };
  const auto time = [&](const char* name, const auto& a, const auto& b) {
    row(name, absl::FormatDuration(FromProto(a)), absl::FormatDuration(FromProto(b)));
  };
  absl::StrAppend(text, "\n");
  absl::StrAppendFormat(text, "%-20s %-12s %s\n", "Limits", "default", "at most");
  time("wall time", usual.wall_time(), most.wall_time());
  time("cpu time", usual.cpu_time(), most.cpu_time());
  row("memory", SizeText(usual.memory_bytes()), SizeText(most.memory_bytes()));
  row("output", SizeText(usual.output_bytes()), SizeText(most.output_bytes()));
  row("processes", absl::StrCat(usual.process_count()), absl::StrCat(most.process_count()));
  row("open files", absl::StrCat(usual.open_file_count()), absl::StrCat(most.open_file_count()));
  row("file size", SizeText(usual.file_bytes()), SizeText(most.file_bytes()));
  row("workspace", SizeText(usual.workspace_bytes()), SizeText(most.workspace_bytes()));
}

void AppendLiveSandboxes(const v1::LiveSandboxes& live, std::string* text) {
  absl::StrAppendFormat(text, "\nLive sandboxes: %d of %d, snapshots: %d of %d\n", live.count(),
                        live.maximum_count(), live.snapshot_count(),
                        live.maximum_snapshot_count());
  absl::StrAppendFormat(text, "  at most %d interpreters each, %d executions queued in one\n",
                        live.maximum_interpreters(), live.maximum_queued_executions());
  absl::StrAppendFormat(text, "  ends after %s, at most %s; idle %s, at most %s\n",
                        absl::FormatDuration(FromProto(live.default_ttl())),
                        absl::FormatDuration(FromProto(live.maximum_ttl())),
                        absl::FormatDuration(FromProto(live.default_idle_timeout())),
                        absl::FormatDuration(FromProto(live.maximum_idle_timeout())));
  absl::StrAppendFormat(text, "  can be forked: %s\n",
                        live.can_fork() ? "yes" : "NO, " + live.cannot_fork_reason());
}

void AppendIsolation(const v1::Isolation& isolation, std::string* text) {
  int in_force = 0;
  for (const v1::Layer& layer : isolation.layers()) in_force += layer.in_force() ? 1 : 0;
  const std::string setting = absl::AsciiStrToLower(
      absl::StripPrefix(v1::Isolation::Setting_Name(isolation.setting()), "SETTING_"));
  absl::StrAppendFormat(text, "\nIsolation: %s, %d of %d layers in force\n", setting, in_force,
                        isolation.layers_size());
  for (const v1::Layer& layer : isolation.layers()) {
    absl::StrAppendFormat(text, "  %-3s %-20s %s\n", layer.in_force() ? "yes" : "NO", layer.name(),
                          layer.detail());
  }
}

std::string InfoText(const v1::GetInfoResponse& info, const std::string& address) {
  std::string text = absl::StrCat("Cloister ", info.version());
  if (!info.revision().empty()) absl::StrAppend(&text, " (", info.revision(), ")");
  absl::StrAppend(&text, " at ", address, ": ", info.ready() ? "ready" : "NOT READY");
  if (!info.ready()) absl::StrAppend(&text, ", ", info.not_ready_reason());
  absl::StrAppend(&text, "\n");
  AppendTemplates(info, &text);
  AppendLimits(info, &text);
  AppendLiveSandboxes(info.live_sandboxes(), &text);
  AppendIsolation(info.isolation(), &text);
  return text;
}

}  // namespace

int ShowInfo(const Server& server, bool json, OutputFds fds) {
  grpc::ClientContext context;
  v1::GetInfoResponse info;
  const grpc::Status status = server.info->GetInfo(&context, v1::GetInfoRequest(), &info);
  if (!status.ok()) return Refused(server, status, fds);
  return Print(json ? MessageJson(info).dump(2) + "\n" : InfoText(info, server.address), fds);
}

}  // namespace cloister::cli
