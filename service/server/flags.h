// The command line of cloisterd.

#ifndef CLOISTER_SERVICE_SERVER_FLAGS_H_
#define CLOISTER_SERVICE_SERVER_FLAGS_H_

#include <optional>
#include <string>
#include <vector>

#include "cloister/internal/v1/config.pb.h"

namespace cloister::server {

struct Flags {
  std::string config;
  bool check_config = false;
  // Each in place of the configuration's field of that name, where it is not empty.
  std::vector<std::string> listen;
  std::string metrics_listen;
  std::string image_directory;
  std::string guest_directory;
  std::string log_level;
};

// Parses, or says what has to be said (help, version, what is wrong) and sets `exit_code`.
std::optional<Flags> ParseFlags(int argc, char** argv, int* exit_code);

void ApplyFlags(const Flags& flags, internal::v1::ServerConfig* config);

}  // namespace cloister::server

#endif  // CLOISTER_SERVICE_SERVER_FLAGS_H_
