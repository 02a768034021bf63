// The command line client.

#include <string>
#include <vector>

#include "clients/cli/command_line.h"

int main(int argc, char** argv) {
  return cloister::cli::RunCommandLine(std::vector<std::string>(argv + 1, argv + argc), {});
}
