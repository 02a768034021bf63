// What `cloister files …` does, without its command line; as commands.h says.

#ifndef CLOISTER_CLIENTS_CLI_COMMANDS_FILES_COMMANDS_H_
#define CLOISTER_CLIENTS_CLI_COMMANDS_FILES_COMMANDS_H_

#include <string>
#include <vector>

#include "clients/cli/commands/commands.h"

namespace cloister::cli {

struct PutOptions {
  std::string sandbox;
  std::string local;   // "-": standard input
  std::string remote;  // empty: LOCAL's last part; with a slash at its end: below that
  bool recursive = false;
  bool no_clobber = false;
};

// Copies a file, or with `recursive` a directory, into a sandbox. Directories above it are made.
int PutFiles(const Server& server, const PutOptions& options, OutputFds fds);

struct GetOptions {
  std::string sandbox;
  std::string remote;
  std::string local;  // "-": standard output; empty: REMOTE's last part; a directory: below that
  bool recursive = false;
};

// The other way. A local file is there whole or not at all.
int GetFiles(const Server& server, const GetOptions& options, OutputFds fds);

struct ListFilesOptions {
  std::string sandbox;
  std::string path;
  bool recursive = false;
  bool json = false;
};

int ListFiles(const Server& server, const ListFilesOptions& options, OutputFds fds);

struct RemoveFilesOptions {
  std::string sandbox;
  std::vector<std::string> paths;
  bool recursive = false;
  bool force = false;
};

int RemoveFiles(const Server& server, const RemoveFilesOptions& options, OutputFds fds);
int MakeDirectories(const Server& server, const std::string& sandbox,
                    std::vector<std::string> paths, OutputFds fds);

}  // namespace cloister::cli

#endif  // CLOISTER_CLIENTS_CLI_COMMANDS_FILES_COMMANDS_H_
