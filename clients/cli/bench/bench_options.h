// What a benchmark is asked to do.

#ifndef CLOISTER_CLIENTS_CLI_BENCH_BENCH_OPTIONS_H_
#define CLOISTER_CLIENTS_CLI_BENCH_BENCH_OPTIONS_H_

#include <string>

#include "absl/time/time.h"

namespace cloister::cli::bench {

struct BenchOptions {
  std::string name;
  std::string server;  // as given; may be empty
  std::string template_name;
  std::string duration_text = "10s";
  std::string image_directory = "/var/lib/cloister/images";
  int clients = 32;
  int channels = 2;
  double rate = 100;
  int sandboxes = 400;
  int live_sandboxes = 1000;
  bool no_anchors = false;
  bool json = false;

  // Of duration_text, once it was checked.
  absl::Duration duration = absl::Seconds(10);
};

}  // namespace cloister::cli::bench

#endif  // CLOISTER_CLIENTS_CLI_BENCH_BENCH_OPTIONS_H_
