// Moves one file between this machine and a sandbox.

#ifndef CLOISTER_CLIENTS_CLI_COMMANDS_FILE_TRANSFER_H_
#define CLOISTER_CLIENTS_CLI_COMMANDS_FILE_TRANSFER_H_

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "cloister/v1/file_service.grpc.pb.h"

namespace cloister::cli {

// What came of it: a local error, or the server's answer.
struct Transfer {
  absl::Status local;
  grpc::Status server;
  bool ok() const { return local.ok() && server.ok(); }
};

struct Upload {
  std::string sandbox;
  std::string path;
  bool executable = false;
  bool must_not_exist = false;
};

// Sends what `fd` holds from here on; directories above it are made.
Transfer SendFile(v1::FileService::StubInterface* files, const Upload& upload, int fd,
                  const std::string& local_name);

// Told what the file is, then of its bytes. An error ends the transfer.
struct Receiver {
  std::function<absl::Status(const v1::FileInfo&)> begin;
  std::function<absl::Status(absl::string_view)> write;
};
Transfer ReceiveFile(v1::FileService::StubInterface* files, const std::string& sandbox,
                     const std::string& path, const Receiver& receiver);

}  // namespace cloister::cli

#endif  // CLOISTER_CLIENTS_CLI_COMMANDS_FILE_TRANSFER_H_
