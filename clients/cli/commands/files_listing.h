// What a sandbox's directories hold, page by page, and how it is shown.

#ifndef CLOISTER_CLIENTS_CLI_COMMANDS_FILES_LISTING_H_
#define CLOISTER_CLIENTS_CLI_COMMANDS_FILES_LISTING_H_

#include <functional>
#include <string>

#include "clients/cli/commands/commands.h"

namespace cloister::cli {

// Calls `visit` with each, in their order, until it returns false.
grpc::Status ForEachFile(const Server& server, const std::string& sandbox, const std::string& path,
                         bool recursive, const std::function<bool(const v1::FileInfo&)>& visit);

}  // namespace cloister::cli

#endif  // CLOISTER_CLIENTS_CLI_COMMANDS_FILES_LISTING_H_
