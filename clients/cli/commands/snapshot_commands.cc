#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "clients/cli/commands/commands.h"
#include "clients/cli/commands/exit_code.h"
#include "clients/cli/commands/reply.h"
#include "clients/cli/commands/units.h"

namespace cloister::cli {
namespace {

// One line of a list.
std::string Line(const v1::Snapshot& snapshot) {
  return absl::StrFormat("%s  %-16s  holds %s, ends in %s\n", snapshot.name(), snapshot.template_(),
                         SizeText(snapshot.memory_bytes()), LeftText(snapshot.expire_time()));
}

std::string Details(const v1::Snapshot& snapshot) {
  std::string text;
  AppendRow("name", snapshot.name(), &text);
  AppendRow("sandbox", snapshot.sandbox(), &text);
  AppendRow("template", snapshot.template_(), &text);
  AppendRow("created", TimeText(snapshot.create_time()), &text);
  AppendRow("ends in", LeftText(snapshot.expire_time()), &text);
  AppendRow("holds", SizeText(snapshot.memory_bytes()), &text);
  AppendLimits(snapshot.limits(), &text);
  return text;
}

}  // namespace

int CreateSnapshot(const Server& server, const std::string& sandbox, OutputFds fds) {
  v1::CreateSnapshotRequest request;
  request.set_sandbox(sandbox);
  grpc::ClientContext context;
  v1::CreateSnapshotResponse response;
  const grpc::Status status = server.sandboxes->CreateSnapshot(&context, request, &response);
  if (!status.ok()) return Refused(server, status, fds);
  return PrintMade({response.snapshot().name()}, fds);
}

int ListSnapshots(const Server& server, bool json, OutputFds fds) {
  v1::ListSnapshotsRequest request;
  v1::ListSnapshotsResponse all;
  do {
    grpc::ClientContext context;
    v1::ListSnapshotsResponse page;
    const grpc::Status status = server.sandboxes->ListSnapshots(&context, request, &page);
    if (!status.ok()) return Refused(server, status, fds);
    request.set_page_token(page.next_page_token());
    all.mutable_snapshots()->MergeFrom(page.snapshots());
  } while (!request.page_token().empty());
  if (json) return Print(JsonText(all), fds);
  std::string text;
  for (const v1::Snapshot& snapshot : all.snapshots()) absl::StrAppend(&text, Line(snapshot));
  return Print(text, fds);
}

int ShowSnapshot(const Server& server, const std::string& name, bool json, OutputFds fds) {
  v1::GetSnapshotRequest request;
  request.set_name(name);
  grpc::ClientContext context;
  v1::GetSnapshotResponse response;
  const grpc::Status status = server.sandboxes->GetSnapshot(&context, request, &response);
  if (!status.ok()) return Refused(server, status, fds);
  return Print(json ? JsonText(response.snapshot()) : Details(response.snapshot()), fds);
}

int RemoveSnapshots(const Server& server, const std::vector<std::string>& names, OutputFds fds) {
  int code = kExitOk;
  for (const std::string& name : names) {
    v1::DeleteSnapshotRequest request;
    request.set_name(name);
    grpc::ClientContext context;
    v1::DeleteSnapshotResponse response;
    const grpc::Status status = server.sandboxes->DeleteSnapshot(&context, request, &response);
    if (!status.ok()) code = Refused(server, status, fds);
  }
  return code;
}

}  // namespace cloister::cli
