#include "clients/cli/bench/own_server.h"

#include <sys/stat.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "clients/cli/bench/machine.h"
#include "clients/cli/commands/request_builder.h"
#include "google/protobuf/text_format.h"

namespace cloister::cli::bench {

absl::StatusOr<OwnServer> OwnServer::Start(internal::v1::ServerConfig config) {
  const std::string program = SiblingProgram("cloisterd");
  if (program.empty()) return absl::NotFoundError("cloisterd is not beside this program");
  absl::StatusOr<ScratchDirectory> directory = ScratchDirectory::Create();
  if (!directory.ok()) return directory.status();
  // The server gives up its privileges and must still reach its socket.
  ::chmod(directory->path().c_str(), 0755);
  std::string address = absl::StrCat("unix:", directory->path(), "/cloisterd.sock");
  config.clear_listen();
  config.add_listen(address);
  config.set_log_level("error");
  std::string text;
  google::protobuf::TextFormat::PrintToString(config, &text);
  const std::string path = absl::StrCat(directory->path(), "/config.textproto");
  if (absl::Status written = WriteFile(path, text); !written.ok()) return written;
  absl::StatusOr<ChildProcess> process = ChildProcess::Start({program, "--config", path});
  if (!process.ok()) return process.status();
  return OwnServer(*std::move(directory), std::move(address), *std::move(process));
}

}  // namespace cloister::cli::bench
